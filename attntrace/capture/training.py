"""What follows a forward in training: backward from its outputs, and a step of the optimizer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer

from attntrace.capture.backward import BackwardWitness
from attntrace.capture.ledger import Ledger
from attntrace.capture.structure import tensors_in
from attntrace.capture.witnesses import CallWitness

NO_GRADIENT = "no output depends on a parameter: there is nothing to follow backward"


@dataclass(frozen=True, slots=True)
class Training:
    """Follow backward, too; and with an optimizer its step."""

    optimizer: Optimizer | None = None

    def adopt(self, ledger: Ledger, names: dict[int, tuple[str, int]]) -> None:
        """Take in the state that the optimizer has from earlier steps.

        `names` has the path of each parameter by identity.
        """
        for parameter, state in (self.optimizer.state if self.optimizer else {}).items():
            path = names.get(id(parameter), ("", 0))[0]
            for key, value in state.items():
                if isinstance(value, Tensor):
                    ledger.storages.adopt(value, "optimizer", f"{path} {key}".strip())

    def follow(self, output: Any, ledger: Ledger, calls: CallWitness) -> str | None:
        """Run backward from every output that has a graph, then the optimizer; return a note.

        Backward starts from a gradient of ones, as large as the output: a loss would hold that, and
        what it needs besides.
        """
        outputs = [tensor for tensor in tensors_in(output) if tensor.grad_fn is not None]
        if not outputs:
            return NO_GRADIENT
        ledger.enter_phase("backward")
        seeds = [torch.ones_like(tensor) for tensor in outputs]
        for seed, tensor in zip(seeds, outputs, strict=True):
            row, of = ledger.row_of(seed), ledger.row_of(tensor)
            if row is not None and of is not None:
                row.kind, row.target, row.path = "gradient", of, of.path
        with BackwardWitness(ledger).attached(outputs):
            torch.autograd.backward(outputs, seeds)
        del seeds
        if self.optimizer is not None:
            ledger.enter_phase("optimizer")
            calls.watch(False)  # its calls are thousands, and none of the author's
            self.optimizer.step()
        return None
