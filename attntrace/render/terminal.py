"""The table on a terminal: with colours, and as many columns as fit."""

from __future__ import annotations

from collections.abc import Iterator

from rich.box import SIMPLE_HEAD
from rich.cells import cell_len
from rich.console import Console
from rich.table import Table
from rich.text import Text

from attntrace.record import Trace
from attntrace.render.columns import Column
from attntrace.render.sheet import Line, Sheet, View, sheet_of
from attntrace.render.text import failure_lines, indented
from attntrace.render.timeline import BLOCK, PLAIN_BLOCK, timeline_lines

_GAP = 2
_LONGEST_NAME = 40  # whole anywhere but on a terminal
_STYLE = {"phase": "bold underline", "module": "bold", "kernel": "dim", "tensor": ""}


def print_report(trace: Trace, view: View, console: Console) -> None:
    """Print the report to a terminal.

    Where it is too narrow, columns go, but never the shape and none that was asked for.
    """
    sheet = sheet_of(trace, view)
    width = console.width
    page = _Page(sheet, width)
    console.width = max(console.width, page.width)
    console.print(Text(sheet.heading, style="bold"), soft_wrap=True)
    console.print(page.table(), soft_wrap=True, crop=False)
    for line in page.footer():
        console.print(line, soft_wrap=True)
    if view.timeline:
        console.print()
        block = PLAIN_BLOCK if console.options.ascii_only else BLOCK
        for drawn in timeline_lines(trace, width, block):
            console.print(Text(drawn), soft_wrap=True)
    if trace.failure is not None:
        panel = "\n".join(["", *failure_lines(trace.failure)])
        console.print(Text(panel, style="bold red"), soft_wrap=True)


class _Page:
    """A sheet for one width."""

    def __init__(self, sheet: Sheet, width: int) -> None:
        self.sheet = sheet
        self.widths = {column: self._needs(column) for column in sheet.columns}
        self.columns = self._fitting(width)
        self.width = self._sum(self.columns)

    def table(self) -> Table:
        """Return the table, the row of the peak marked."""
        table = Table(box=SIMPLE_HEAD, padding=(0, _GAP - 1, 0, 0), show_edge=False, pad_edge=False)
        for column in self.columns:
            width = self.widths[column]
            table.add_column(column.key, justify=column.align, no_wrap=True, min_width=width)
        for line in self.sheet.lines:
            cells = [self._cell(line, column) for column in self.columns]
            table.add_row(*cells, style="bold yellow" if line.is_peak else _STYLE[line.role])
        return table

    def footer(self) -> Iterator[Text]:
        """Yield the lines below the table, and what had no room in it."""
        lines = list(self.sheet.footer)
        gone = [column.key for column in self.sheet.columns if column not in self.columns]
        if gone:
            lines.append(
                ("no room for", f"{', '.join(gone)}: widen the terminal, or use --columns")
            )
        label = max(len(name) for name, _ in lines)
        for name, text in lines:
            yield Text(f"{name:{label}}  ", style="bold").append(text, style="not bold")

    def _fitting(self, width: int) -> list[Column]:
        """Return the columns that fit: the least important go first, and return if they can."""
        kept = list(self.sheet.columns)
        for column in sorted(kept, key=lambda column: -column.drop):
            if column.drop and self._sum(kept) > width:
                kept.remove(column)
        for column in sorted(self.sheet.columns, key=lambda column: column.drop):
            if column not in kept and self._sum([*kept, column]) <= width:
                kept.append(column)
        return [column for column in self.sheet.columns if column in kept]

    def _sum(self, columns: list[Column]) -> int:
        return sum(self.widths[column] + _GAP for column in columns)

    def _needs(self, column: Column) -> int:
        cells = (cell_len(self._text(line, column)) for line in self.sheet.lines)
        return max([*cells, len(column.key)])

    def _text(self, line: Line, column: Column) -> str:
        name = line[column].text
        if column.key == "tensor" and len(name) > _LONGEST_NAME:
            return "  " * line.depth + name[: _LONGEST_NAME - 1] + "…"
        return indented(line, column)

    def _cell(self, line: Line, column: Column) -> Text:
        """Return a cell; new memory is green, so that an eye can follow what costs."""
        text = self._text(line, column)
        fresh = column.key == "from" and text.startswith("new")
        return Text(text, style="green" if fresh else "")
