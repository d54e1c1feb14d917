"""One layer of a stack: attention, cross-attention in a decoder, feed-forward."""

from __future__ import annotations

from typing import cast

from torch import Tensor, nn

from attntrace.blocks.attention import attention
from attntrace.blocks.axes import Axes
from attntrace.blocks.checkpoint import checkpointed
from attntrace.blocks.feed_forward import feed_forward
from attntrace.blocks.guide import NOTHING, Guide
from attntrace.blocks.norm import norm
from attntrace.blocks.stack.guides import full_axes
from attntrace.blocks.stack.residual import Residual
from attntrace.capture.tap import Tap, Taps
from attntrace.spec import Spec
from attntrace.spec.parts import cross_of, layer_of, sees_all


class Layer(nn.Module):
    """Parts one after the other, each with a residual around it.

    Shapes: x (batch, tokens, chan), memory (batch, context_tokens, context_dim) or None -> (batch,
    tokens, chan). Only a first layer whose skip adds the values may take another dim.
    """

    def __init__(self, spec: Spec, axes: Axes) -> None:
        super().__init__()
        inside = axes.within(dim=axes.chan)
        adds = spec.skip != "value"
        self.attention = attention(spec, axes)
        self.attention_residual = Residual(spec, axes, adds=adds)
        self.cross_attention = self.cross_residual = None
        if spec.stack.cross:
            cross = cross_of(spec)
            names = Axes.of(cross).within(dim=axes.chan)
            self.cross_attention = attention(cross, names)
            self.cross_residual = Residual(cross, inside)
        self.feed_forward = self.feed_forward_residual = None
        if spec.feed_forward.kind != "none":
            self.feed_forward = feed_forward(spec, inside)
            self.feed_forward_residual = Residual(spec, inside)

    def forward(
        self,
        x: Tensor,
        guide: Guide = NOTHING,
        memory: Tensor | None = None,
        memory_guide: Guide = NOTHING,
    ) -> Tensor:
        """Return (batch, tokens, chan)."""
        around = self.attention_residual
        x = around.after(x, self.attention(around.before(x), None, guide))
        if self.cross_attention is not None and self.cross_residual is not None:
            around = self.cross_residual
            x = around.after(x, self.cross_attention(around.before(x), memory, memory_guide))
        if self.feed_forward is not None and self.feed_forward_residual is not None:
            around = self.feed_forward_residual
            x = around.after(x, self.feed_forward(around.before(x)))
        return x


class ParallelLayer(nn.Module):
    """x + attention(norm(x)) + feed_forward(norm(x)), with one norm for both or one each.

    Shapes: x (batch, tokens, chan) -> the same.

    Source: Wang and Komatsuzaki, GPT-J (2021); Black et al., "GPT-NeoX-20B" (2022), section 2.1.
    """

    def __init__(self, spec: Spec, axes: Axes) -> None:
        super().__init__()
        a = axes
        self.attention = attention(spec, a)
        self.feed_forward = feed_forward(spec, a)
        self.norm = norm(spec, spec.chan)
        self.norm_feed_forward = norm(spec, spec.chan) if spec.norm.parallel_norms == 2 else None
        self.dropout = nn.Dropout(spec.stack.dropout) if spec.stack.dropout else None
        tokens = f"{a.batch} {a.tokens} {a.chan}"
        self.tap = Taps(
            Tap("normed", tokens, f"{spec.norm.kind}(x)"),
            Tap("normed_feed_forward", tokens, f"another {spec.norm.kind}(x)"),
            Tap("parts", tokens, "attention + feed_forward"),
            Tap("dropped", tokens, "parts, some of it 0"),
            Tap("residual", tokens, "x + parts"),
        )

    def forward(
        self,
        x: Tensor,
        guide: Guide = NOTHING,
        memory: Tensor | None = None,
        memory_guide: Guide = NOTHING,
    ) -> Tensor:
        """Return (batch, tokens, chan)."""
        assert memory is None, "a rule refuses cross-attention"
        assert memory_guide is NOTHING, "a rule refuses cross-attention"
        tap = self.tap
        normed = tap.normed(self.norm(x))
        attended = cast(Tensor, self.attention(normed, None, guide))
        if self.norm_feed_forward is not None:
            normed = tap.normed_feed_forward(self.norm_feed_forward(x))
        parts = tap.parts(attended + self.feed_forward(normed))
        if self.dropout is not None:
            parts = tap.dropped(self.dropout(parts))
        return tap.residual(x + parts)


def layer(spec: Spec, axes: Axes, number: int) -> Layer | ParallelLayer:
    """Return the layer of that number in a stack."""
    part = layer_of(spec, number)
    if sees_all(spec, number):
        axes = full_axes(axes)
    names = axes if number == 0 and not spec.embeds else axes.within(dim=axes.chan)
    made = (ParallelLayer if spec.norm.place == "parallel" else Layer)(part, names)
    return checkpointed(made) if spec.run.checkpoint else made
