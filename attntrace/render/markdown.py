"""The table in Markdown."""

from __future__ import annotations

from attntrace.record import Trace
from attntrace.render.finding import finding_lines, findings
from attntrace.render.marked import fenced
from attntrace.render.sheet import Line, Sheet, View, sheet_of
from attntrace.render.timeline import timeline_lines


def to_markdown(trace: Trace, view: View) -> str:
    """Return the report in Markdown: the mode line, the table, the footer as a list."""
    sheet = sheet_of(trace, view)
    marks = ["---:" if column.align == "right" else "---" for column in sheet.columns]
    lines = [
        _escaped(sheet.heading),
        "",
        _row([column.key for column in sheet.columns]),
        _row(marks),
        *(_row(_cells(line, sheet)) for line in sheet.lines),
        "",
        *(f"- **{name}**: {_escaped(text)}" for name, text in sheet.footer),
    ]
    if view.timeline:
        lines += ["", "```text", *timeline_lines(trace), "```"]
    for finding in findings(trace):
        lines += ["", *fenced(finding_lines(finding))]
    return "\n".join(lines) + "\n"


def _cells(line: Line, sheet: Sheet) -> list[str]:
    cells = []
    for column in sheet.columns:
        text = _escaped(line[column].text)
        if column.key == "tensor":
            text = "&nbsp;&nbsp;" * line.depth + (
                f"**{text}**" if line.role in ("phase", "module") else text
            )
        cells.append(text)
    return cells


def _row(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _escaped(text: str) -> str:
    for mark in ("\\", "|", "*", "_", "<", "[", "`"):
        text = text.replace(mark, f"\\{mark}")
    return text.replace("\n", " ")
