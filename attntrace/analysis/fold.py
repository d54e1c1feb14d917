"""Layers that repeat: runs of sibling modules whose rows are alike, so that one can stand for all.

Siblings are modules that a list holds: `stack.layers.0`, `.1` ... Rows are alike where everything
that is shown of them is: names, ops, shapes, axes, bytes, and where in their own module they come
from. What comes from outside of the module need not be the same row.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from operator import attrgetter
from typing import Any

from attntrace.record import TensorRecord, Trace

_LONGEST = 8
"""The most modules of a pattern, such as five layers with a window and one without."""
_LEAST = 4
"""Rows that a fold must save: it takes a line itself."""

_ALIKE = attrgetter(
    "op", "kind", "shape", "stride", "axes", "dtype", "device", "nbytes", "origin",
    "allocated_nbytes", "hidden_nbytes", "seen_by", "formula", "flops", "phase",
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Fold:
    """Siblings whose rows repeat `count` times; `rows` rows from `start` on are one repeat."""

    container: str
    """The path of what holds them."""
    first: int
    """The number of the one that comes first: backward goes from the last layer to the first."""
    step: int
    """From a number to that of the next repeat: 2 where layers of two kinds take turns."""
    count: int
    start: int
    rows: int

    @property
    def path(self) -> str:
        """The path of the first module."""
        return _joined((self.container, self.first))

    @property
    def title(self) -> str:
        """All the paths in short: "stack.layers.0-125 x126"."""
        last = self.first + self.step * self.count - (1 if self.step > 0 else -1)
        each = f" of {abs(self.step)}" if abs(self.step) > 1 else ""
        return f"{self.path}-{last} x{self.count}{each}"

    def shows(self, index: int) -> int:
        """Return the row of the first repeat that stands for a row; one outside for itself."""
        past = index - self.start
        inside = 0 <= past < self.rows * self.count
        return self.start + past % self.rows if inside else index


def folds(trace: Trace) -> tuple[Fold, ...]:
    """Return what of a trace repeats, in order; a fold inside the first repeat of another after it.

    Takes milliseconds for thousands of rows.
    """
    return tuple(_Search(trace).between(0, len(trace.tensors), 0))


def stand_in(found: Sequence[Fold], index: int) -> int:
    """Return the row that is shown for a row, itself where it is not folded away."""
    for fold in found:
        index = fold.shows(index)
    return index


@dataclass(slots=True)
class _Unit:
    """The rows of one call of a module: its own up to `end`, the caller's from there to `stop`."""

    child: tuple[str, int]
    forward: bool
    start: int
    end: int
    stop: int
    own: tuple[Any, ...] = ()
    rest: tuple[Any, ...] = ()

    @property
    def path(self) -> str:
        return _joined(self.child)


class _Search:
    """The folds of a trace, over what they look up again and again."""

    def __init__(self, trace: Trace) -> None:
        self.rows = trace.tensors
        self.saved = [storage.saved_for_backward for storage in trace.storages]
        self.children: dict[str, list[tuple[str, int]]] = {}
        self.below: dict[str, list[tuple[str, str, int, str | None]]] = {}
        self.ops: dict[int | None, list[str]] = {}
        for op in trace.ops:
            self.ops.setdefault(op.row, []).append(op.op)
        for module in trace.modules:
            for child in self.chain(module.path):
                path = _joined(child)
                inside = (module.path[len(path) :], module.type, module.parameters, module.note)
                self.below.setdefault(path, []).append(inside)

    def chain(self, path: str) -> list[tuple[str, int]]:
        """Return the members of lists on the way to a module, each as a list and a number."""
        known = self.children.get(path)
        if known is None:
            parts = path.split(".")
            known = self.children[path] = [
                (".".join(parts[:depth]), int(part))
                for depth, part in enumerate(parts)
                if part.isdecimal()
            ]
        return known

    def between(self, start: int, stop: int, level: int) -> Iterator[Fold]:
        """Yield the folds of some rows, of members of lists that lie `level` lists deep."""
        units = self.units(start, stop, level)
        found = _folds_of(units)
        for unit in units:
            if unit.start in found:
                yield found[unit.start]
            if all(fold.shows(unit.start) == unit.start for fold in found.values()):
                yield from self.between(unit.start, unit.end, level + 1)

    def units(self, start: int, stop: int, level: int) -> list[_Unit]:
        """Return the calls of members of lists among some rows."""
        units: list[_Unit] = []
        for index in range(start, stop):
            row = self.rows[index]
            chain = self.chain(row.path)
            if len(chain) <= level:
                continue
            child, forward = chain[level], row.phase == "forward"
            if not units or (units[-1].child, units[-1].forward) != (child, forward):
                units.append(_Unit(child, forward, index, index, stop))
            units[-1].end = index + 1
        for unit, after in pairwise(units):
            unit.stop = after.start
        for unit in units if len(units) > 1 else ():
            keys = tuple(self.key(unit, self.rows[n]) for n in range(unit.start, unit.stop))
            own = unit.end - unit.start
            unit.own = (keys[:own], tuple(self.below.get(unit.path, ())))
            unit.rest = keys[own:]
        return units

    def key(self, unit: _Unit, row: TensorRecord) -> tuple[Any, ...]:
        """Return what must be equal for a row to be alike, seen from its module."""
        path, start = unit.path, unit.start
        related = (row.alias_of, row.gradient_of, *row.inputs)
        return (
            row.name.replace(path, ""),
            row.path.removeprefix(path),
            _ALIKE(row),
            None if row.storage_id is None else self.saved[row.storage_id],
            [index if index is None else max(index - start, -1) for index in related],
            self.ops.get(row.index),
        )


def _joined(child: tuple[str, int]) -> str:
    container, number = child
    return f"{container}.{number}" if container else str(number)


def _folds_of(units: list[_Unit]) -> dict[int, Fold]:
    """Return the folds of some units, by the row where each starts."""
    found: dict[int, Fold] = {}
    past = 0
    for at, unit in enumerate(units):
        fold = _fold_at(units, at) if unit.start >= past else None
        if fold is not None:
            found[fold.start] = fold
            past = fold.start + fold.rows * fold.count
    return found


def _fold_at(units: list[_Unit], at: int) -> Fold | None:
    """Return the fold that begins with a unit, the one with the shortest pattern."""
    for period in range(1, min(_LONGEST, (len(units) - at) // 2) + 1):
        found = _Pattern(units, at, period)
        if found.saves >= _LEAST:
            rotated = [_Pattern(units, at + turn, period) for turn in range(found.rotations)]
            return max(rotated, key=lambda pattern: pattern.leading_rows * pattern.count).fold()
    return None


class _Pattern:
    """Some units in a row, and how often they repeat, each time with other numbers."""

    def __init__(self, units: list[_Unit], at: int, period: int) -> None:
        self.units, self.at, self.period = units, at, period
        self.step = units[at + period].child[1] - units[at].child[1]
        length = period
        while at + length < len(units) and self.goes_on(length):
            length += 1
        self.count = length // period
        self.rows = units[at + period].start - units[at].start

    @property
    def one(self) -> list[_Unit]:
        """The units of the first repeat."""
        return self.units[self.at : self.at + self.period]

    @property
    def saves(self) -> int:
        """How many rows it takes away."""
        return self.rows * (self.count - 1)

    @property
    def leading_rows(self) -> int:
        """How many rows of a repeat are of the module that it begins with."""
        return sum(unit.end - unit.start for unit in self.one if unit.child == self.one[0].child)

    @property
    def rotations(self) -> int:
        """How many units of the pattern a repeat might as well begin with.

        In backward the rows of a layer lie apart: it hands a gradient to the layer before, and then
        goes on with its own. So members of one list alternate, and any of them may be the first.
        """
        in_order = abs(self.step) == self.period or len({unit.child[0] for unit in self.one}) > 1
        return 1 if in_order else min(self.period, len(self.units) - self.at - self.period)

    def goes_on(self, length: int) -> bool:
        """Return whether the unit `length` after the first one fits.

        Between two members of a list their caller may have rows of its own, after the last others.
        """
        unit, like = self.units[self.at + length], self.one[length % self.period]
        before, before_like = self.units[self.at + length - 1], self.one[(length - 1) % self.period]
        container, number = like.child
        return (
            0 < abs(self.step) <= self.period
            and unit.child == (container, number + self.step * (length // self.period))
            and len(before.rest) == len(before_like.rest)
            and unit.own == like.own
            and unit.rest[: len(like.rest)] == like.rest
        )

    def fold(self) -> Fold:
        """Return it as a fold."""
        container, first = self.one[0].child
        return Fold(
            container=container,
            first=first,
            step=self.step,
            count=self.count,
            start=self.one[0].start,
            rows=self.rows,
        )
