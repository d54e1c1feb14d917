"""What follows a forward in training: backward from its outputs, and a step of the optimizer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer

from attntrace.capture.backward import BackwardWitness
from attntrace.capture.drafts import Row
from attntrace.capture.fence import node_of, run_backward
from attntrace.capture.ledger import Ledger
from attntrace.capture.structure import tensors_in
from attntrace.capture.witnesses import CallWitness

AGAIN = "backward through the graph a second time"
HAS_RUN = "the code runs backward itself: nothing more was followed from what it returned"
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
        outputs = [tensor for tensor in tensors_in(output) if node_of(tensor) is not None]
        has_run = "backward" in ledger.began
        if not outputs and not has_run:
            return NO_GRADIENT
        ledger.enter_phase("backward")
        seeds = [_seed(tensor, ledger) for tensor in outputs]
        calls.watch(False)  # autograd's calls are none of the author's
        note = _backward(outputs, seeds, ledger, has_run) if outputs else None
        del seeds
        if self.optimizer is not None:
            ledger.enter_phase("optimizer")
            _step(self.optimizer, ledger)
        return note


def _backward(
    outputs: list[Tensor], seeds: list[Tensor], ledger: Ledger, has_run: bool
) -> str | None:
    """Run backward, unless the code itself has, and left no graph to do it again: note that."""
    try:
        with BackwardWitness(ledger).attached(outputs):
            run_backward(outputs, seeds)
    except RuntimeError as error:
        if has_run and AGAIN in str(error):
            return HAS_RUN
        raise
    return None


def _seed(tensor: Tensor, ledger: Ledger) -> Tensor:
    """Return ones, entered as the gradient of an output."""
    seed = torch.ones_like(tensor)
    row, of = ledger.row_of(seed), ledger.row_of(tensor)
    if row is not None and of is not None:
        row.kind, row.gradient_of, row.path = "gradient", of, of.path
    return seed


def _step(optimizer: Optimizer, ledger: Ledger) -> None:
    """Let an optimizer step; enter a row for each parameter that it stepped.

    What it allocates until it writes into a parameter is hidden in that parameter's row; where it
    steps many at once, in the last one's.
    """
    start = len(ledger.ops)
    groups = optimizer.param_groups
    stepped = [p for group in groups for p in group["params"] if p.grad is not None]
    optimizer.step()
    rows: list[tuple[Row, int]] = []
    for parameter in stepped:
        row = ledger.add_row(parameter, type(optimizer).__name__, start, (parameter,))
        name = row.life.name if row.life else None
        row.path, _, row.name = (name or "").rpartition(".")
        row.origin, row.seen_by = "in place", ("dispatch",)
        rows.append((row, start))
        start = max(start, row.life.written + 1 if row.life else 0)
    for row, first in reversed(rows):
        ledger.settle(row, first)
