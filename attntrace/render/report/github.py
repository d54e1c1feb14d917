"""What GitHub shows of a run of its Actions: annotations, and a summary of the job.

The runner makes annotations of the first ten errors of a step, without a word of the others, and
unescapes `%0A` and the like in what a command says: actions/runner, ActionCommand.cs.
"""

from __future__ import annotations

from attntrace.record.outcomes import Report
from attntrace.render.report.breaches import Breach, breaches, plain
from attntrace.render.report.markdown import document

MOST = 10
"""Annotations that a step can show."""
MISSING = 4
"""Behind all that is wrong: the place of a baseline that nobody has made."""
LINES = 12
"""Lines of one annotation; the others are in the summary of the job."""
SUMMARY_NBYTES = 1024 * 1024
"""What GitHub takes of one step; it shows nothing of a longer summary."""
_DATA = str.maketrans({"%": "%25", "\r": "%0D", "\n": "%0A"})
_PROPERTY = _DATA | str.maketrans({":": "%3A", ",": "%2C"})


def to_annotations(report: Report) -> str:
    """Return a command a line, at most ten, the worst first; "" where everything holds.

    Where there are more, all missing baselines are one, and the tenth says how much is left.
    """
    found = sorted(breaches(report), key=_place)
    missing = [breach for breach in found if _place(breach) == MISSING]
    wrong = found[: len(found) - len(missing)]
    if len(found) <= MOST:
        return "".join(map(_annotation, found))
    if len(missing) > 1 and len(wrong) < MOST:
        return "".join([*map(_annotation, wrong), _together(missing, report.command)])
    said = f"{len(found) - MOST + 1} more contracts do not hold: see the summary of the job"
    shown = map(_annotation, found[: MOST - 1])
    return "".join([*shown, _command(said, {"title": "attntrace check"})])


def step_summary(report: Report) -> str:
    """Return the report for the file that GITHUB_STEP_SUMMARY names."""
    return document(report, SUMMARY_NBYTES)


def _place(breach: Breach) -> int:
    """Return where among the others a breach stands: what is judged wrong before what is missing."""
    if breach.kind == "baseline" and breach.outcome.status == "missing":
        return MISSING
    return ("runs", "config", "expect", "baseline").index(breach.kind)


def _together(missing: list[Breach], command: str) -> str:
    """Return one annotation of all baselines that are missing."""
    configs = [breach.config for breach in missing]
    fix = [f"make them: {plain(command)}"] if command else []
    said = [f"{len(configs)} configs have no baseline", *fix, *_cut(configs)]
    return _command("\n".join(said), {"title": "attntrace check: baseline"})


def _cut(lines: list[str]) -> list[str]:
    rest = len(lines) - LINES
    more = [f"... {rest} more lines in the summary of the job"] if rest > 0 else []
    return [*lines[:LINES], *more]


def _annotation(breach: Breach) -> str:
    properties: dict[str, object] = {}
    if place := breach.verdict.place:
        properties = {"file": breach.file, "line": place.line, "col": place.column}
    properties["title"] = f"{breach.config}: {breach.contract}"
    return _command("\n".join(_cut(breach.lines)), properties)


def _command(said: str, properties: dict[str, object]) -> str:
    """Return the line of one command; nothing that it says can end it or begin another."""
    named = [f"{name}={str(value).translate(_PROPERTY)}" for name, value in properties.items()]
    return f"::error {','.join(named)}::{said.translate(_DATA)}\n"
