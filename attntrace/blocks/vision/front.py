"""What comes to the tokens of an image, whatever made them: a class token, and positions."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from attntrace.blocks.axes import Axes
from attntrace.blocks.positions.absolute import InputPositions
from attntrace.capture.tap import Tap, Taps
from attntrace.spec import Spec


class Front(nn.Module):
    """[class token; x] + positions, each where the spec has it.

    Shapes: x (batch, rows*columns, chan) -> (batch, tokens, chan).

    Source: Dosovitskiy et al., "An Image is Worth 16x16 Words" (2021), equation 1.
    """

    def __init__(self, spec: Spec, axes: Axes) -> None:
        super().__init__()
        a = axes
        placed = spec.positions_on == "input"
        self.class_token = (
            nn.Parameter(torch.randn(1, 1, spec.chan) * 0.02) if spec.image.class_token else None
        )
        self.positions = InputPositions(spec, a) if placed else None
        self.tap = Taps(
            Tap("class_tokens", f"{a.batch} 1 {a.chan}", "the class token, seen once a sequence"),
            Tap("classed", f"{a.batch} {a.tokens} {a.chan}", "[class_tokens; x]"),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Return (batch, tokens, chan) for x (batch, rows*columns, chan)."""
        tap = self.tap
        if self.class_token is not None:
            first = tap.class_tokens(self.class_token.expand(x.shape[0], -1, -1))
            x = tap.classed(torch.cat([first, x], dim=1))
        return x if self.positions is None else self.positions(x)
