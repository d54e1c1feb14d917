"""The recurrent encoder: one state a token of the context."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from attntrace.blocks.axes import Axes
from attntrace.blocks.recurrent.cell import Cell
from attntrace.capture.tap import Tap, Taps
from attntrace.spec import Spec


class RnnEncoder(nn.Module):
    """h_i = tanh(A [h_{i-1}; x_i] + b), from h_0 = 0.

    Shapes: context (batch, context_tokens, context_dim) -> states (batch, context_tokens, chan).
    """

    def __init__(self, spec: Spec, axes: Axes) -> None:
        super().__init__()
        self.chan = spec.chan
        self.cell = Cell(spec, axes, "h", {"x": "context_dim"})

        a = axes
        self.tap = Taps(
            Tap("h_0", f"{a.batch} {a.chan}", "zeros"),
            Tap("x_i", f"{a.batch} {a.context_dim}", "token i of the context"),
            Tap("encoder_states", f"{a.batch} context_tokens {a.chan}", "H = h_1 ... h_m"),
        )

    def forward(self, context: Tensor) -> Tensor:
        """Return the states of all tokens, (batch, context_tokens, chan)."""
        tap = self.tap
        h = tap.h_0(context.new_zeros(context.shape[0], self.chan))
        states = []
        for x_i in context.unbind(dim=1):
            h = self.cell(h, tap.x_i(x_i))
            states.append(h)
        return tap.encoder_states(torch.stack(states, dim=1))
