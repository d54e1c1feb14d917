"""The cell of a simple recurrent network, which the encoder and the decoder step with."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from attntrace.blocks.axes import Axes
from attntrace.capture.tap import Tap, Taps
from attntrace.spec import Spec


class Cell(nn.Module):
    """h' = tanh(A [h; x] + b), where x may be several vectors.

    `state` is what the state is called, and `given` maps the name of each further vector to the
    axis that it has. A [h; x] is A_h h + A_x x, so this is `nn.RNN` with one bias.

    Shapes: h (batch, chan), x (batch, its width) -> (batch, chan).

    Source: Elman, "Finding Structure in Time" (1990); the notation with one matrix is Olah's.
    """

    def __init__(self, spec: Spec, axes: Axes, state: str, given: Mapping[str, str]) -> None:
        super().__init__()
        width = sum(spec.sizes[axis] for axis in given.values())
        self.A = nn.Linear(spec.chan + width, spec.chan, bias=spec.recurrent.bias)

        a, bias = axes, " + b" if spec.recurrent.bias else ""
        parts = "; ".join((state, *given))
        self.joined, self.linear = "_".join((state, *given)), f"{state}_linear"
        self.state = state
        self.tap = Taps(
            Tap(self.joined, f"{a.batch} {'+'.join((a.chan, *given.values()))}", f"[{parts}]"),
            Tap(self.linear, f"{a.batch} {a.chan}", f"A {self.joined}{bias}"),
            Tap(state, f"{a.batch} {a.chan}", f"tanh({self.linear})"),
        )

    def forward(self, state: Tensor, *given: Tensor) -> Tensor:
        """Return the next state (batch, chan)."""
        tap = self.tap
        joined = tap.get(self.joined)(torch.cat([state, *given], dim=-1))
        return tap.get(self.state)(tap.get(self.linear)(self.A(joined)).tanh())
