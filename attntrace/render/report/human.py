"""The report for people: a line a config, and below it what is wrong, in sentences."""

from __future__ import annotations

from collections.abc import Iterator

from attntrace.record.outcomes import BASELINE, MAKE_IT, RUNS, Outcome, Report, Verdict
from attntrace.render.report.breaches import lines_of, plain, status_counts
from attntrace.render.units import counted

WORDS = {"passed": "ok"}
"""Statuses that are called otherwise here."""
_WIDTH = 8


def to_human(report: Report) -> str:
    """Return the whole report, as `attntrace check` prints it bit by bit."""
    width = max((len(plain(outcome.config)) for outcome in report.outcomes), default=0)
    lines = [line for outcome in report.outcomes for line in outcome_lines(outcome, width)]
    return "".join(f"{line}\n" for line in (*lines, *summary_lines(report)))


def outcome_lines(outcome: Outcome, width: int) -> list[str]:
    """Return the line of a config, its name as wide as the widest, then each thing that is wrong."""
    word = WORDS.get(outcome.status, outcome.status)
    facts = ", ".join(_facts(outcome))
    head = f"{word:{_WIDTH}} {plain(outcome.config):{width}}  "
    lines = [f"{head}{facts}{'  ' if facts else ''}{outcome.seconds:.1f} s"]
    for verdict in outcome.verdicts:
        if not verdict.holds:
            first, *rest = verdict_lines(verdict)
            # the command for all that is missing is the last line
            lines += [f"    {line}" for line in (first.partition(MAKE_IT)[0], *rest)]
    return lines


def summary_lines(report: Report) -> list[str]:
    """Return what came of all configs, how long it took, and what to do next."""
    ran = f"{counted(len(report.outcomes), 'config')} in {report.seconds:.1f} s"
    lines = [f"{ran}: {', '.join(status_counts(report))}"]
    found = {why for outcome in report.outcomes for why in _unwritten(outcome)}
    if found and report.command:
        what = " or ".join(sorted(found))
        lines.append(
            f"to {'accept' if 'changed' in found else 'write'} what is {what}: {report.command}"
        )
    return lines


def _unwritten(outcome: Outcome) -> Iterator[str]:
    """Yield why the baseline of a config is to be written, whatever else is wrong with it."""
    if outcome.status == "missing":
        yield "missing"
    if any(one.contract == BASELINE and not one.holds for one in outcome.verdicts):
        yield from ["changed"] if outcome.difference or outcome.status == "changed" else []


def _facts(outcome: Outcome) -> Iterator[str]:
    """Yield what is known of a run: rows, parameters, expectations, its baseline."""
    if outcome.rows is None or outcome.parameters is None:
        return
    yield counted(outcome.rows, "row")
    yield counted(outcome.parameters, "parameter")
    expected = [one for one in outcome.verdicts if one.contract.startswith("expect.")]
    if expected:
        held = sum(one.holds for one in expected)
        of = "" if held == len(expected) else f"{held} of "
        yield f"{of}{counted(len(expected), 'expectation')}"
    for verdict in outcome.verdicts:
        if verdict.contract == BASELINE and verdict.holds:
            yield f"wrote {plain(outcome.wrote)}" if outcome.wrote else "baseline same"


def verdict_lines(verdict: Verdict) -> Iterator[str]:
    """Yield what does not hold; the first line begins with its place, unless that is a whole file."""
    place = None if verdict.contract in (RUNS, BASELINE) else verdict.place
    where = f"{place.file}:{place.line}:{place.column}: " if place else ""
    first, *rest = lines_of(verdict.said) or [f"{verdict.contract} does not hold"]
    yield f"{plain(where)}{first}"
    yield from (f"  {line}" if line else "" for line in rest)
