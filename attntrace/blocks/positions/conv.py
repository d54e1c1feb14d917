"""A depthwise convolution of the values: position from the neighbourhood."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from attntrace.blocks.axes import Axes
from attntrace.blocks.heads import HeadLayout
from attntrace.capture.tap import Tap, Taps
from attntrace.spec import Spec


class ValueConv(nn.Module):
    """Values on their map, each feature with a kernel of its own.

    Shapes: v (batch, heads, tokens, value_head_dim), in the layout of the spec -> (batch, tokens,
    heads*value_head_dim), to be added to the context.

    Source: Dong et al., "CSWin Transformer" (2022), section 3.3; YOLO11's PSA does the same.
    """

    def __init__(self, spec: Spec, axes: Axes) -> None:
        super().__init__()
        assert spec.map is not None, "a rule asks for a map"
        a, kernel = axes, spec.positions.kernel
        self.map, self.layout = spec.map, HeadLayout(spec.attention.layout)
        width = spec.value_width
        self.conv = nn.Conv2d(width, width, kernel, padding=kernel // 2, groups=width)
        grid = f"{a.batch} {a.value_width} {a.rows} {a.columns}"
        self.tap = Taps(
            Tap("v_map", grid, "v, all heads side by side, on its map"),
            Tap("v_conv_map", grid, "depthwise conv(v_map)"),
            Tap("v_conv", f"{a.batch} {a.tokens} {a.value_width}", "v_conv_map, a token a place"),
        )

    def forward(self, v: Tensor) -> Tensor:
        """Return what is added to the context."""
        if self.layout.name == "token-first":
            v = v.transpose(1, 2)
        if self.layout.name in ("heads-first", "token-first"):
            v = v.transpose(-2, -1).flatten(1, 2)
        else:  # one head, or heads beside the batch
            v = v.transpose(-2, -1).reshape(-1, self.conv.in_channels, v.shape[-2])
        v = self.tap.v_map(torch.unflatten(v, -1, self.map))
        return self.tap.v_conv(self.tap.v_conv_map(self.conv(v)).flatten(2).transpose(1, 2))
