"""The table as text: with colours on a terminal, plain and untruncated anywhere else."""

from __future__ import annotations

from io import StringIO

from rich.box import SIMPLE_HEAD
from rich.cells import cell_len
from rich.console import Console
from rich.table import Table
from rich.text import Text

from attntrace.record import Failure, Trace
from attntrace.render.sheet import Line, Sheet, View, sheet_of
from attntrace.render.units import shape_text

_GAP = 2
_STYLE = {"module": "bold", "kernel": "dim", "tensor": ""}


def to_text(trace: Trace, view: View) -> str:
    """Return the whole report as plain text, as wide as its widest row."""
    out = StringIO()
    console = Console(file=out, width=10_000, color_system=None, _environ={})
    _print(console, sheet_of(trace, view), trace, None)
    return "\n".join(line.rstrip() for line in out.getvalue().splitlines()) + "\n"


def print_report(trace: Trace, view: View, console: Console) -> None:
    """Print the report to a terminal; where it is too narrow, columns go, but never the shape."""
    _print(console, sheet_of(trace, view), trace, console.width)


def _print(console: Console, sheet: Sheet, trace: Trace, width: int | None) -> None:
    console.print(Text(sheet.heading, style="bold"), soft_wrap=True)
    kept = _kept(sheet, width)
    console.width = max(console.width, sum(_width(sheet, column) + _GAP for column in kept))
    console.print(_table(sheet, kept), soft_wrap=True, crop=False)
    label = max(len(name) for name, _ in sheet.footer)
    for name, text in sheet.footer:
        console.print(
            Text(f"{name:{label}}  ", style="bold").append(text, style="not bold"), soft_wrap=True
        )
    if trace.failure is not None:
        console.print(_failure(trace.failure), soft_wrap=True)


def _kept(sheet: Sheet, width: int | None) -> list[int]:
    """Return the columns that fit, dropping the least important first."""
    kept = list(range(len(sheet.columns)))
    while width is not None and sum(_width(sheet, c) + _GAP for c in kept) + _GAP > width:
        droppable = [c for c in kept if sheet.columns[c].drop]
        if not droppable or len(kept) == 1:
            break
        kept.remove(max(droppable, key=lambda c: (sheet.columns[c].drop, c)))
    return kept


def _width(sheet: Sheet, column: int) -> int:
    cells = (cell_len(_indented(line, column, sheet)) for line in sheet.lines)
    return max([*cells, len(sheet.columns[column].key)])


def _indented(line: Line, column: int, sheet: Sheet) -> str:
    text = line[sheet.columns[column]].text
    return "  " * line.depth + text if sheet.columns[column].key == "tensor" else text


def _table(sheet: Sheet, kept: list[int]) -> Table:
    table = Table(box=SIMPLE_HEAD, padding=(0, _GAP - 1, 0, 0), show_edge=False, pad_edge=False)
    for column in kept:
        shown = sheet.columns[column]
        width = _width(sheet, column)
        table.add_column(shown.key, justify=shown.align, no_wrap=True, min_width=width)
    for line in sheet.lines:
        cells = [_cell(line, column, sheet) for column in kept]
        table.add_row(*cells, style="bold yellow" if line.is_peak else _STYLE[line.role])
    return table


def _cell(line: Line, column: int, sheet: Sheet) -> Text:
    """Return a cell; new memory is green, so that an eye can follow what costs."""
    text = _indented(line, column, sheet)
    fresh = sheet.columns[column].key == "from" and text.startswith("new")
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
