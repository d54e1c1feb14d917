"""A difference in one sentence: what changed first, in full, and how much more did."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

from attntrace.record.difference import Difference, Figure, ModuleChange, RowChange
from attntrace.render.difference.figures import is_size, title, written
from attntrace.render.difference.modules import module_called, module_details
from attntrace.render.difference.names import listed, row_name
from attntrace.render.difference.parts import changes
from attntrace.render.difference.rows import row_details
from attntrace.render.units import counted

_Change = TypeVar("_Change", RowChange, ModuleChange)


def difference_sentence(difference: Difference) -> str:
    """Return "k changed: (batch, 8 -> 32 heads), and 3 more rows and parameters 9,600 -> 9,408".

    What the sizes explain comes last, as "size heads 8 -> 32 in 11 rows".
    """
    before, after = difference.subjects
    figures = [figure for figure in difference.figures if figure.differs]
    said = [f"subject {before} -> {after}"] if before != after else []
    rest, explained = (changes(difference, explained=of) for of in (False, True))
    said += _told(rest.rows, "row", _row, said)
    said += _told(rest.modules, "module", lambda of: _module(of, difference.rows), said)
    if explained:
        sizes = listed([_figure(figure) for figure in figures if is_size(figure)])
        said.append(f"{sizes} in {listed(explained.counts)}")
    for figure in figures:
        if figure.name == "parameters" or not said:
            said.append(_figure(figure))
    first, *others = said or ["no difference"]
    return f"{first}, and {listed(others)}" if others else first


def _told(
    changes: Sequence[_Change], word: str, write: Callable[[_Change], str], said: list[str]
) -> list[str]:
    """Return the first change in full, if nothing was said before it, and the number of others."""
    if said or not changes:
        return list(filter(None, [_count(changes, word)]))
    return list(filter(None, [write(changes[0]), _count(changes[1:], f"more {word}")]))


def _count(changes: Sequence[RowChange] | Sequence[ModuleChange], word: str) -> str:
    number = sum(len(change.places) for change in changes)
    return counted(number, word) if number else ""


def _row(change: RowChange) -> str:
    return _full(row_name(change), change, row_details(change))


def _module(change: ModuleChange, rows: Sequence[RowChange]) -> str:
    return _full(module_called(change), change, module_details(change, rows))


def _full(name: str, change: RowChange | ModuleChange, details: str) -> str:
    what = f"renamed {name}" if change.what == "renamed" else f"{name} {change.what}"
    return f"{what}: {details}" if details else what


def _figure(figure: Figure) -> str:
    before, after = (text or "none" for text in written(figure))
    return f"{title(figure)} {before} -> {after}"
