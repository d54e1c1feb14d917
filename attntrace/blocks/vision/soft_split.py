"""T2T's soft split: overlapping patches of a map become longer tokens of a smaller map."""

from __future__ import annotations

from torch import Tensor, nn

from attntrace.blocks.axes import Axes
from attntrace.capture.tap import Tap, Taps
from attntrace.spec import Spec


class SoftSplit(nn.Module):
    """Each token is a kernel's worth of the map, its kernel^2 places side by side.

    `features` and `places` are what the token's features and the tokens are called.

    Shapes: x (batch, channels, rows above, columns above) -> (batch, rows*columns,
    kernel^2*channels).

    Source: Yuan et al., "Tokens-to-Token ViT" (2021), section 3.1, equation 3.
    """

    def __init__(self, spec: Spec, axes: Axes, number: int, features: str, places: str) -> None:
        super().__init__()
        image, batch = spec.image, axes.batch
        kernel = image.kernels[number]
        self.unfold = nn.Unfold(kernel, stride=image.strides[number], padding=image.pads[number])
        self.tap = Taps(
            Tap("unfolded", f"{batch} {features} {places}", f"every {kernel}x{kernel} patch"),
            Tap("split", f"{batch} {places} {features}", "unfolded, tokens in front"),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Return the tokens (batch, rows*columns, kernel^2*channels)."""
        x = self.tap.unfolded(self.unfold(x))
        return self.tap.split(x.transpose(1, 2))
