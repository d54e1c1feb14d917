"""The forward of a trace as a graph of rows: who used what, and where each axis came from."""

from __future__ import annotations

from functools import cached_property

from attntrace.analysis.traps.axes import Axes
from attntrace.record import OpRecord, TensorRecord, Trace


class Flow:
    """The rows of a forward with what leads from one to another, worked out when it is asked for."""

    def __init__(self, trace: Trace) -> None:
        self.trace = trace
        self.rows = [row for row in trace.tensors if row.phase == "forward"]

    def row(self, index: int) -> TensorRecord:
        """Return a row by its number."""
        return self.trace.tensors[index]

    def inputs(self, row: TensorRecord) -> list[TensorRecord]:
        """Return the rows that a call took, in order and each once; parameters have none."""
        return [self.trace.tensors[index] for index in row.inputs]

    @cached_property
    def users(self) -> dict[int, list[TensorRecord]]:
        """The rows that took a row."""
        found: dict[int, list[TensorRecord]] = {}
        for row in self.rows:
            for index in row.inputs:
                found.setdefault(index, []).append(row)
        return found

    @cached_property
    def ops(self) -> dict[int, list[OpRecord]]:
        """The ops that the call of a row ran."""
        found: dict[int, list[OpRecord]] = {}
        for op in self.trace.ops:
            if op.row is not None:
                found.setdefault(op.row, []).append(op)
        return found

    @cached_property
    def dependent(self) -> frozenset[int]:
        """The rows that some input of the run went into."""
        found: set[int] = set()
        for row in self.rows:
            if row.kind == "input" or not found.isdisjoint(row.inputs):
                found.add(row.index)
        return frozenset(found)

    @cached_property
    def axes(self) -> Axes:
        """Which axes of all rows are one and the same."""
        return Axes(self.rows, self.trace.tensors)
