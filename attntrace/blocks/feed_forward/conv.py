"""The convolutional feed-forward: tokens meet their neighbours on the map."""

from __future__ import annotations

from torch import Tensor, nn

from attntrace.blocks.axes import Axes
from attntrace.blocks.feed_forward.activation import ACTIVATIONS
from attntrace.capture.tap import Tap, Taps
from attntrace.spec import Spec


class ConvFeedForward(nn.Module):
    """A 1x1 convolution up, a depthwise one over the map, a nonlinearity, a 1x1 one down.

    Shapes: x (batch, rows*columns, chan) -> out (batch, rows*columns, chan).

    Source: Li et al., "LocalViT" (2021), section 3.3, without its batch norms.
    """

    def __init__(self, spec: Spec, axes: Axes) -> None:
        super().__init__()
        part = spec.feed_forward
        assert spec.map is not None  # the spec's rules ask for it
        self.map = spec.map
        self.up = nn.Conv2d(spec.chan, spec.ff_dim, 1, bias=part.bias)
        self.depthwise = nn.Conv2d(
            spec.ff_dim,
            spec.ff_dim,
            part.kernel,
            padding="same",
            groups=spec.ff_dim,
            bias=part.bias,
        )
        self.down = nn.Conv2d(spec.ff_dim, spec.chan, 1, bias=part.bias)
        self.dropout = nn.Dropout(part.dropout) if part.dropout else None
        self.activate = ACTIVATIONS[part.activation]

        a = axes
        hidden, grid = f"{a.batch} {a.ff_dim} rows columns", f"{a.batch} {a.chan} rows columns"
        self.tap = Taps(
            Tap("x_t", f"{a.batch} {a.chan} {a.tokens}", "x, features in front of tokens"),
            Tap("x_map", grid, "x_t, tokens on the map"),
            Tap("hidden", hidden, "1x1 convolution of x_map"),
            Tap("mixed", hidden, f"{part.kernel}x{part.kernel} depthwise convolution of hidden"),
            Tap("activated", hidden, f"{part.activation}(mixed)"),
            Tap("dropped", hidden, "activated, some of it 0, the rest larger"),
            Tap(
                "out_map", grid, f"1x1 convolution of {'dropped' if part.dropout else 'activated'}"
            ),
            Tap("out_flat", f"{a.batch} {a.chan} {a.tokens}", "out_map, rows one after the other"),
            Tap("out", f"{a.batch} {a.tokens} {a.chan}", "out_flat, tokens in front of features"),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Return (batch, tokens, chan) for x (batch, tokens, chan), tokens row after row."""
        tap = self.tap
        batch, _, chan = x.shape
        x = tap.x_map(tap.x_t(x.transpose(1, 2)).reshape(batch, chan, *self.map))
        hidden = tap.mixed(self.depthwise(tap.hidden(self.up(x))))
        hidden = tap.activated(self.activate(hidden))
        if self.dropout is not None:
            hidden = tap.dropped(self.dropout(hidden))
        out = tap.out_map(self.down(hidden))
        return tap.out(tap.out_flat(out.flatten(2)).transpose(1, 2))
