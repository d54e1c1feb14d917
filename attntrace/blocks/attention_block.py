"""The block `attention`: one layer by itself, with its positions, its mask and its skip."""

from __future__ import annotations

from torch import Tensor, nn

from attntrace.blocks.attention import attention
from attntrace.blocks.attention.kv import Repeat
from attntrace.blocks.attention.layer import ATTENDS
from attntrace.blocks.attention.words import returned_by
from attntrace.blocks.axes import Axes
from attntrace.blocks.guidance import Guidance
from attntrace.blocks.guide import NOTHING, Past
from attntrace.blocks.heads import HeadLayout
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
            Tap(
                "x_context", f"{a.batch} {a.keys} context_dim", "what keys and values are made from"
            ),
            Tap("out", f"{a.batch} {a.tokens} {a.chan}", f"x + {returned_by(spec)}"),
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
            context = tap.x_context(context)
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


class BareAttention(nn.Module):
    """q, k and v come in, and the context goes out: nothing is projected.

    Shapes: q (batch, heads, tokens, head_dim), k (batch, heads, keys, head_dim), v (batch, heads,
    keys, value_head_dim), in the layout of the spec, lengths (batch,) or None -> context (batch,
    heads, tokens, value_head_dim).
    """

    def __init__(self, spec: Spec) -> None:
        super().__init__()
        a, layout = Axes.of(spec), HeadLayout(spec.attention.layout)
        self.guidance = Guidance(spec, a) if needs_guidance(spec) else None
        self.repeat = Repeat(spec, a) if spec.kv_heads != spec.heads else None
        self.attend = ATTENDS.get(spec.kind, ATTENDS[spec.attention.impl])(spec, a)
        self.tap = Taps(
            Tap("q", layout.axes(a.batch, a.heads, a.tokens, a.head_dim), "what tokens look for"),
            Tap("k", layout.axes(a.batch, a.kv_heads, a.keys, a.head_dim), "what they offer"),
            Tap("v", layout.axes(a.batch, a.kv_heads, a.keys, a.value_head_dim), "what they pass on"),
        )  # fmt: skip

    def forward(self, q: Tensor, k: Tensor, v: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Return what each query finds."""
        q, k, v = self.tap.q(q), self.tap.k(k), self.tap.v(v)
        guide = NOTHING if self.guidance is None else self.guidance.of_scores(q, lengths)
        if self.repeat is not None:
            k, v = self.repeat(k, v)
        context: Tensor = self.attend(q, k, v, guide)
        return context


def attention_block(spec: Spec) -> AttentionBlock | BareAttention:
    """Return the block `attention` of a spec, with its projections or without."""
    return (BareAttention if spec.qkv == "none" else AttentionBlock)(spec)


def needs_guidance(spec: Spec) -> bool:
    """Return whether a layer of this spec is told anything beside its tokens."""
    on_scores_or_qk = spec.positions.kind in ("rope", "alibi", "t5") or spec.adds_to_qk
    return bool(spec.masks) or on_scores_or_qk
