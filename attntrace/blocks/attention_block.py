"""The block `attention`: one layer by itself, with its positions, its mask and its skip."""

from __future__ import annotations

from torch import Tensor, nn

from attntrace.blocks.attention import attention
from attntrace.blocks.axes import Axes
from attntrace.blocks.guidance import Guidance
from attntrace.blocks.guide import NOTHING, Past
from attntrace.blocks.positions.absolute import InputPositions
from attntrace.capture.tap import Tap, Taps
from attntrace.spec import Spec
from attntrace.spec.parts import context_of


class AttentionBlock(nn.Module):
    """One attention layer on tokens.

    Shapes: x (batch, tokens, dim), context (batch, context_tokens, context_dim) or None, past as
    `Past`, lengths (batch,) -> out (batch, tokens, chan), and with a cache what it holds then.
    """

    def __init__(self, spec: Spec) -> None:
        super().__init__()
        a = Axes.of(spec)
        on_input = spec.positions_on == "input"
        self.adds_input = spec.skip == "input"
        self.place = InputPositions(spec, a) if on_input else None
        self.place_context = (
            InputPositions(context_of(spec), a.of_context()) if on_input and spec.cross else None
        )
        self.guidance = Guidance(spec, a) if needs_guidance(spec) else None
        self.attention = attention(spec, a)
        x = f"{a.batch} {a.tokens} {a.dim}"
        self.tap = Taps(
            Tap("x", x, "the tokens"),
            Tap("context", f"{a.batch} {a.keys} context_dim", "what keys and values are made from"),
            Tap("out", f"{a.batch} {a.tokens} {a.chan}", "x + proj"),
        )

    def forward(
        self,
        x: Tensor,
        context: Tensor | None = None,
        past: Past | None = None,
        lengths: Tensor | None = None,
    ) -> Tensor | tuple[Tensor, Past]:
        """Return (batch, tokens, chan) for x (batch, tokens, dim)."""
        tap = self.tap
        x = tap.x(x)
        if context is not None:
            context = tap.context(context)
        placed = x if self.place is None else self.place(x)
        if self.place_context is not None:
            context = self.place_context(context)
        guide = NOTHING
        if self.guidance is not None:
            guide = self.guidance(placed, lengths, context)
        if past is not None:
            guide = guide.after(past)
        out = self.attention(placed, context, guide)
        if self.adds_input:
            out = tap.out(x + out)
        return out if past is None else (out, guide.present[0])


def needs_guidance(spec: Spec) -> bool:
    """Return whether a layer of this spec is told anything beside its tokens."""
    on_scores_or_qk = spec.positions.kind in ("rope", "alibi", "t5") or spec.adds_to_qk
    return bool(spec.masks) or on_scores_or_qk
