"""The table as a fragment of HTML, for notebooks."""

from __future__ import annotations

from html import escape

from attntrace.record import Trace
from attntrace.render.finding import finding_lines, findings
from attntrace.render.sheet import Line, Sheet, View, sheet_of
from attntrace.render.timeline import timeline_lines

STYLE = """<style>
.attntrace { font-variant-numeric: tabular-nums }
.attntrace caption, .attntrace th { text-align: left }
.attntrace td { white-space: nowrap }
.attntrace .phase, .attntrace .module { font-weight: bold }
.attntrace .kernel { opacity: 0.6 }
.attntrace .peak { outline: 1px solid currentColor }
</style>
"""
"""What a notebook has before the table; it sets no colour, and so reads well on light and dark."""


def to_html(trace: Trace, view: View) -> str:
    """Return the report as HTML: a caption, a table, a list."""
    sheet = sheet_of(trace, view)
    head = "".join(f"<th>{escape(column.key)}</th>" for column in sheet.columns)
    body = "\n".join(_row(line, sheet) for line in sheet.lines)
    facts = "".join(
        f"<li><b>{escape(name)}</b>: {escape(text)}</li>" for name, text in sheet.footer
    )
    drawing = escape("\n".join(timeline_lines(trace))) if view.timeline else ""
    drawn = f"<pre>{drawing}</pre>\n" if view.timeline else ""
    said = "".join(
        f"<pre>{escape(chr(10).join(finding_lines(one)))}</pre>\n" for one in findings(trace)
    )
    return (
        f"<table class='attntrace'>\n<caption>{escape(sheet.heading)}</caption>\n"
        f"<thead><tr>{head}</tr></thead>\n<tbody>\n{body}\n</tbody>\n</table>\n"
        f"<ul>{facts}</ul>\n{drawn}{said}"
    )


def _row(line: Line, sheet: Sheet) -> str:
    cells = []
    for column in sheet.columns:
        indent = f"padding-left:{line.depth + 0.5}em;" if column.key == "tensor" else ""
        cells.append(
            f"<td style='text-align:{column.align};{indent}'>{escape(line[column].text)}</td>"
        )
    peak = " peak" if line.is_peak else ""
    return f"<tr class='{line.role}{peak}'>{''.join(cells)}</tr>"
