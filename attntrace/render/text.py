"""The table as plain text: untruncated, as wide as its widest row."""

from __future__ import annotations

from collections.abc import Iterator
from unicodedata import east_asian_width

from attntrace.record import Trace
from attntrace.render.columns import Column
from attntrace.render.finding import finding_lines, findings
from attntrace.render.sheet import Line, Sheet, View, sheet_of
from attntrace.render.timeline import timeline_lines

_GAP = "  "


def to_text(trace: Trace, view: View) -> str:
    """Return the whole report as plain text."""
    sheet = sheet_of(trace, view)
    lines = [sheet.heading, *_table(sheet), *_footer(sheet)]
    if view.timeline:
        lines += ["", *timeline_lines(trace)]
    for finding in findings(trace):
        lines += ["", *finding_lines(finding)]
    return "\n".join(line.rstrip() for line in lines) + "\n"


def indented(line: Line, column: Column) -> str:
    """Return the text of a cell; names stand as deep as the module that made the tensor."""
    text = line[column].text
    return "  " * line.depth + text if column.key == "tensor" else text


def _table(sheet: Sheet) -> Iterator[str]:
    columns = sheet.columns
    rows = [[indented(line, column) for column in columns] for line in sheet.lines]
    rows.insert(0, [column.key for column in columns])
    widths = [max(map(_cells, texts)) for texts in zip(*rows, strict=True)]
    for number, row in enumerate(rows):
        padded = zip(row, widths, columns, strict=True)
        yield _GAP.join(_padded(text, width, column) for text, width, column in padded)
        if number == 0:
            yield "─" * (sum(widths) + len(_GAP) * (len(widths) - 1))


def _padded(text: str, width: int, column: Column) -> str:
    blanks = " " * (width - _cells(text))
    return blanks + text if column.align == "right" else text + blanks


def _cells(text: str) -> int:
    """Return the places that a text takes on a screen: two for a wide letter."""
    if text.isascii():
        return len(text)
    return sum(2 if east_asian_width(letter) in "WF" else 1 for letter in text)


def _footer(sheet: Sheet) -> Iterator[str]:
    label = max(len(name) for name, _ in sheet.footer)
    for name, text in sheet.footer:
        yield f"{name:{label}}  {text}"
