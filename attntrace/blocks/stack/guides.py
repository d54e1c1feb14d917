"""A guide for each layer of a stack: one for all, or two where some layers see past the window."""

from __future__ import annotations

from torch import Tensor, nn

from attntrace.blocks.attention_block import needs_guidance
from attntrace.blocks.axes import Axes
from attntrace.blocks.guidance import Guidance
from attntrace.blocks.guide import NOTHING, Guide, Past
from attntrace.spec import Spec
from attntrace.spec.parts import full_of, sees_all


class Guides(nn.Module):
    """What the layers are told, made once for all that are told the same.

    Shapes: x (batch, tokens, chan), lengths (batch,) or None, past one `Past` a layer or none ->
    one `Guide` a layer.
    """

    def __init__(self, spec: Spec, axes: Axes) -> None:
        super().__init__()
        self.full_at = [sees_all(spec, number) for number in range(spec.layers)]
        self.usual = Guidance(spec, axes) if needs_guidance(spec) else None
        full = full_of(spec)
        needed = any(self.full_at) and needs_guidance(full)
        self.full = Guidance(full, full_axes(axes)) if needed else None

    def forward(
        self, x: Tensor, lengths: Tensor | None = None, past: tuple[Past, ...] = ()
    ) -> list[Guide]:
        """Return the guides of the layers, in order."""
        usual = NOTHING if self.usual is None else self.usual(x, lengths)
        full = NOTHING if self.full is None else self.full(x, lengths)
        guides = [full if is_full else usual for is_full in self.full_at]
        if not past:
            return guides
        return [guide.after(layer) for guide, layer in zip(guides, past, strict=True)]


def full_axes(axes: Axes) -> Axes:
    """Return the words of a layer that sees past the window: its cache holds all tokens."""
    return axes.within(keys="all_past+tokens") if "past" in axes.keys else axes
