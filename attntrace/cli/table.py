"""Tables of words: whole and plain in a pipe or a file, wrapped to fit on a terminal."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from attntrace.cli.output import unwritable
from attntrace.errors import Problem, SettingsError

if TYPE_CHECKING:
    from rich.table import Table

FORMATS = ("table", "markdown", "json")
WITH_CSV = ("table", "json", "csv", "markdown")
Rows = Sequence[Sequence[str]]


def check(format: str, output: Path | None, formats: Sequence[str] = FORMATS) -> None:
    """Refuse a format that there is not, and a file that cannot be written. SettingsError."""
    found = problems(format, output, formats)
    if found:
        raise SettingsError(found)


def problems(format: str, output: Path | None, formats: Sequence[str] = FORMATS) -> list[Problem]:
    """Return what is wrong with a format and with where the table is to go."""
    found = []
    if format not in formats:
        message = f"format must be one of {', '.join(formats)}; got {format!r}"
        found.append(Problem("format", message, f"--format {format}"))
    if output is not None and (problem := unwritable(output)):
        found.append(problem)
    return found


def plain(head: Sequence[str], rows: Rows, numbers: Sequence[str] = ()) -> str:
    """Return columns side by side, as wide as they need; those named in `numbers` to the right."""
    every = [head, *rows]
    widths = [max(len(row[at]) for row in every) for at in range(len(head))]
    lines = []
    for row in every:
        cells = [
            f"{cell:>{width}}" if name in numbers else f"{cell:{width}}"
            for cell, width, name in zip(row, widths, head, strict=True)
        ]
        lines.append("  ".join(cells).rstrip())
    return "\n".join(lines) + "\n"


def markdown(head: Sequence[str], rows: Rows, numbers: Sequence[str] = ()) -> str:
    """Return the same in Markdown."""
    under = ["---:" if name in numbers else "---" for name in head]
    every = [head, under, *([cell.replace("|", "\\|") for cell in row] for row in rows)]
    return "".join(f"| {' | '.join(row)} |\n" for row in every)


def on_terminal(output: Path | None) -> bool:
    """Whether what is printed is for somebody's eyes."""
    return output is None and sys.stdout.isatty()


def wrapped(head: Sequence[str], rows: Rows, numbers: Sequence[str] = ()) -> Table:
    """Return the same for a terminal: cells wrap, the first column stays whole."""
    from rich.box import SIMPLE_HEAD
    from rich.table import Table
    from rich.text import Text

    table = Table(box=SIMPLE_HEAD, header_style="bold", pad_edge=False)
    for name in head:
        right, first = name in numbers, name == head[0]
        table.add_column(
            name,
            justify="right" if right else "left",
            style="bold" if first else "",
            no_wrap=right or first,
            overflow="fold",
        )
    for row in rows:
        table.add_row(*(Text(cell) for cell in row))
    return table
