"""The table as text: with colours on a terminal, plain and untruncated anywhere else."""

from __future__ import annotations

from collections.abc import Iterator
from io import StringIO

from rich.box import SIMPLE_HEAD
from rich.cells import cell_len
from rich.console import Console
from rich.table import Table
from rich.text import Text

from attntrace.record import Failure, Trace
from attntrace.render.columns import Column
from attntrace.render.sheet import Line, Sheet, View, sheet_of
from attntrace.render.units import shape_text

_GAP = 2
_LONGEST_NAME = 40  # on a terminal; whole anywhere else
_STYLE = {"module": "bold", "kernel": "dim", "tensor": ""}


def to_text(trace: Trace, view: View) -> str:
    """Return the whole report as plain text, as wide as its widest row."""
    out = StringIO()
    console = Console(file=out, width=10_000, color_system=None, _environ={})
    _print(console, sheet_of(trace, view), trace.failure, None)
    return "\n".join(line.rstrip() for line in out.getvalue().splitlines()) + "\n"


def print_report(trace: Trace, view: View, console: Console) -> None:
    """Print the report to a terminal.

    Where it is too narrow, columns go, but never the shape and none that was asked for.
    """
    _print(console, sheet_of(trace, view), trace.failure, console.width)


def _print(console: Console, sheet: Sheet, failure: Failure | None, width: int | None) -> None:
    page = _Page(sheet, width)
    console.width = max(console.width, page.width)
    console.print(Text(sheet.heading, style="bold"), soft_wrap=True)
    console.print(page.table(), soft_wrap=True, crop=False)
    for line in page.footer():
        console.print(line, soft_wrap=True)
    if failure is not None:
        console.print(_failure(failure), soft_wrap=True)


class _Page:
    """A sheet for one width; None has room for everything."""

    def __init__(self, sheet: Sheet, width: int | None) -> None:
        self.sheet, self.narrow = sheet, width is not None
        self.widths = {column: self._needs(column) for column in sheet.columns}
        self.columns = list(sheet.columns) if width is None else self._fitting(width)
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
        text = line[column].text
        if column.key != "tensor":
            return text
        if self.narrow and len(text) > _LONGEST_NAME:
            text = text[: _LONGEST_NAME - 1] + "…"
        return "  " * line.depth + text

    def _cell(self, line: Line, column: Column) -> Text:
        """Return a cell; new memory is green, so that an eye can follow what costs."""
        text = self._text(line, column)
        fresh = column.key == "from" and text.startswith("new")
        return Text(text, style="green" if fresh else "")


def _failure(failure: Failure) -> Text:
    """Return the panel below a table that stops short."""
    lines = [str(failure)]
    if failure.line:
        lines.append(f"  {failure.line}")
    lines += [
        f"  {o.name}: {shape_text(o.shape)} {o.dtype} {o.device}"
        + (f", row #{o.row}" if o.row is not None else "")
        for o in failure.operands
    ]
    return Text("\n" + "\n".join(lines), style="bold red")
