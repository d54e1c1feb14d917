"""The axes of all rows of a forward, those that are one and the same put together."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from attntrace.analysis.traps.links import links
from attntrace.record import TensorRecord

Axis = tuple[int, int]
"""The number of a row, and which of its axes."""


class Axes:
    """Sets of axes that are the same thing: the batch of `x` and that of `self.proj(x)`."""

    def __init__(self, rows: Iterable[TensorRecord], table: Sequence[TensorRecord]) -> None:
        self._same: dict[Axis, Axis] = {}
        for row in rows:
            for new, source, old in links(row, [table[index] for index in row.inputs]):
                self._join((row.index, new), (source, old))

    def one(self, axis: Axis) -> Axis:
        """Return the axis that stands for all that are the same as this one."""
        while axis in self._same:
            axis = self._same[axis]
        return axis

    def _join(self, axis: Axis, other: Axis) -> None:
        axis, other = self.one(axis), self.one(other)
        if axis != other:
            first, second = sorted((axis, other))
            self._same[second] = first
