"""Which row of one run is which of another: by path, name and order, then by what it is."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import pairwise
from operator import attrgetter

from attntrace.analysis.difference.align import Pair, aligned
from attntrace.record.snapshot import SnapshotRow

_Rows = Sequence[SnapshotRow]
_Key = Callable[[SnapshotRow], Hashable]
_GONE = "\0"
"""What the path of a module begins with that the second run has not."""


def _named_by(row: SnapshotRow) -> Hashable:
    """Return what a row is but for its name and sizes; for these, where no axes are known."""
    return row.path, row.op, row.kind, row.phase, row.dtype, row.axes or row.shape


_MADE: _Key = attrgetter("path", "name", "op", "phase")
_IS = ("op", "kind", "phase", "dtype", "axes", "shape")
_SAME: tuple[_Key, ...] = (attrgetter("path", "name", *_IS), _MADE, attrgetter("path", "name"))
_RENAMED: tuple[_Key, ...] = (attrgetter("name", *_IS), attrgetter("path", *_IS), _named_by)


def paired_rows(
    before: _Rows, after: _Rows, paths: Mapping[str, str]
) -> tuple[list[Pair], list[Pair]]:
    """Return the places of rows that are the same row, and those of them that were moved.

    `paths` are the modules of the second run by those of the first. The same path and name is the
    same row, in the order of the run where there are several; out of that order it was moved, and
    only if the same op made it. What is left between the same two rows and is the same but for its
    module, or but for its name, was renamed; a new name may come with new sizes where the axes are
    called the same.
    """
    before = [replace(row, path=paths.get(row.path, _GONE + row.path)) for row in before]
    kept = _in_line(before, after, _SAME)
    moved = _elsewhere(before, after, kept)
    renamed: list[Pair] = []
    for places, others in _gaps([(-1, -1), *kept, (len(before), len(after))], moved):
        sides = [before[i] for i in places], [after[j] for j in others]
        renamed += [(places[i], others[j]) for i, j in _in_line(*sides, _RENAMED)]
    return sorted((*kept, *moved, *renamed)), moved


def _in_line(before: _Rows, after: _Rows, keys: Sequence[_Key]) -> list[Pair]:
    return aligned([([*map(key, before)], [*map(key, after)]) for key in keys])


def _elsewhere(before: _Rows, after: _Rows, kept: list[Pair]) -> list[Pair]:
    """Return the pairs of the same path, name and op that come in another order."""
    known, others = {i for i, _ in kept}, {j for _, j in kept}
    left: dict[Hashable, list[int]] = {}
    for j in reversed(range(len(after))):
        if j not in others:
            left.setdefault(_MADE(after[j]), []).append(j)
    free = (i for i in range(len(before)) if i not in known and left.get(_MADE(before[i])))
    return [(i, left[_MADE(before[i])].pop()) for i in free]


def _gaps(kept: list[Pair], moved: list[Pair]) -> Iterator[tuple[list[int], list[int]]]:
    """Yield the places without a partner between two rows that are in line, of both runs."""
    gone, new = {i for i, _ in moved}, {j for _, j in moved}
    for (i, j), (k, m) in pairwise(kept):
        if k - i > 1 and m - j > 1:
            places = [at for at in range(i + 1, k) if at not in gone]
            yield places, [at for at in range(j + 1, m) if at not in new]
