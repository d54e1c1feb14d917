"""A learned bias for each pair of places in a window."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from attntrace.blocks.axes import Axes
from attntrace.capture.tap import Tap, Taps
from attntrace.spec import Spec


class SwinBias(nn.Module):
    """A number for each head and each of the (2*window-1)^2 offsets between two places.

    Shapes: -> (heads, window*window, window*window).

    Source: Liu et al., "Swin Transformer" (2021), section 3.2, equation 4.
    """

    offsets: Tensor

    def __init__(self, spec: Spec, axes: Axes) -> None:
        super().__init__()
        side = spec.attention.window or 1
        self.table = nn.Embedding((2 * side - 1) ** 2, spec.heads)
        self.register_buffer("offsets", offsets_of(side), persistent=False)
        pairs = "window*window window*window"
        self.tap = Taps(
            Tap("bias_rows", f"{pairs} {axes.heads}", "table[offsets]"),
            Tap("bias", f"{axes.heads} {pairs}", "bias_rows, heads in front"),
        )

    def forward(self) -> Tensor:
        """Return the bias."""
        return self.tap.bias(self.tap.bias_rows(self.table(self.offsets)).permute(2, 0, 1))


def offsets_of(side: int) -> Tensor:
    """Return the number of the offset between each two places of a window, (side^2, side^2)."""
    place = torch.arange(side * side)
    row, column = place // side, place % side
    down = row.unsqueeze(1) - row + side - 1
    across = column.unsqueeze(1) - column + side - 1
    return down * (2 * side - 1) + across
