"""The gated feed-forward: SwiGLU with silu, GEGLU with gelu."""

from __future__ import annotations

from torch import Tensor, nn

from attntrace.blocks.axes import Axes
from attntrace.blocks.feed_forward.activation import ACTIVATIONS
from attntrace.capture.tap import Tap, Taps
from attntrace.spec import Spec


class GatedFeedForward(nn.Module):
    """(act(x W_gate^T) * x W_up^T) W_down^T, with dropout of the hidden features.

    Shapes: x (batch, tokens, chan) -> out (batch, tokens, chan).

    Source: Shazeer, "GLU Variants Improve Transformer" (2020), section 2.
    """

    def __init__(self, spec: Spec, axes: Axes) -> None:
        super().__init__()
        part = spec.feed_forward
        self.gate = nn.Linear(spec.chan, spec.ff_dim, bias=part.bias)
        self.up = nn.Linear(spec.chan, spec.ff_dim, bias=part.bias)
        self.down = nn.Linear(spec.ff_dim, spec.chan, bias=part.bias)
        self.dropout = nn.Dropout(part.dropout) if part.dropout else None
        self.activate = ACTIVATIONS[part.activation]

        a, bias = axes, " + b" if part.bias else ""
        hidden = f"{a.batch} {a.tokens} {a.ff_dim}"
        self.tap = Taps(
            Tap("gate", hidden, f"x W_gate^T{bias}"),
            Tap("activated", hidden, f"{part.activation}(gate)"),
            Tap("up", hidden, f"x W_up^T{bias}"),
            Tap("gated", hidden, "activated * up"),
            Tap("dropped", hidden, "gated, some of it 0, the rest larger"),
            Tap(
                "out",
                f"{a.batch} {a.tokens} {a.chan}",
                f"{'dropped' if part.dropout else 'gated'} W_down^T{bias}",
            ),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Return (batch, tokens, chan) for x (batch, tokens, chan)."""
        gate = self.tap.activated(self.activate(self.tap.gate(self.gate(x))))
        gated = self.tap.gated(gate * self.tap.up(self.up(x)))
        if self.dropout is not None:
            gated = self.tap.dropped(self.dropout(gated))
        return self.tap.out(self.down(gated))
