"""Attention inside the windows of a map, and between neighbours by shifting them."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from attntrace.blocks.attention.layer import Attention
from attntrace.blocks.axes import Axes
from attntrace.blocks.guide import NOTHING, Guide
from attntrace.blocks.positions.swin import SwinBias
from attntrace.capture.tap import Tap, Taps
from attntrace.spec import Spec
from attntrace.spec.parts import window_of


class WindowAttention(nn.Module):
    """Cut the map into windows, attend inside each, put the map together again.

    With a shift the map is rolled first, so that windows span what was a border; a mask keeps
    parts that are neighbours only because of the rolling from seeing each other.

    Shapes: x (batch, rows*columns, dim) -> out (batch, rows*columns, chan).

    Source: Liu et al., "Swin Transformer" (2021), section 3.2.
    """

    def __init__(self, spec: Spec, axes: Axes) -> None:
        super().__init__()
        assert spec.map is not None and spec.attention.window  # noqa: PT018 - rules ask for both
        self.map, self.side, self.shift = spec.map, spec.attention.window, spec.attention.shift
        self.fused = spec.attention.impl == "sdpa"
        a = axes
        windows = "rows//window*(columns//window)"
        inside = a.within(
            batch=f"{a.batch}*{windows}",
            tokens="window*window",
            keys="window*window",
            rows="window",
            columns="window",
        )
        self.bias = SwinBias(spec, a) if spec.positions.kind == "swin" else None
        self.attention = Attention(window_of(spec), inside)
        grid = f"{a.batch} rows columns"
        cut = "rows//window window columns//window window"
        one = f"{windows} window*window"
        self.tap = Taps(
            Tap("x_map", f"{grid} {a.dim}", "x, tokens on their map"),
            Tap("x_rolled", f"{grid} {a.dim}", f"x_map, {self.shift} up and to the left"),
            Tap("x_cut", f"{a.batch} {cut} {a.dim}", "the map, cut into windows"),
            Tap("x_windows", f"{a.batch}*{windows} window*window {a.dim}", "x_cut, a sequence a window"),
            Tap("regions", one, "which side of a border each place was on"),
            Tap("mask", f"{one} window*window", "places that were no neighbours"),
            Tap("mask_windows", f"{a.batch}*{windows} 1 window*window window*window", "mask, for each sequence"),
            Tap("out_cut", f"{a.batch} {cut} {a.chan}", "the windows' outputs, side by side"),
            Tap("out_map", f"{grid} {a.chan}", "out_cut, put together"),
            Tap("out_unrolled", f"{grid} {a.chan}", f"out_map, {self.shift} down and to the right"),
            Tap("out", f"{a.batch} {a.tokens} {a.chan}", "the map, a token a place"),
        )  # fmt: skip

    def forward(self, x: Tensor, context: Tensor | None = None, guide: Guide = NOTHING) -> Tensor:
        """Return (batch, tokens, chan) for x (batch, tokens, dim)."""
        assert context is None, "a rule refuses a context"
        tap, batch, shift = self.tap, x.shape[0], self.shift
        x = tap.x_map(torch.unflatten(x, 1, self.map))
        if shift:
            x = tap.x_rolled(x.roll((-shift, -shift), dims=(1, 2)))
        x = self.windows(x)
        inner = Guide(
            mask=self.mask(x.device, batch) if shift else None,
            bias=None if self.bias is None else self.bias(),
            rotary=guide.rotary,
        )
        x = self.attention(x, None, inner)
        rows, columns = (side // self.side for side in self.map)
        x = x.reshape(batch, rows, columns, self.side, self.side, -1).transpose(2, 3)
        x = tap.out_map(tap.out_cut(x).reshape(batch, *self.map, -1))
        if shift:
            x = tap.out_unrolled(x.roll((shift, shift), dims=(1, 2)))
        return tap.out(x.flatten(1, 2))

    def windows(self, x: Tensor) -> Tensor:
        """Return (batch*windows, window*window, dim) for x (batch, rows, columns, dim)."""
        side = self.side
        batch, rows, columns, width = x.shape
        x = self.tap.x_cut(x.reshape(batch, rows // side, side, columns // side, side, width))
        return self.tap.x_windows(x.transpose(2, 3).reshape(-1, side * side, width))

    def mask(self, device: torch.device, batch: int) -> Tensor:
        """Return which places of a window were not on the same side of the map's border.

        (batch*windows, 1, window*window, window*window), True as the attention wants it: hidden
        in eager, seen in sdpa.
        """
        tap, side = self.tap, self.side
        rows, columns = (self.bands(size, device) for size in self.map)
        grid = torch.unflatten(rows.unsqueeze(1) * 3 + columns, 1, (-1, side))
        grid = torch.unflatten(grid, 0, (-1, side))
        regions = tap.regions(grid.transpose(1, 2).reshape(-1, side * side))
        apart = regions.unsqueeze(1) - regions.unsqueeze(2)
        mask = tap.mask(apart == 0 if self.fused else apart != 0)
        return tap.mask_windows(mask.repeat(batch, 1, 1).unsqueeze(1))

    def bands(self, size: int, device: torch.device) -> Tensor:
        """Return 0, 1 or 2 for each place of a side: inside, beside the border, rolled over it."""
        place = torch.arange(size, device=device)
        return (place >= size - self.side).long() + (place >= size - self.shift).long()
