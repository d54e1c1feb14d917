"""Modules that repeat: runs of sibling modules whose rows are alike, so that one can stand for all.

Siblings have one parent: members of a list, `layers.0`, `.1` ..., attributes, `block1`, `block2`
..., or one module that is called again and again. Rows are alike where everything that is told of
the tensor is: name, op, shape, axes, bytes, and where in its own module it comes from. What comes
from outside of the module need not be the same row, nor need the line of the source be the same, nor
what the caller calls the result.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import pairwise
from operator import attrgetter
from typing import Any

from attntrace.analysis.nesting import around, last_part
from attntrace.analysis.pattern import Fold, Unit, folds_of
from attntrace.record import TensorRecord, Trace

_SELF = "\0"
"""What stands in a key for the path of the module itself."""

_ALIKE = attrgetter(
    "op", "shape", "stride", "axes", "dtype", "device", "nbytes", "origin",
    "allocated_nbytes", "hidden_nbytes", "formula", "flops", "phase",
)  # fmt: skip


def folds(
    trace: Trace, rows: Sequence[TensorRecord] | None = None, *, with_saved: bool = True
) -> tuple[Fold, ...]:
    """Return what of a trace, or of some of its rows, repeats; places are those among these rows.

    In order, a fold inside the first repeat of another after it. `with_saved` says whether what
    autograd keeps must be alike, too: the last of some calls often hands on what nobody needs.
    Takes milliseconds for thousands of rows.
    """
    rows = trace.tensors if rows is None else rows
    return tuple(_Search(trace, rows, with_saved=with_saved).between(0, len(rows), 0))


def stand_ins(found: Sequence[Fold], places: int) -> list[int]:
    """Return for each place the one that is shown for it, itself where it is not folded away."""
    shown = list(range(places))
    for fold in reversed(found):  # the innermost first
        for place in range(fold.start, fold.start + fold.rows * fold.count):
            shown[place] = shown[fold.shows(place)]
    return shown


class _Search:
    """The folds of some rows, over what they look up again and again."""

    def __init__(self, trace: Trace, rows: Sequence[TensorRecord], *, with_saved: bool) -> None:
        self.rows = rows
        self.saved = [with_saved and storage.saved_for_backward for storage in trace.storages]
        self.called = {"", *(module.path for module in trace.modules)}
        self.chains: dict[str, list[str]] = {}
        self.numbers: dict[tuple[Any, ...], int] = {}
        self.ends: dict[str, list[int]] = {}
        self.returned: dict[str, set[int]] = {}
        self.ops: dict[int | None, tuple[str, ...]] = {}
        below: dict[str, list[tuple[Any, ...]]] = {}
        for op in trace.ops:
            self.ops[op.row] = (*self.ops.get(op.row, ()), op.op) if op.row is not None else ()
        for module in trace.modules:
            if module.outputs:
                self.ends.setdefault(module.path, []).append(max(module.outputs))
                self.returned.setdefault(module.path, set()).update(module.outputs)
            for path in self.chain(module.path):
                parameters = module.parameters, *module.own.items()
                inside = (module.path[len(path) :], module.type, parameters, module.note)
                below.setdefault(path, []).append(inside)
        self.below = {path: self.number(tuple(inside)) for path, inside in below.items()}

    def number(self, key: tuple[Any, ...]) -> int:
        """Return one number for all keys that are equal."""
        return self.numbers.setdefault(key, len(self.numbers))

    def chain(self, path: str) -> list[str]:
        """Return the modules on the way to one, itself included: all but lists that none calls."""
        known = self.chains.get(path)
        if known is None:
            known = self.chains[path] = [
                way
                for above, way in pairwise(around(path))
                if way in self.called or above not in self.called
            ]
        return known

    def call(self, path: str, row: TensorRecord) -> int | None:
        """Return which call of a module a row is of; None where nobody can tell."""
        ends = self.ends.get(path, ())
        if len(ends) <= 1:
            return 0
        of = row.gradient_of if row.kind == "gradient" else row.index
        return None if of is None else bisect_left(ends, of)

    def between(self, start: int, stop: int, level: int) -> Iterator[Fold]:
        """Yield the folds among some rows, of modules that lie `level` modules deep."""
        units = self.units(start, stop, level)
        found = folds_of(units)
        for unit in units:
            if unit.start in found:
                yield found[unit.start]
            if all(fold.shows(unit.start) == unit.start for fold in found.values()):
                yield from self.between(unit.start, unit.end, level + 1)

    def units(self, start: int, stop: int, level: int) -> list[Unit]:
        """Return the calls of modules among some rows."""
        units: list[Unit] = []
        for place in range(start, stop):
            row = self.rows[place]
            chain = self.chain(row.path)
            if len(chain) <= level:
                continue
            is_of = (chain[level], self.call(chain[level], row), row.phase == "forward")
            if not units or not units[-1].holds(*is_of):
                units.append(Unit(*is_of, place, place, stop))
            units[-1].end = place + 1
        for unit, after in pairwise(units):
            unit.stop = after.start
        sizes = Counter(unit.end - unit.start for unit in units)
        for unit in units:
            if sizes[unit.end - unit.start] == 1:
                unit.own = (unit.start,)
                continue
            keys = [self.key(unit, self.rows[n]) for n in range(unit.start, unit.stop)]
            own = unit.end - unit.start
            unit.own = (-1, self.below.get(unit.path, -1), *keys[:own])
            unit.rest = tuple(keys[own:])
        return units

    def name(self, path: str, row: TensorRecord) -> str | None:
        """Return what a module calls a row; None for what it returns, which others may name."""
        of = row.index if row.gradient_of is None else row.gradient_of
        return None if of in self.returned.get(path, ()) else _seen_from(path, row.name)

    def key(self, unit: Unit, row: TensorRecord) -> int:
        """Return the same number for rows that are alike, seen from their modules."""
        start = self.rows[unit.start].index
        related = (row.alias_of, row.gradient_of, *row.inputs)
        return self.number(
            (
                self.name(unit.path, row),
                row.path.removeprefix(unit.path) if row.path.startswith(unit.path) else _SELF,
                _ALIKE(row),
                None if row.storage_id is None else self.saved[row.storage_id],
                tuple(index if index is None else max(index - start, -1) for index in related),
                self.ops.get(row.index),
            )
        )


def _seen_from(path: str, name: str) -> str:
    """Return the name of a tensor without the path of a module, or its attribute, where it has it."""
    attribute = last_part(path)
    if attribute not in name:
        return name
    itself = re.escape(path) if attribute.isdecimal() else rf"{re.escape(path)}|self\.{attribute}"
    return re.sub(rf"(?<![\w.])(?:{itself})(?!\w)", _SELF, name)
