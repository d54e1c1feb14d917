"""Which of all that changed is what the sizes that changed make of it, and nothing else."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from attntrace.analysis.difference.tree import Tree
from attntrace.notation.arithmetic import evaluate
from attntrace.record.difference import Figure, ModuleChange, ParameterChange, RowChange
from attntrace.record.snapshot import SnapshotRow

_Pair = tuple[int, int]
_TIMES = range(1, 5)
"""How often torch puts matrices of one size into a parameter: three in attention, four in an LSTM."""
_SAME = ("axes", "dtype", "op", "kind", "phase")


class Resizing:
    """The sizes of two runs, and what follows from them.

    A row follows whose axes are worth its shape, before and after, and that is the same else. A
    module follows where each dimension of its parameters is a size or an axis of such a row, or up
    to four of these, and each of its settings a size; and one that came or went, where a size counts
    just those layers, which are as the last that both runs have.
    """

    def __init__(
        self, figures: Iterable[Figure], rows: Sequence[RowChange], trees: tuple[Tree, Tree]
    ) -> None:
        self.trees = trees
        self.before: dict[str, int] = {}
        self.after: dict[str, int] = {}
        self.sizes: set[_Pair] = set()
        for figure in figures:
            name = figure.name.removeprefix("size ")
            if name != figure.name and figure.before is not None and figure.after is not None:
                self.before[name], self.after[name] = figure.before, figure.after
                self.sizes |= {(figure.before, figure.after)} if figure.differs else set()
        self.rows = tuple(replace(change, explained=self._row(change)) for change in rows)
        """The changes of rows, marked."""
        known = {*self.sizes, *_axes(self.rows)}
        self._known = {(k * was, k * now) for was, now in known for k in _TIMES}

    def modules(self, changes: Iterable[ModuleChange]) -> tuple[ModuleChange, ...]:
        """Return the changes of modules, marked."""
        return tuple(replace(change, explained=self._module(change)) for change in changes)

    def _row(self, change: RowChange) -> bool:
        before, after = change.before, change.after
        if change.what != "changed" or change.moved or before is None or after is None:
            return False
        same = all(getattr(before, field) == getattr(after, field) for field in _SAME)
        worth = _is_worth(before, self.before) and _is_worth(after, self.after)
        return before.shape != after.shape and same and worth

    def _module(self, change: ModuleChange) -> bool:
        before, after = change.before, change.after
        if before is None or after is None:
            return not change.implied and any(self._counts(change, *pair) for pair in self.sizes)
        if change.what != "changed" or change.moved or before.type != after.type:
            return False
        if change.calls[0] != change.calls[1] or not (change.own or change.settings):
            return False
        made = all((of.before, of.after) in self.sizes for of in change.settings)
        return made and all(map(self._parameter, change.own))

    def _parameter(self, change: ParameterChange) -> bool:
        if change.what != "changed" or change.before is None or change.after is None:
            return False
        (kind, sizes), (kind_after, sizes_after) = _form(change.before[1]), _form(change.after[1])
        if kind != kind_after or len(sizes) != len(sizes_after):
            return False
        pairs = zip(sizes, sizes_after, strict=True)
        return all(was == now or (was, now) in self._known for was, now in pairs)

    def _counts(self, change: ModuleChange, before: int, after: int) -> bool:
        """Return whether a size is the number of modules of each list of which some came or went."""
        few, many = self.trees if change.before is None else self.trees[::-1]
        least, most = (before, after) if change.before is None else (after, before)
        if not 0 < least < most:
            return False
        lists = {place.rpartition(".")[0] for place in change.places}
        ends = [{f"{way}.{n}".removeprefix(".") for n in range(least, most)} for way in lists]
        alike = all(
            set(few.children.get(way, ())) | end == set(many.children[way])
            and len(many.children[way]) == most
            and _is_one_of_many(many, [f"{way}.{least - 1}".removeprefix("."), *end])
            for way, end in zip(lists, ends, strict=True)
        )
        return alike and set().union(*ends) == set(change.places)


def _is_one_of_many(tree: Tree, paths: list[str]) -> bool:
    return all(
        path in tree.calls and tree.contents(path) == tree.contents(paths[0]) for path in paths
    )


def _axes(rows: Iterable[RowChange]) -> set[_Pair]:
    """Return the sizes, before and after, of the axes of rows that follow."""
    return {
        pair
        for change in rows
        if change.explained and change.before and change.after
        for pair in zip(change.before.shape or (), change.after.shape or (), strict=True)
    }


def _is_worth(row: SnapshotRow, sizes: dict[str, int]) -> bool:
    return bool(row.axes) and row.shape == tuple(evaluate(axis, sizes) for axis in row.axes or ())


def _form(text: str) -> tuple[str, list[int]]:
    """Return what a parameter is but for its sizes, and these."""
    dtype, _, rest = text.partition("[")
    sizes, _, end = rest.partition("]")
    return dtype + end, [int(size) for size in sizes.split(",") if size]
