"""The experts of a mixture: their weights are stacked, and each works on the rows it is given."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from attntrace.blocks.feed_forward.activation import ACTIVATIONS
from attntrace.spec import Spec
from attntrace.spec.rules.feed_forward import expert_impl


class Experts(nn.Module):
    """Feed-forwards side by side, gated or plain, for rows that are sorted by expert.

    Shapes: x (rows, chan), counts (experts) -> out (rows, chan), where the first counts[0] rows go
    to expert 0, the next counts[1] to expert 1, and so on.

    loop: one product an expert. Where counts cannot be known, on meta, the experts get equal
    shares, so that there are as many tensors as anywhere else; their shapes are those of an even
    load. grouped: one product for all of them (`torch.nn.functional.grouped_mm`).
    """

    def __init__(self, spec: Spec) -> None:
        super().__init__()
        part = spec.feed_forward
        experts = part.experts
        assert experts is not None  # the spec's rules ask for it
        self.gated, self.grouped = part.expert == "glu", expert_impl(spec) == "grouped"
        wide = spec.expert_dim * (2 if self.gated else 1)
        self.up = nn.Parameter(torch.empty(experts, wide, spec.chan))
        self.down = nn.Parameter(torch.empty(experts, spec.chan, spec.expert_dim))
        self.up_bias = nn.Parameter(torch.empty(experts, wide)) if part.bias else None
        self.down_bias = nn.Parameter(torch.empty(experts, spec.chan)) if part.bias else None
        self.dropout = nn.Dropout(part.dropout) if part.dropout else None
        self.activate = ACTIVATIONS[part.activation]
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw every expert's weights as `nn.Linear` does: uniform within 1 / sqrt(width)."""
        for weight, bias in ((self.up, self.up_bias), (self.down, self.down_bias)):
            bound = 1 / math.sqrt(weight.shape[-1])
            nn.init.uniform_(weight, -bound, bound)
            if bias is not None:
                nn.init.uniform_(bias, -bound, bound)

    def forward(self, x: Tensor, counts: Tensor) -> Tensor:
        """Return (rows, chan) for x (rows, chan), sorted by expert, and the experts' counts."""
        return self.all_at_once(x, counts) if self.grouped else self.one_by_one(x, counts)

    def one_by_one(self, x: Tensor, counts: Tensor) -> Tensor:
        """Return what each expert makes of its own rows, one after the other."""
        parts, outs = x.split(shares(counts, len(x))), []  # type: ignore[no-untyped-call]
        for expert, rows in enumerate(parts):
            up_bias = None if self.up_bias is None else self.up_bias[expert]
            down_bias = None if self.down_bias is None else self.down_bias[expert]
            up = F.linear(rows, self.up[expert], up_bias)
            out = F.linear(self.hide(up), self.down[expert], down_bias)
            outs.append(out)
        return torch.cat(outs)

    def all_at_once(self, x: Tensor, counts: Tensor) -> Tensor:
        """Return the same by two products, each over all experts."""
        ends = counts.cumsum(0).to(torch.int32)
        up = F.grouped_mm(x, self.up.transpose(-2, -1), offs=ends)
        if self.up_bias is not None:
            up = up + self.up_bias.repeat_interleave(counts, dim=0, output_size=len(x))
        out = F.grouped_mm(self.hide(up), self.down.transpose(-2, -1), offs=ends)
        if self.down_bias is not None:
            out = out + self.down_bias.repeat_interleave(counts, dim=0, output_size=len(x))
        return out

    def hide(self, up: Tensor) -> Tensor:
        """Return (rows, expert_dim): act(gate) * up for gated experts, act(up) for plain ones."""
        if not self.gated:
            hidden = self.activate(up)
        else:
            gate, up = up.chunk(2, dim=-1)
            hidden = self.activate(gate)
            hidden = hidden * up
        return hidden if self.dropout is None else self.dropout(hidden)


def shares(counts: Tensor, rows: int) -> list[int]:
    """Return the rows of each expert; equal shares where the counts have no values (meta)."""
    if not counts.is_meta:
        return [int(count) for count in counts.tolist()]
    each, rest = divmod(rows, len(counts))
    return [each + (expert < rest) for expert in range(len(counts))]
