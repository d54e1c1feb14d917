"""A difference in plain text, for a terminal or the log of a job."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from attntrace.record.difference import Difference
from attntrace.render.difference.figures import figure_line, is_size, same_line
from attntrace.render.difference.modules import module_line
from attntrace.render.difference.names import row_name
from attntrace.render.difference.parts import Changes, carried, changes
from attntrace.render.difference.rows import row_line
from attntrace.render.units import counted

MOST = 40
"""Lines of rows, and of modules, that people are shown."""
_FEW, _ALONE = 6, 12
"""Lines of what the sizes explain that they are shown, likewise: behind the rest, and without any."""


def difference_lines(
    difference: Difference, *, most: int | None = MOST, headed: bool = False
) -> list[str]:
    """Return a line for all that changed: rows, modules, sizes, totals; none where nothing did.

    A line begins with "+" for what was inserted, "-" for what was removed, "~" for what was renamed
    and "!" for what changed. What came or went with its module is counted there. `most` are the
    lines of rows, and those of modules, before the others are only counted; None for all. `headed`
    is for lines below the sentence: what that tells alone and in full is not told again.
    """
    if not difference:
        return []
    totals = (of for of in difference.figures if of.differs and not is_size(of))
    same = same_line(difference.figures)
    return [
        *change_lines(difference, most, headed=headed),
        *map(figure_line, totals),
        *([same] if same else []),
    ]


def change_lines(difference: Difference, most: int | None, *, headed: bool = False) -> list[str]:
    """Return the lines of what changed, without totals.

    Where the sizes explain some of it, the rest comes first.
    """
    rest, explained = (changes(difference, explained=of) for of in (False, True))
    sizes = [figure_line(of) for of in difference.figures if of.differs and is_size(of)]
    subject, now = difference.subjects
    told = headed and rest.is_one and subject == now
    lines = [] if told else _lines(rest, difference, most)
    if moved := sum(len(of.places) for of in carried(difference).rows):
        lines.append(
            f"  with that, {counted(moved, 'row')} in another module: {_example(difference)}"
        )
    if explained:
        few = most if most is None else min(most, _FEW if rest else _ALONE)
        how = f"{'the rest' if rest else 'all'}: {', '.join(explained.counts)}"
        alone = sizes[1:] == []
        sizes[-1:] = (
            [f"{sizes[-1]} explains {how}"] if alone else [sizes[-1], f"  these explain {how}"]
        )
        lines += [*sizes, *_lines(explained, difference, few)]
    else:
        lines = [*sizes, *lines]
    return [*([f"! subject {subject} -> {now}"] if subject != now else []), *lines]


def _example(difference: Difference) -> str:
    return row_name(carried(difference).rows[0])


def _lines(found: Changes, difference: Difference, most: int | None) -> list[str]:
    return [
        *_cut([(row_line(of), len(of.places)) for of in found.rows], "row", most),
        *_cut(
            [(module_line(of, difference.rows), len(of.places)) for of in found.modules],
            "module",
            most,
        ),
    ]


def _cut(lines: Sequence[tuple[str, int]], word: str, most: int | None) -> Iterator[str]:
    """Yield the first of some lines, and how many rows or modules the others are of."""
    yield from (line for line, _ in lines[:most])
    rest = sum(places for _, places in lines[most:]) if most is not None else 0
    if rest:
        yield f"  ... and {counted(rest, f'more {word}')}"
