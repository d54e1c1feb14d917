"""The table on a terminal: with colours, and as many columns as fit."""

from __future__ import annotations

from collections.abc import Iterator

from rich.box import SIMPLE_HEAD
from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderResult
from rich.table import Table
from rich.text import Text

from attntrace.record import Diagnosis, Trace, Trap
from attntrace.render.cells import EMPTY
from attntrace.render.columns import Column
from attntrace.render.finding import finding_lines, findings
from attntrace.render.sheet import Line, Sheet, View, sheet_of
from attntrace.render.timeline import BLOCK, PLAIN_BLOCK, timeline_lines

_GAP = 2
_NAMES = (40, 32, 24)  # letters of a name on a terminal, the fewer the more columns find room
_CUT_FOR = 5  # of those that go earlier none is worth cut names
_HEADING = 8  # letters that a heading may have more: its end says what it is
_DEEP = 6  # levels of modules up to which a level is indented by two
_HEAD = "bold red"
_SAID = {"^": "red", "fix: ": "green", "from: ": "cyan"}
_STYLE = {"phase": "bold underline", "module": "bold", "kernel": "dim", "tensor": ""}


def print_report(trace: Trace, view: View, console: Console) -> None:
    """Print the report to a terminal.

    Where it is too narrow, columns go, but never the shape and none that was asked for.
    """
    page = _Page(trace, view, console.options)
    console.width = max(console.width, page.width)
    for part in page.parts():
        console.print(part, soft_wrap=True, crop=False)


def print_crash(said: Trace | Diagnosis, view: View) -> None:
    """Print a report, or what is said of a crash alone, to the terminal that is stderr."""
    console = Console(stderr=True)
    if isinstance(said, Trace):
        print_report(said, view, console)
    else:
        console.print(panel(said), soft_wrap=True, crop=False)


def report(trace: Trace, view: View, console: Console, options: ConsoleOptions) -> RenderResult:
    """Yield the report for `__rich_console__`: long lines are wrapped, the table never is."""
    page = _Page(trace, view, options)
    wide = options.update(width=max(options.max_width, page.width))
    for part in page.parts():
        yield from console.render(part, wide if isinstance(part, Table) else options)


class _Page:
    """A report for one width."""

    def __init__(self, trace: Trace, view: View, options: ConsoleOptions) -> None:
        self.trace, self.view, self.options = trace, view, options
        self.sheet = sheet_of(trace, view)
        fitted = [_Fitted(self.sheet, options.max_width, longest) for longest in _NAMES]
        self.fitted = max(fitted, key=lambda one: sum(c.drop < _CUT_FOR for c in one.columns))
        self.width = self.fitted.width

    def parts(self) -> Iterator[Text | Table]:
        """Yield all that is to be printed, in order."""
        yield Text(self.sheet.heading, style="bold")
        yield self.table()
        yield from self.footer()
        if self.view.timeline:
            yield Text()
            block = PLAIN_BLOCK if self.options.ascii_only else BLOCK
            yield from map(Text, timeline_lines(self.trace, self.options.max_width, block))
        for finding in findings(self.trace):
            yield Text()
            yield panel(finding)

    def table(self) -> Table:
        """Return the table, the row of the peak marked."""
        table = Table(box=SIMPLE_HEAD, padding=(0, _GAP - 1, 0, 0), show_edge=False, pad_edge=False)
        columns = self.fitted.columns
        for column in columns:
            width = self.fitted.widths[column]
            table.add_column(column.key, justify=column.align, no_wrap=True, min_width=width)
        for line in self.sheet.lines:
            cells = [self._cell(line, column) for column in columns]
            table.add_row(*cells, style="bold yellow" if line.is_peak else _STYLE[line.role])
        return table

    def footer(self) -> Iterator[Text]:
        """Yield the lines below the table, and what had no room in it."""
        lines = list(self.sheet.footer)
        gone = [column.key for column in self.sheet.columns if column not in self.fitted.columns]
        if gone:
            lines.append(
                ("no room for", f"{', '.join(gone)}: widen the terminal, or use --columns")
            )
        label = max(len(name) for name, _ in lines)
        for name, text in lines:
            yield Text(f"{name:{label}}  ", style="bold").append(text, style="not bold")

    def _cell(self, line: Line, column: Column) -> Text:
        """Return a cell: new memory is green, what costs nothing is dim, for an eye to follow."""
        text = self.fitted.text(line, column)
        if column.key == "from":
            return Text(text, style="green" if text.startswith("new") else "")
        same = line.cells.get("from", EMPTY).text.startswith("same")
        return Text(text, style="dim" if same and not line.is_peak else "")


def panel(finding: Diagnosis | Trap) -> Text:
    """Return what is said of a line: the rule stands out, and so do the fixes."""
    text = Text()
    for line in finding_lines(finding):
        mark = line.lstrip()
        style = next((style for start, style in _SAID.items() if mark.startswith(start)), "")
        if finding.rule and mark == finding.rule:
            style = "bold"
        text.append(f"{line}\n", style=style if text else _HEAD)
    text.rstrip()
    return text


class _Fitted:
    """The columns that fit a width, with names up to a length."""

    def __init__(self, sheet: Sheet, room: int, longest: int) -> None:
        self.sheet, self.longest = sheet, longest
        deepest = max((line.depth for line in sheet.lines), default=0)
        self.indent = "  " if deepest <= _DEEP else " "
        self.widths = {column: self._needs(column) for column in sheet.columns}
        self.columns = self._fitting(room)
        self.width = self._sum(self.columns)

    def text(self, line: Line, column: Column) -> str:
        """Return the text of a cell: of a long name the beginning, of a long path the end."""
        name = line[column].text
        if column.key != "tensor":
            return name
        longest = self.longest + (_HEADING if line.role == "module" else 0)
        if len(name) > longest:
            cut = longest - 1
            name = f"…{name[-cut:]}" if line.role == "module" else f"{name[:cut]}…"
        return self.indent * line.depth + name

    def _fitting(self, room: int) -> list[Column]:
        """Return the columns that fit: the least important go first, and return if they can."""
        kept = list(self.sheet.columns)
        for column in sorted(kept, key=lambda column: -column.drop):
            if column.drop and self._sum(kept) > room:
                kept.remove(column)
        for column in sorted(self.sheet.columns, key=lambda column: column.drop):
            if column not in kept and self._sum([*kept, column]) <= room:
                kept.append(column)
        return [column for column in self.sheet.columns if column in kept]

    def _sum(self, columns: list[Column]) -> int:
        return sum(self.widths[column] + _GAP for column in columns)

    def _needs(self, column: Column) -> int:
        cells = (cell_len(self.text(line, column)) for line in self.sheet.lines)
        return max([*cells, len(column.key)])
