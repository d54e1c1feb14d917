"""Block psa: C2PSA of YOLO11, which attends to half of the channels and lets the others pass.

chan                      channels of the map that comes in and goes out
heads*value_head_dim      channels that are attended to: chan * image.expansion
head_dim                  features of a head's q and k, half of value_head_dim
rows, columns             sides of the map; its places are the tokens
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from attntrace.blocks.axes import Axes
from attntrace.blocks.vision.conv_bn import ConvBN, ConvBNSiLU
from attntrace.blocks.vision.psa_attention import PSAAttention
from attntrace.capture.tap import Tap, Taps
from attntrace.spec import Spec


class PSABlock(nn.Module):
    """Attention and two 1x1 convolutions, each added to what came in.

    Shapes: x (batch, heads*value_head_dim, rows, columns) -> the same.

    Source: ultralytics `PSABlock`.
    """

    def __init__(self, spec: Spec, axes: Axes) -> None:
        super().__init__()
        a, width = axes, spec.value_width
        hidden = f"2*{a.value_width}"
        self.attn = PSAAttention(spec, a)
        self.ffn = nn.ModuleList(
            [
                ConvBNSiLU((width, 2 * width), a, hidden),
                ConvBN((2 * width, width), a, a.value_width),
            ]
        )
        on_map = f"{a.batch} {a.value_width} rows columns"
        self.tap = Taps(
            Tap("attn_residual", on_map, "x + proj"),
            Tap("hidden", f"{a.batch} {hidden} rows columns", "SiLU(BatchNorm(conv(attn_residual)))"),
            Tap("ff", on_map, "conv(hidden), BatchNorm"),
            Tap("ff_residual", on_map, "attn_residual + ff"),
        )  # fmt: skip

    def forward(self, x: Tensor) -> Tensor:
        """Return (batch, heads*value_head_dim, rows, columns) for x of that shape."""
        tap = self.tap
        x = tap.attn_residual(x + self.attn(x))
        up, down = self.ffn
        return tap.ff_residual(x + tap.ff(down(tap.hidden(up(x)))))


class C2PSA(nn.Module):
    """A convolution, PSA blocks on one part of its channels, a convolution over all again.

    Shapes: x (batch, chan, rows, columns) -> out (batch, chan, rows, columns).

    Source: ultralytics `C2PSA`, layer 10 of YOLO11; parameters have its names.
    """

    def __init__(self, spec: Spec) -> None:
        super().__init__()
        a = Axes.of(spec)
        inner = spec.value_width
        self.inner = inner
        self.cv1 = ConvBNSiLU((spec.chan, 2 * inner), a, f"2*{a.value_width}")
        self.m = nn.ModuleList([PSABlock(spec, a) for _ in range(spec.layers)])
        self.cv2 = ConvBNSiLU((2 * inner, spec.chan), a, a.chan)

        half, both = f"{a.batch} {a.value_width}", f"{a.batch} 2*{a.value_width} rows columns"
        self.tap = Taps(
            Tap("x", f"{a.batch} {a.chan} rows columns", "the map"),
            Tap("cv1", both, "SiLU(BatchNorm(conv(x)))"),
            Tap("bypass", f"{half} rows columns", "the first half of cv1"),
            Tap("attended", f"{half} rows columns", "the second half of cv1"),
            Tap("joined", both, "[bypass; what the blocks made of attended]"),
            Tap("out", f"{a.batch} {a.chan} rows columns", "SiLU(BatchNorm(conv(joined)))"),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Return (batch, chan, rows, columns) for x of that shape."""
        tap = self.tap
        x = tap.cv1(self.cv1(tap.x(x)))
        bypass, x = torch.split(x, self.inner, dim=1)
        bypass, x = tap.bypass(bypass), tap.attended(x)
        for block in self.m:
            x = block(x)
        x = tap.joined(torch.cat([bypass, x], dim=1))
        return tap.out(self.cv2(x))
