"""What GitHub shows of a run of its Actions: annotations, and a summary of the job.

The runner makes annotations of the first ten errors of a step, without a word of the others, and
unescapes `%0A` and the like in what a command says: actions/runner, ActionCommand.cs.
"""

from __future__ import annotations

from attntrace.record.outcomes import Report
from attntrace.render.report.breaches import Breach, breaches
from attntrace.render.report.markdown import document

MOST = 10
"""Annotations that a step can show."""
LINES = 12
"""Lines of one annotation; the others are in the summary of the job."""
SUMMARY_NBYTES = 1024 * 1024
"""What GitHub takes of one step; it shows nothing of a longer summary."""
_DATA = str.maketrans({"%": "%25", "\r": "%0D", "\n": "%0A"})
_PROPERTY = _DATA | str.maketrans({":": "%3A", ",": "%2C"})


def to_annotations(report: Report) -> str:
    """Return a command a line, at most ten, the worst first; "" where everything holds.

    Where more does not hold, the tenth says how much more.
    """
    found = breaches(report)
    shown = found if len(found) <= MOST else found[: MOST - 1]
    lines = [_annotation(breach) for breach in shown]
    if rest := len(found) - len(shown):
        said = f"{rest} more contracts do not hold: see the summary of the job"
        lines.append(_command(said, {"title": "attntrace check"}))
    return "".join(f"{line}\n" for line in lines)


def step_summary(report: Report) -> str:
    """Return the report for the file that GITHUB_STEP_SUMMARY names."""
    return document(report, SUMMARY_NBYTES)


def _annotation(breach: Breach) -> str:
    properties: dict[str, object] = {}
    if place := breach.verdict.place:
        properties = {"file": breach.file, "line": place.line, "col": place.column}
    said = breach.lines[:LINES]
    if rest := len(breach.lines) - len(said):
        said.append(f"... {rest} more lines in the summary of the job")
    properties["title"] = f"{breach.config}: {breach.contract}"
    return _command("\n".join(said), properties)


def _command(said: str, properties: dict[str, object]) -> str:
    """Return one command; nothing that it says can end it or begin another."""
    named = [f"{name}={str(value).translate(_PROPERTY)}" for name, value in properties.items()]
    return f"::error {','.join(named)}::{said.translate(_DATA)}"
