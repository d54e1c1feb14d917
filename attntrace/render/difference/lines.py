"""A difference in plain text, for a terminal or the log of a job."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

from attntrace.analysis.difference.sizes import follows_from_sizes
from attntrace.record.difference import Difference, ModuleChange, RowChange
from attntrace.render.difference.figures import figure_line, is_size, same_line
from attntrace.render.difference.modules import module_line
from attntrace.render.difference.rows import row_line
from attntrace.render.units import counted

MOST = 40
"""Lines of rows, and of modules, that people are shown."""
_Change = TypeVar("_Change", RowChange, ModuleChange)


def difference_lines(difference: Difference, *, most: int | None = MOST) -> list[str]:
    """Return a line for all that changed: sizes, rows, modules, totals; none where nothing did.

    A line begins with "+" for what was inserted, "-" for what was removed, "~" for what was renamed
    and "!" for what changed. What came or went with its module is counted there. `most` are the
    lines of rows, and those of modules, before the others are only counted; None for all.
    """
    if not difference:
        return []
    totals = (of for of in difference.figures if of.differs and not is_size(of))
    same = same_line(difference.figures)
    return [*change_lines(difference, most), *map(figure_line, totals), *([same] if same else [])]


def change_lines(difference: Difference, most: int | None) -> list[str]:
    """Return the lines of what changed, without totals."""
    sizes = [of for of in difference.figures if of.differs and is_size(of)]
    subject, now = difference.subjects
    return [
        *([f"! subject {subject} -> {now}"] if subject != now else []),
        *map(figure_line, sizes),
        *_explained(difference),
        *_cut(difference.rows, row_line, "row", most),
        *_cut(difference.modules, lambda of: module_line(of, difference.rows), "module", most),
    ]


def _explained(difference: Difference) -> Iterator[str]:
    if follows_from_sizes(difference):
        rows = sum(len(change.places) for change in difference.rows if not change.implied)
        yield f"  these sizes explain all that changed in {counted(rows, 'row')}:"


def _cut(
    changes: Sequence[_Change], line: Callable[[_Change], str], word: str, most: int | None
) -> Iterator[str]:
    """Yield the lines of changes, and how many rows or modules more there are."""
    told = [change for change in changes if not change.implied]
    yield from map(line, told[:most])
    rest = sum(len(change.places) for change in told[len(told[:most]) :])
    if rest:
        yield f"  ... and {counted(rest, f'more {word}')}"
