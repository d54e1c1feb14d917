"""Multi-head attention as h self-attentions side by side, the way it is first explained."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from attntrace.blocks.attention.layer import Attention
from attntrace.blocks.attention.words import plus
from attntrace.blocks.axes import Axes
from attntrace.blocks.guide import NOTHING, Guide
from attntrace.capture.tap import Tap, Taps
from attntrace.spec import Spec
from attntrace.spec.parts import head_of


class SeparateHeads(nn.Module):
    """Each head projects x for itself; what they find is concatenated and projected.

    Shapes: x (batch, tokens, dim), context (batch, context_tokens, context_dim) or None -> out
    (batch, tokens, chan).
    """

    def __init__(self, spec: Spec, axes: Axes) -> None:
        super().__init__()
        a = axes
        narrow = a.within(
            width=a.head_dim,
            kv_width=a.head_dim,
            kv_value_width=a.value_head_dim,
            value_width=a.value_head_dim,
            chan=a.value_head_dim,
            heads="1",
            kv_heads="1",
        )
        self.each = nn.ModuleList(Attention(head_of(spec), narrow) for _ in range(spec.heads))
        bias = spec.attention.out_bias
        self.proj = (
            nn.Linear(spec.value_width, spec.chan, bias=bias) if spec.attention.out_proj else None
        )
        self.tap = Taps(
            Tap("context_merged", f"{a.batch} {a.tokens} {a.value_width}", "the heads' contexts, side by side"),
            Tap("proj", f"{a.batch} {a.tokens} {a.chan}", f"context_merged W_proj^T{plus(bias, 'proj')}"),
        )  # fmt: skip

    def forward(self, x: Tensor, context: Tensor | None = None, guide: Guide = NOTHING) -> Tensor:
        """Return (batch, tokens, chan) for x (batch, tokens, dim)."""
        found = [head(x, context, guide) for head in self.each]
        merged = self.tap.context_merged(torch.cat(found, dim=-1))
        return merged if self.proj is None else self.tap.proj(self.proj(merged))
