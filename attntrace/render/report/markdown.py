"""The report in Markdown, for comments on pull and merge requests and for summaries of jobs."""

from __future__ import annotations

import html
from collections.abc import Iterator

from attntrace.record.outcomes import Report
from attntrace.render.difference import difference_markdown
from attntrace.render.marked import escaped, fenced
from attntrace.render.report.breaches import Breach, breaches, lines_of, plain, status_counts
from attntrace.render.units import counted

COMMENT_NBYTES = 65_536
"""What GitHub takes of one comment, in characters; in bytes that is never too many."""


def to_markdown(report: Report) -> str:
    """Return the report, short enough for a comment."""
    return document(report, COMMENT_NBYTES)


def document(report: Report, limit: int) -> str:
    """Return counts, a table of what does not hold and the differences, in `limit` bytes.

    What does not fit is left out, and the last line says how much that is.
    """
    parts = [*_head(report), *_body(breaches(report))]
    note = "\n{} parts do not fit here; `attntrace check --format json` has them."
    room = limit - _nbytes(note.format(len(parts)))
    kept = []
    for part in parts:
        if _nbytes(part) <= room:
            room -= _nbytes(part)
            kept.append(part)
    if missing := len(parts) - len(kept):
        kept.append(note.format(missing))
    return "\n".join(kept) + "\n"


def _nbytes(part: str) -> int:
    return len(part.encode()) + 1


def _head(report: Report) -> Iterator[str]:
    """Yield the heading, the counts, what was not run, and what accepts the changes."""
    wrong = sum(outcome.status != "passed" for outcome in report.outcomes)
    configs = counted(len(report.outcomes), "config")
    yield f"## attntrace check: {f'{wrong} of {configs} did not pass' if wrong else f'{configs} passed'}"
    yield f"\n{', '.join(status_counts(report))} in {report.seconds:.1f} s"
    if report.left:
        yield f"\nNot run: {', '.join(escaped(plain(config)) for config in report.left)}"
    statuses = {outcome.status for outcome in report.outcomes}
    if report.command and statuses & {"changed", "missing"}:
        command = "\n".join(fenced([plain(report.command)]))
        yield f"\nWhere the runs are as they should be, this writes their baselines:\n\n{command}"


def _body(found: list[Breach]) -> Iterator[str]:
    """Yield the table a row at a time, then what follows the first lines, to be folded out."""
    if found:
        yield "\n| config | contract | what is wrong |\n| --- | --- | --- |"
    yield from map(_row, found)
    for breach in found:
        if more := _more(breach):
            title = html.escape(f"{breach.config}: {breach.contract}")
            lines = ["", f"<details><summary>{title}</summary>", "", *more, "", "</details>"]
            yield "\n".join(lines)


def _row(breach: Breach) -> str:
    place = breach.verdict.place
    where = f"{breach.config}:{place.line}" if place else breach.config
    return f"| {escaped(where)} | {escaped(breach.contract)} | {escaped(breach.lines[0])} |"


def _more(breach: Breach) -> list[str]:
    """Return the difference of what is not as its baseline, else all lines if there are more."""
    difference = breach.outcome.difference
    if difference and breach.kind == "baseline":
        return lines_of(difference_markdown(difference))
    return fenced(breach.lines) if breach.lines[1:] else []
