"""The flags that say what to show of a run: which rows, which columns."""

from __future__ import annotations

from collections.abc import Iterator
from difflib import get_close_matches
from typing import TYPE_CHECKING, get_args

from attntrace.errors import Problem, SettingsError

if TYPE_CHECKING:
    from attntrace.cli.request import Given
    from attntrace.record import Trace
    from attntrace.render import View

_NAMED = 8
"""Names that a message lists; the others are counted."""
_SAME_NAME = ("level", "axes", "explain", "source", "timeline")
_NARROWING = {"depth": "--depth", "only": "--only", "min_nbytes": "--min-size"}


def view_from(given: Given, problems: list[Problem]) -> View:
    """Return what the flags ask to see; what is wrong with them is added to `problems`."""
    from attntrace.render import DEFAULT, View

    columns = tuple(c.strip() for c in given["columns"].split(",")) if given["columns"] else DEFAULT
    problems += _bad_choices(given, columns)
    return View(
        columns=columns,
        fold=not given["unfold"],
        depth=_depth(given["depth"], problems),
        only=tuple(given["only"] or ()),
        min_nbytes=_size(given["min_size"], problems),
        **{name: given[name] for name in _SAME_NAME},
    )


def _bad_choices(given: Given, columns: tuple[str, ...]) -> Iterator[Problem]:
    from attntrace.render import COLUMNS
    from attntrace.render.sheet import Axes, Level

    for name, words in (("level", get_args(Level)), ("axes", get_args(Axes))):
        if given[name] not in words:
            message = f"{name} must be one of {', '.join(words)}; got {given[name]!r}"
            yield Problem(name, message, f"--{name} {given[name]}")
    if given["timeline"] and given["format"] == "csv":
        message = "csv has rows alone; use table, markdown, or json, which has the timeline anyway"
        yield Problem("timeline", message, "--timeline --format csv")
    unknown = [column for column in columns if column not in COLUMNS]
    if unknown:
        message = f"no column {', '.join(map(repr, unknown))}; there are {', '.join(COLUMNS)}"
        yield Problem("columns", message, f"--columns {given['columns']}")


def _depth(text: str | None, problems: list[Problem]) -> int | None:
    if text is None:
        return None
    if text.isascii() and text.isdecimal():
        return int(text)
    message = f"depth must be a whole number from 0, the outermost module, on; got {text!r}"
    problems.append(Problem("depth", message, f"--depth {text}"))
    return None


def _size(text: str | None, problems: list[Problem]) -> int | None:
    from attntrace.notation.units import nbytes_of

    if text is None:
        return None
    try:
        return nbytes_of(text)
    except ValueError as error:
        problems.append(Problem("min-size", str(error), f"--min-size {text}"))
        return None


def check_patterns(trace: Trace, view: View) -> None:
    """Refuse a pattern that nothing in a trace matches. SettingsError."""
    from attntrace.analysis.narrow import matchable, unmatched

    names = list(matchable(trace))
    problems = []
    for pattern in unmatched(trace, view.only):
        close = get_close_matches(pattern, names, n=1)
        meant = f"did you mean {close[0]!r}? " if close else ""
        more = f" and {len(names) - _NAMED:,} more" if len(names) > _NAMED else ""
        there = f"there are {', '.join(names[:_NAMED])}{more}"
        message = f"no module and no tensor matches {pattern!r}; {meant}{there}"
        problems.append(Problem("only", message, f"--only {pattern}"))
    if problems:
        raise SettingsError(problems)


def aside(trace: Trace, view: View, format: str) -> Iterator[str]:
    """Yield what is to be said on stderr, as the format has no place for it."""
    if format == "csv":
        from attntrace.render.finding import finding_lines, findings
        from attntrace.render.sheet import sheet_of

        footer = [*sheet_of(trace, view).footer, *view.more]
        for name, line in dict.fromkeys(footer):
            if name == "hidden" or (name, line) in view.more:
                yield f"{name}: {line}"
        for finding in findings(trace):
            yield "\n".join(finding_lines(finding))
    given = [flag for name, flag in _NARROWING.items() if getattr(view, name) not in (None, ())]
    if format == "json" and given:
        yield f"note: json has every row; {', '.join(given)} would narrow the other formats"
