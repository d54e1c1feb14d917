"""Block patch-embed, and the stem of a ViT: an image becomes a sequence of patches.

channels, image_rows, image_columns   the image
patch                                 side of a patch
rows, columns                         patches below and beside each other
tokens                                rows*columns, and one more with a class token
chan                                  features of a token
"""

from __future__ import annotations

from torch import Tensor, nn

from attntrace.blocks.axes import Axes
from attntrace.blocks.vision.front import Front
from attntrace.capture.tap import Tap, Taps
from attntrace.spec import Spec


class PatchEmbed(nn.Module):
    """A linear map of each patch, written as a convolution that steps by its own width.

    Shapes: image (batch, channels, image_rows, image_columns) -> (batch, tokens, chan).

    Source: Dosovitskiy et al., "An Image is Worth 16x16 Words" (2021), section 3.1.
    """

    def __init__(self, spec: Spec, axes: Axes) -> None:
        super().__init__()
        image, side = spec.image, spec.image.patch
        self.proj = nn.Conv2d(image.channels, spec.chan, side, stride=side)
        self.front = Front(spec, axes)

        a = axes
        places = "rows*columns" if image.class_token else a.tokens
        self.tap = Taps(
            Tap("image", f"{a.batch} channels image_rows image_columns", "the image"),
            Tap("patch_map", f"{a.batch} {a.chan} rows columns", f"{side}x{side} convolution, a patch a step"),
            Tap("patch_row", f"{a.batch} {a.chan} {places}", "patch_map, row after row"),
            Tap("patches", f"{a.batch} {places} {a.chan}", "patch_row, tokens in front"),
        )  # fmt: skip

    def forward(self, image: Tensor) -> Tensor:
        """Return (batch, tokens, chan)."""
        tap = self.tap
        x = tap.patch_map(self.proj(tap.image(image)))
        x = tap.patches(tap.patch_row(x.flatten(2)).transpose(1, 2))
        tokens: Tensor = self.front(x)
        return tokens


class PatchEmbedBlock(PatchEmbed):
    """The stem by itself. Shapes: as `PatchEmbed`."""

    def __init__(self, spec: Spec) -> None:
        super().__init__(spec, Axes.of(spec))
