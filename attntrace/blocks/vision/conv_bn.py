"""A convolution and its BatchNorm, the brick that YOLO is built of."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from attntrace.blocks.axes import Axes
from attntrace.capture.tap import Tap, Taps


class ConvBN(nn.Module):
    """A convolution without bias that keeps the map, then BatchNorm.

    `widths` are the channels that come in and go out, `axis` is what the latter are called; a
    `depthwise` kernel looks at each channel by itself.

    Shapes: x (batch, widths[0], rows, columns) -> (batch, widths[1], rows, columns).

    Source: ultralytics `Conv` with its BatchNorm of eps 1e-3 and momentum 0.03.
    """

    def __init__(
        self,
        widths: tuple[int, int],
        axes: Axes,
        axis: str,
        *,
        kernel: int = 1,
        depthwise: bool = False,
    ) -> None:
        super().__init__()
        inner, outer = widths
        groups = inner if depthwise else 1
        self.conv = nn.Conv2d(inner, outer, kernel, padding=kernel // 2, groups=groups, bias=False)
        self.bn = nn.BatchNorm2d(outer, eps=1e-3, momentum=0.03)

        place = f"{axes.batch} {axis} rows columns"
        words = "a channel's own kernel" if depthwise else "all channels"
        self.tap = Taps(
            Tap("conv", place, f"{kernel}x{kernel} convolution, {words}"),
            Tap("normed", place, "BatchNorm(conv), each channel by its mean and variance"),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Return (batch, widths[1], rows, columns)."""
        x = self.tap.conv(self.conv(x))
        return self.tap.normed(self.bn(x))


class ConvBNSiLU(ConvBN):
    """The same, and SiLU. Shapes: as `ConvBN`."""

    def forward(self, x: Tensor) -> Tensor:
        """Return (batch, widths[1], rows, columns)."""
        return F.silu(super().forward(x))
