"""The recurrent decoder that knows no more of the context than its last state."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from attntrace.blocks.axes import Axes
from attntrace.blocks.recurrent.cell import Cell
from attntrace.capture.tap import Tap, Taps
from attntrace.spec import Spec


class PlainDecoder(nn.Module):
    """s_j = tanh(A' [s_{j-1}; x'_j] + b'), from s_0 = h_m.

    Shapes: x (batch, tokens, dim), states (batch, context_tokens, chan) -> (batch, tokens, chan).

    Source: Sutskever et al., "Sequence to Sequence Learning with Neural Networks" (2014).
    """

    def __init__(self, spec: Spec, axes: Axes) -> None:
        super().__init__()
        self.cell = Cell(spec, axes, "s", {"x": "dim"})

        a = axes
        self.tap = Taps(
            Tap("s_0", f"{a.batch} {a.chan}", "h_m, the encoder's last state"),
            Tap("x_j", f"{a.batch} {a.dim}", "token j"),
            Tap("out", f"{a.batch} {a.tokens} {a.chan}", "S = s_1 ... s_t"),
        )

    def forward(self, x: Tensor, states: Tensor) -> Tensor:
        """Return the states of all tokens, (batch, tokens, chan)."""
        tap = self.tap
        s = tap.s_0(states[:, -1])
        out = []
        for x_j in x.unbind(dim=1):
            s = self.cell(s, tap.x_j(x_j))
            out.append(s)
        return tap.out(torch.stack(out, dim=1))
