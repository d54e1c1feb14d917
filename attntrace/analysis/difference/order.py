"""What two runs have, in one order; and the same change in many places as one."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any, TypeVar

from attntrace.analysis.difference.align import Pair
from attntrace.record.difference import ModuleChange, RowChange
from attntrace.record.snapshot import SnapshotModule, SnapshotRow

_NUMBER = re.compile(r"\d+")
_COUNTED = re.compile(r"(?<=\[)\d+(?=\])")
"""The numbers in a name that only count: `norms[27]`."""
_Change = TypeVar("_Change", RowChange, ModuleChange)


def in_order(
    sizes: tuple[int, int], pairs: Iterable[Pair], moved: Iterable[Pair] = ()
) -> Iterator[tuple[int | None, int | None]]:
    """Yield each place of two runs once, with its partner, in the order of the second run.

    What only the first run has comes behind what was before it there and has not moved.
    """
    partners, away = dict(pairs), dict(moved)
    firsts = {j: i for i, j in partners.items()}
    behind: dict[int, list[int]] = {}
    last = -1
    for i in range(sizes[0]):
        if i not in partners:
            behind.setdefault(last, []).append(i)
        elif i not in away:
            last = partners[i]
    for j in range(-1, sizes[1]):
        if j >= 0:
            yield firsts.get(j), j
        yield from ((i, None) for i in behind.get(j, ()))


def together(changes: Iterable[_Change]) -> tuple[_Change, ...]:
    """Return changes of one place each with those as one that are the same in every layer.

    The same are those that only differ in the numbers in their paths, and in those in names that
    are as they were.
    """
    groups: dict[_Change, list[_Change]] = {}
    for change in changes:
        groups.setdefault(_unnumbered(change), []).append(change)
    return tuple(_one(group) for group in groups.values())


def _unnumbered(change: _Change) -> _Change:
    sides: dict[str, Any] = {
        name: item and _masked(item, named=change.what != "renamed")
        for name, item in (("before", change.before), ("after", change.after))
    }
    return replace(change, **sides, places=())


def _masked(item: SnapshotRow | SnapshotModule, *, named: bool) -> SnapshotRow | SnapshotModule:
    path = _NUMBER.sub("#", item.path)
    if isinstance(item, SnapshotRow) and named:
        return replace(item, path=path, name=_COUNTED.sub("#", item.name))
    return replace(item, path=path)


def _one(group: list[_Change]) -> _Change:
    places = tuple(item.path for change in group if (item := change.after or change.before))
    were = tuple(item.path for change in group if (item := change.before or change.after))
    items: list[object] = [change.after or change.before for change in group]
    names = tuple(item.name for item in items if isinstance(item, SnapshotRow))
    more: dict[str, Any] = {"names": names} if len(set(names)) > 1 else {}
    return replace(group[0], places=places, were=() if were == places else were, **more)
