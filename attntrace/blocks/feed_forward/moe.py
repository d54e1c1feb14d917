"""The mixture of experts: a router sends each token to a few of many feed-forwards."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from attntrace.blocks.axes import Axes
from attntrace.blocks.feed_forward.experts import Experts
from attntrace.blocks.feed_forward.glu import GatedFeedForward
from attntrace.blocks.feed_forward.router import Router
from attntrace.capture.tap import Tap, Taps
from attntrace.spec import Spec
from attntrace.spec.parts import shared_expert_of


class MixtureOfExperts(nn.Module):
    """The weighted sum of a token's experts, and of the experts that every token goes to.

    Shapes: x (batch, tokens, chan) -> out (batch, tokens, chan). Every token takes part
    experts_per_token times; these rows are sorted by expert, worked on, and sorted back.

    Source: Jiang et al., "Mixtral of Experts" (2024), section 2.1; Dai et al., "DeepSeekMoE"
    (2024), section 3, for the shared experts; Qwen2-MoE (2024) for their gate.
    """

    def __init__(self, spec: Spec, axes: Axes) -> None:
        super().__init__()
        part, a = spec.feed_forward, axes
        assert part.experts is not None  # the spec's rules ask for both
        assert part.experts_per_token is not None
        self.number, self.experts_per_token = part.experts, part.experts_per_token
        self.router = Router(spec, axes)
        self.experts = Experts(spec)
        self.shared = self.shared_gate = None
        if part.shared_experts:
            inside = a.within(ff_dim="shared_dim")
            self.shared = GatedFeedForward(shared_expert_of(spec), inside)
        if part.shared_gate:
            self.shared_gate = nn.Linear(spec.chan, 1, bias=False)

        rows, x = f"{a.batch}*{a.tokens}", f"{a.batch} {a.tokens} {a.chan}"
        taken = f"{rows}*experts_per_token"
        self.tap = Taps(
            Tap("flat", f"{rows} {a.chan}", "x, one token after the other"),
            Tap("chosen", taken, "expert_ids, one after the other"),
            Tap("order", taken, "where each row comes from when they are sorted by expert"),
            Tap("tokens_per_expert", "experts", "how often each expert was chosen"),
            Tap("sorted_tokens", f"{taken} {a.chan}", "the token of each row, sorted by expert"),
            Tap("sorted_out", f"{taken} {a.chan}", "what the experts make of their rows"),
            Tap("expert_out", f"{taken} {a.chan}", "sorted_out, as the tokens chose"),
            Tap("expert_parts", f"{rows} experts_per_token {a.chan}", "expert_out by token"),
            Tap("weighted", f"{rows} experts_per_token {a.chan}", "expert_parts * expert_weights"),
            Tap("routed", f"{rows} {a.chan}", "sum of weighted over the experts of a token"),
            Tap("routed_out", x, "routed, by sequence"),
            Tap("shared_weight", f"{a.batch} {a.tokens} 1", "sigmoid(x W_gate^T)"),
            Tap("shared_out", x, "what the shared experts make of x, times shared_weight"),
            Tap("out", x, "routed_out + shared_out"),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Return (batch, tokens, chan) for x (batch, tokens, chan)."""
        tap = self.tap
        flat = tap.flat(x.flatten(0, 1))
        weights, ids = self.router(flat)
        out = tap.routed_out(self.dispatch(flat, weights, ids).view_as(x))
        return out if self.shared is None else tap.out(out + self.shared_part(x))

    def shared_part(self, x: Tensor) -> Tensor:
        """Return what the experts that every token goes to make of x (batch, tokens, chan)."""
        assert self.shared is not None, "asked for where there are some"
        part: Tensor = self.shared(x)
        if self.shared_gate is None:
            return part
        weight = self.tap.shared_weight(self.shared_gate(x).sigmoid())
        return self.tap.shared_out(part * weight)

    def dispatch(self, flat: Tensor, weights: Tensor, ids: Tensor) -> Tensor:
        """Return (batch*tokens, chan): the sum of what the experts of each token make of it."""
        tap = self.tap
        chosen = tap.chosen(ids.flatten())
        order = tap.order(chosen.argsort(stable=True))
        counts = tap.tokens_per_expert(F.one_hot(chosen, self.number).sum(dim=0))
        rows = tap.sorted_tokens(flat[order // self.experts_per_token])
        rows = tap.sorted_out(self.experts(rows, counts))
        rows = tap.expert_out(rows[order.argsort()])
        rows = tap.expert_parts(rows.reshape(*ids.shape, -1))
        rows = tap.weighted(rows * weights.unsqueeze(-1))
        return tap.routed(rows.sum(dim=1))
