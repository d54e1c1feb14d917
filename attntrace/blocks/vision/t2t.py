"""Block t2t, and the stem of a T2T-ViT: an image becomes tokens in several soft splits.

channels, image_rows, image_columns   the image
token_dim                             features of a token between two splits
rows_1, columns_1                     the map after the first split, rows_2 ... after the second
rows, columns                         the map after the last; tokens with a class token
chan                                  features of a token that goes out
"""

from __future__ import annotations

from torch import Tensor, nn

from attntrace.blocks.attention import Attention
from attntrace.blocks.axes import Axes
from attntrace.blocks.stack.layer import Layer
from attntrace.blocks.vision.front import Front
from attntrace.blocks.vision.soft_split import SoftSplit
from attntrace.capture.tap import Tap, Taps
from attntrace.spec import Spec
from attntrace.spec.defaults import split_maps
from attntrace.spec.token_layers import split_width, token_layer_of


class TokensToToken(nn.Module):
    """Soft splits with attention in between, and a linear map to chan.

    Shapes: image (batch, channels, image_rows, image_columns) -> (batch, tokens, chan).

    Source: Yuan et al., "Tokens-to-Token ViT: Training Vision Transformers from Scratch on
    ImageNet" (2021), section 3.1.
    """

    def __init__(self, spec: Spec, axes: Axes) -> None:
        super().__init__()
        image = spec.image
        last = len(image.kernels) - 1
        places = [f"rows_{number}*columns_{number}" for number in range(1, last + 1)]
        places.append("rows*columns" if image.class_token else axes.tokens)
        wide = [
            f"{kernel**2}*{'token_dim' if at else 'channels'}"
            for at, kernel in enumerate(image.kernels)
        ]
        self.splits = nn.ModuleList(
            [SoftSplit(spec, axes, at, wide[at], places[at]) for at in range(last + 1)]
        )
        self.steps = nn.ModuleList([TokenStep(spec, axes, at, wide[at]) for at in range(last)])
        self.project = nn.Linear(split_width(spec, last), spec.chan)
        self.front = Front(spec, axes)

        a = axes
        self.tap = Taps(
            Tap("image", f"{a.batch} channels image_rows image_columns", "the image"),
            Tap("project", f"{a.batch} {places[last]} {a.chan}", "split W_project^T + b_project"),
        )

    def forward(self, image: Tensor) -> Tensor:
        """Return (batch, tokens, chan)."""
        x = self.tap.image(image)
        for split, step in zip(self.splits, self.steps, strict=False):
            x = step(split(x))
        x = self.splits[-1](x)
        x = self.tap.project(self.project(x))
        tokens: Tensor = self.front(x)
        return tokens


class TokenStep(nn.Module):
    """Attention among the tokens of one split, and back to a map.

    Shapes: x (batch, rows*columns, kernel^2*channels) -> (batch, token_dim, rows, columns).
    """

    def __init__(self, spec: Spec, axes: Axes, number: int, width: str) -> None:
        super().__init__()
        self.map = split_maps(spec.image)[number]
        rows, columns = f"rows_{number + 1}", f"columns_{number + 1}"
        layer = token_layer_of(spec, number)
        inner = token_axes(layer, axes, f"{rows}*{columns}", width)
        self.layer = Attention(layer, inner) if layer.block == "attention" else Layer(layer, inner)

        self.tap = Taps(
            Tap(
                "tokens_t", f"{axes.batch} token_dim {rows}*{columns}", "tokens, features in front"
            ),
            Tap("map", f"{axes.batch} token_dim {rows} {columns}", "tokens_t, row after row"),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Return the map (batch, token_dim, rows, columns)."""
        x = self.tap.tokens_t(self.layer(x).transpose(1, 2))
        return self.tap.map(x.reshape(*x.shape[:2], *self.map))


class T2TBlock(TokensToToken):
    """The stem by itself. Shapes: as `TokensToToken`."""

    def __init__(self, spec: Spec) -> None:
        super().__init__(spec, Axes.of(spec))


def token_axes(layer: Spec, axes: Axes, places: str, width: str) -> Axes:
    """Return the words of a layer between two splits: one head, all of it token_dim wide."""
    inner = "token_dim"
    return Axes(
        batch=axes.batch,
        tokens=places,
        keys=places,
        dim=width,
        chan=inner,
        head_dim=inner,
        value_head_dim=inner,
        width=inner,
        kv_width=inner,
        kv_value_width=inner,
        value_width=inner,
        ff_dim=inner,
        kernel_features=f"{inner}//2" if layer.head_dim > 1 else "1",
    )
