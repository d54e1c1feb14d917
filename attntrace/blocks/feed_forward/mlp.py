"""The plain feed-forward: up, a nonlinearity, down."""

from __future__ import annotations

from torch import Tensor, nn

from attntrace.blocks.axes import Axes
from attntrace.blocks.feed_forward.activation import ACTIVATIONS
from attntrace.capture.tap import Tap, Taps
from attntrace.spec import Spec


class FeedForward(nn.Module):
    """act(x W_up^T + b_up) W_down^T + b_down, with dropout of the hidden features.

    Shapes: x (batch, tokens, chan) -> out (batch, tokens, chan).

    Source: Vaswani et al., "Attention Is All You Need" (2017), section 3.3.
    """

    def __init__(self, spec: Spec, axes: Axes) -> None:
        super().__init__()
        part = spec.feed_forward
        self.up = nn.Linear(spec.chan, spec.ff_dim, bias=part.bias)
        self.down = nn.Linear(spec.ff_dim, spec.chan, bias=part.bias)
        self.dropout = nn.Dropout(part.dropout) if part.dropout else None
        self.activate = ACTIVATIONS[part.activation]

        a, (b_up, b_down) = axes, (" + b_up", " + b_down") if part.bias else ("", "")
        hidden = f"{a.batch} {a.tokens} {a.ff_dim}"
        self.tap = Taps(
            Tap("hidden", hidden, f"x W_up^T{b_up}"),
            Tap("activated", hidden, f"{part.activation}(hidden)"),
            Tap("dropped", hidden, "activated, some of it 0, the rest larger"),
            Tap(
                "out",
                f"{a.batch} {a.tokens} {a.chan}",
                f"{'dropped' if part.dropout else 'activated'} W_down^T{b_down}",
            ),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Return (batch, tokens, chan) for x (batch, tokens, chan)."""
        hidden = self.tap.hidden(self.up(x))
        hidden = self.tap.activated(self.activate(hidden))
        if self.dropout is not None:
            hidden = self.tap.dropped(self.dropout(hidden))
        return self.tap.out(self.down(hidden))
