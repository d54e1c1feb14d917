"""One call of a recurrent module: its input, its state, and the shapes that the state must have."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from attntrace.analysis.diagnosis.call import Called, FailedCall, Given, Key, given_in

LAYERS = ("LSTM", "GRU", "RNN")
CELLS = ("LSTMCell", "GRUCell", "RNNCell")
BELOW = ("lstm", "gru", "rnn_tanh", "rnn_relu", "lstm_cell", "gru_cell", "rnn_tanh_cell",
         "rnn_relu_cell")  # fmt: skip
"""The functions that they call, with the input first and the state second."""


@dataclass(frozen=True, slots=True)
class Stepped:
    """One call of a recurrent module."""

    call: FailedCall
    module: Called
    x: Given

    @property
    def name(self) -> str:
        """The module as the author wrote it."""
        return self.module.text or f"nn.{self.module.type}"

    @property
    def is_cell(self) -> bool:
        """Whether it takes one step."""
        return self.module.type in CELLS

    @property
    def key(self) -> Key:
        """How the state was given."""
        return self.call.key(1, "hx")

    @property
    def state(self) -> Any:
        """The state as it was given."""
        return self.call.argument(1, "hx")

    def setting(self, name: str, default: Any = None) -> Any:
        """Return what the constructor was given."""
        return self.module.settings.get(name, default)

    @property
    def batch_dim(self) -> int:
        """Which dimension of the input is the batch."""
        return 0 if self.setting("batch_first") or self.is_cell else 1

    def states(self) -> list[tuple[str, Given, tuple[int, ...]]]:
        """Return each tensor of the state with its role and the shape that it must have."""
        given = list(given_in(self.state))
        roles = ("h", "c") if self.module.type.startswith("LSTM") else ("the state",)
        return [
            (role, tensor, self._wanted(role)) for role, tensor in zip(roles, given, strict=False)
        ]

    def _wanted(self, role: str) -> tuple[int, ...]:
        width = self.setting("hidden_size", 0)
        if role != "c" and self.setting("proj_size"):
            width = self.setting("proj_size")
        shape, is_batched = self.x.shape or (), self.x.rank == (2 if self.is_cell else 3)
        batch = (shape[self.batch_dim],) if is_batched else ()
        depth = () if self.is_cell else (self.setting("num_layers", 1) * self.directions,)
        return (*depth, *batch, width)

    @property
    def directions(self) -> int:
        """1, or 2 of a module that also runs backwards."""
        return 2 if self.setting("bidirectional") else 1

    def rebuilt(self, **settings: Any) -> FailedCall:
        """Return the call of a module that was built otherwise."""
        return replace(
            self.call, module=replace(self.module, settings={**self.module.settings, **settings})
        )

    def constructor(self, **settings: Any) -> str:
        """Return how it would be built: "nn.LSTM(16, 32, num_layers=2, batch_first=True)"."""
        taken = {**self.module.settings, **settings}
        shown = [
            f"{name}={taken[name]!r}"
            for name, default in (
                ("num_layers", 1),
                ("batch_first", False),
                ("bidirectional", False),
            )
            if taken.get(name, default) != default
        ]
        sizes_ = (str(taken.get("input_size")), str(taken.get("hidden_size")))
        return f"nn.{self.module.type}({', '.join([*sizes_, *shown])})"
