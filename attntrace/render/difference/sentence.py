"""A difference in one sentence: what changed first, in full, and how much more did."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

from attntrace.analysis.difference.sizes import follows_from_sizes
from attntrace.record.difference import Difference, Figure, ModuleChange, RowChange
from attntrace.render.difference.figures import is_size, title, written
from attntrace.render.difference.modules import module_details
from attntrace.render.difference.names import listed, module_name, row_name
from attntrace.render.difference.rows import row_details
from attntrace.render.units import counted

_Change = TypeVar("_Change", RowChange, ModuleChange)


def difference_sentence(difference: Difference) -> str:
    """Return "k changed: (batch, 8 -> 32 heads), and 3 more rows and parameters 9,600 -> 9,408"."""
    before, after = difference.subjects
    figures = [figure for figure in difference.figures if figure.differs]
    said = [f"subject {before} -> {after}"] if before != after else []
    if follows_from_sizes(difference):
        sizes = listed([_figure(figure) for figure in figures if is_size(figure)])
        said.append(f"{sizes}, in {_count(difference.rows, 'row')}")
    else:
        said += _told(difference.rows, "row", _row, said)
    said += _told(
        difference.modules, "module", lambda change: _module(change, difference.rows), said
    )
    for figure in figures:
        if figure.name == "parameters" or not said:
            said.append(_figure(figure))
    first, *others = said or ["no difference"]
    return f"{first}, and {listed(others)}" if others else first


def _told(
    changes: Sequence[_Change], word: str, write: Callable[[_Change], str], said: list[str]
) -> list[str]:
    """Return the first change in full, if nothing was said before it, and the number of others."""
    told = [change for change in changes if not change.implied]
    if said or not told:
        return list(filter(None, [_count(told, word)]))
    return list(filter(None, [write(told[0]), _count(told[1:], f"more {word}")]))


def _count(changes: Sequence[RowChange] | Sequence[ModuleChange], word: str) -> str:
    number = sum(len(change.places) for change in changes if not change.implied)
    return counted(number, word) if number else ""


def _row(change: RowChange) -> str:
    return _full(row_name(change), change, row_details(change))


def _module(change: ModuleChange, rows: Sequence[RowChange]) -> str:
    return _full(f"module {module_name(change)}".strip(), change, module_details(change, rows))


def _full(name: str, change: RowChange | ModuleChange, details: str) -> str:
    what = f"renamed {name}" if change.what == "renamed" else f"{name} {change.what}"
    return f"{what}: {details}" if details else what


def _figure(figure: Figure) -> str:
    before, after = (text or "none" for text in written(figure))
    return f"{title(figure)} {before} -> {after}"
