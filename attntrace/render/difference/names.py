"""What rows and modules are called in a difference, many places in short: "layers.0-31.norm x32"."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import count, groupby
from math import prod

from attntrace.analysis.nesting import last_part
from attntrace.record.difference import ModuleChange, RowChange

_NUMBER = re.compile(r"(\d+)")
_MOST = 3
"""Ranges of numbers that are written before the others are left out."""


def listed(texts: Sequence[str]) -> str:
    """Return "a", "a and b", "a, b and c"."""
    return " and ".join(filter(None, (", ".join(texts[:-1]), *texts[-1:])))


def row_name(change: RowChange) -> str:
    """Return what a row is called in all its places: "layers.0-31.attend.k x32", "q -> query"."""
    before, row = change.before, change.after or change.before
    assert row is not None, "a change is of a row"
    names = change.names or (row.name,) * len(change.places)
    now, times = _joined(change.places, names), _times(change.places)
    if change.what != "renamed" or before is None:
        return f"{now}{times}"
    were = change.were or change.places
    was = _joined(were, (before.name,) * len(were))
    return f"{was} -> {row.name or now if were == change.places else now}{times}"


def module_name(change: ModuleChange) -> str:
    """Return the path of a module in all its places, "layers.0-2.attn -> attention x3"; "" outermost."""
    now, times = places_text(change.places), _times(change.places)
    if change.what != "renamed":
        return f"{now}{times}"
    was = places_text(change.were or change.places)
    same = was.rpartition(".")[0] == now.rpartition(".")[0]
    return f"{was} -> {last_part(now) if same else now}{times}"


def places_text(places: Sequence[str]) -> str:
    """Return paths that differ in numbers as one, "layers.0-31.norm"; the first if that cannot be."""
    paths = list(dict.fromkeys(places))
    parts = [_NUMBER.split(path) for path in paths]
    numbers = [sorted({int(path[at]) for path in parts}) for at in range(1, len(parts[0]), 2)]
    if prod(map(len, numbers)) != len(paths):
        return f"{paths[0]} and others"
    words = iter(numbers)
    return "".join(
        _ranges(next(words), text) if at % 2 else text for at, text in enumerate(parts[0])
    )


def _joined(places: Sequence[str], names: Sequence[str]) -> str:
    """Return path and name of each place as one, "layers.0-31.k"; a path alone where it names a row."""
    said = [" ".join(name.split()) for name in names]
    if len(set(said)) > 1:
        return places_text(
            [".".join(filter(None, both)) for both in zip(places, said, strict=True)]
        )
    place = places_text(places)
    if names[0] == "d ":
        return f"d {place}"
    return ".".join(filter(None, (place, said[0])))


def _times(places: Sequence[str]) -> str:
    return f" x{len(places):,}" if len(places) > 1 else ""


def _ranges(numbers: Sequence[int], text: str) -> str:
    """Return "0-31", "0-2,5", of many ranges the first ones and the last number; one as its text."""
    if len(numbers) == 1:
        return text
    runs = []
    steps = count()
    for _, run in groupby(numbers, key=lambda number: number - next(steps)):
        first, *others = run
        runs.append(f"{first}-{others[-1]}" if others else str(first))
    if len(runs) > _MOST:
        runs[_MOST - 1 : -1] = [".."]
    return ",".join(runs)
