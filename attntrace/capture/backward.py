"""The backward pass: which node of the graph runs, and whose gradients it makes.

Every row notes itself on the autograd node that made it, in `Node.metadata`, which is public and
dies with the graph. Before backward starts, the graph is walked once and each node gets two hooks.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from torch import Tensor

from attntrace.capture.drafts import Row
from attntrace.capture.fence import unasked
from attntrace.capture.ledger import Ledger
from attntrace.capture.saved import ROWS, adopt_numbers, graph

Gradients = tuple[Tensor | None, ...]
SUM = "add"
"""What the engine itself does where several nodes contribute to one gradient."""


class Step:
    """What is to be known of one node: the row that it made, and whose gradients it returns."""

    __slots__ = ("accumulates", "gradients_of", "name", "rows")

    def __init__(
        self, node: Any, rows: dict[int, Row | str], gradients_of: list[Row | str | None]
    ) -> None:
        self.rows, self.gradients_of = rows, gradients_of
        """Rows by number of output, and for each gradient that it returns a row or a parameter."""
        self.name: str = node.name()
        self.accumulates = hasattr(node, "variable")


class BackwardWitness:
    """Sees each node of the graph begin and end; enters a row for each gradient of a row."""

    def __init__(self, ledger: Ledger) -> None:
        self.ledger = ledger
        self.start = 0
        """The first op that no row has taken yet."""
        self.accumulated: Row | None = None
        """The gradient that is being put into a parameter's `grad`."""

    @contextmanager
    def attached(self, outputs: Iterable[Tensor]) -> Iterator[None]:
        """Hook every node below the outputs; unhook in any case, and let go of the rows."""
        nodes = []
        with unasked():
            for node, rows in graph(outputs):
                nodes.append(node)
                adopt_numbers(node, self.ledger.storages, rows)
            handles = [handle for node in nodes for handle in self._hook(node)]
        self.start = len(self.ledger.ops)
        try:
            yield
        finally:
            self._settle_accumulated()
            self.ledger.settle_rest()
            self.ledger.between_nodes = False
            for handle in handles:
                handle.remove()
            for node in nodes:
                node.metadata.pop(ROWS, None)

    def _hook(self, node: Any) -> Iterator[Any]:
        found = self._owners(node)
        gradients_of = [
            None if above is None else self._owners(above).get(number)
            for above, number in node.next_functions
        ]
        step = Step(node, found, gradients_of)
        yield node.register_prehook(self._beginning(step))
        if not step.accumulates:  # a hook behind it would change whether it copies
            yield node.register_hook(self._ending(step))

    def _owners(self, node: Any) -> dict[int, Row | str]:
        """Return the rows that a node made by number of output; of a leaf its row or its name."""
        leaf = getattr(node, "variable", None)
        if leaf is None:
            rows: dict[int, Row | str] = node.metadata.get(ROWS, {})
            return rows
        row, life = self.ledger.row_of(leaf), self.ledger.storages.find(leaf)
        is_parameter = life is not None and life.owner == "parameter"
        if row is not None and not is_parameter:  # a parameter has one where a step wrote into it
            return {0: row}
        return {0: (life.name if life else None) or "a leaf"}

    def _beginning(self, step: Step) -> Callable[[Gradients], None]:
        def before(gradients: Gradients) -> None:
            ledger = self.ledger
            self._settle_accumulated()
            ledger.between_nodes = False
            for number, tensor in enumerate(gradients):
                of = step.rows.get(number)
                if tensor is not None and of is not None and ledger.row_of(tensor) is None:
                    self._enter([(tensor, of)], SUM, ())
            if step.accumulates and gradients[0] is not None:
                self.accumulated = ledger.row_of(gradients[0])

        return before

    def _ending(self, step: Step) -> Callable[[Gradients, Gradients], None]:
        def after(made: Gradients, gradients: Gradients) -> None:
            pairs = [
                (tensor, of)
                for tensor, of in zip(made, step.gradients_of, strict=False)
                if tensor is not None and of is not None
            ]
            self._enter(pairs, step.name, [g for g in gradients if g is not None])
            self.ledger.between_nodes = True

        return after

    def _enter(
        self, pairs: list[tuple[Tensor, Row | str]], op: str, given: Iterable[Tensor]
    ) -> None:
        """Enter the gradients that a node returned, each with the row or parameter it is of."""
        ledger, first = self.ledger, None
        for tensor, of in pairs:
            row = ledger.add_row(tensor, op, self.start, tuple(given))
            row.kind, row.gradient_of = "gradient", of
            row.seen_by = ("dispatch",)
            if op == SUM and row.origin == "view":
                row.origin = "in place"
            row.path = of.path if isinstance(of, Row) else of.rpartition(".")[0]
            first = first or row
        if first is not None:
            ledger.settle(first, self.start)
            self.start = len(ledger.ops)

    def _settle_accumulated(self) -> None:
        if self.accumulated is not None:
            self.ledger.settle(self.accumulated, self.start)
            self.accumulated, self.start = None, len(self.ledger.ops)
