"""`attntrace check`: run every config, hold it to what it expects and to its baseline."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING

import typer

from attntrace.cli import options, table
from attntrace.cli.exits import exit_codes
from attntrace.cli.output import deliver
from attntrace.cli.progress import Line
from attntrace.cli.request import Given, with_flags
from attntrace.cli.stop import stopped
from attntrace.cli.tolerance import tolerance_from
from attntrace.errors import AttntraceError, Problem, SettingsError

if TYPE_CHECKING:
    from attntrace.checks.find import Checked
    from attntrace.checks.options import Options
    from attntrace.record.outcomes import Outcome, Report

HUMAN, GITHUB = "human", "github"
_OF_BASELINES = ("baselines", "update", "prune", "tolerance")
STYLES = {"passed": "green", "changed": "yellow", "missing": "yellow"}
"""Colours of the words on a terminal; all others are red."""


@with_flags(
    paths=options.Paths,
    update=options.Update,
    prune=options.Prune,
    baselines=options.Baselines,
    no_baselines=options.NoBaselines,
    tolerance=options.Tolerance,
    device=options.OwnDevice,
    jobs=options.Jobs,
    fail_fast=options.FailFast,
    exit_zero=options.ExitZero,
)
def check_command(
    given: Given,
    format: options.ReportFormat = HUMAN,
    output: options.Output = None,
    debug: options.Debug = False,
) -> None:
    """Run every config: does it run, is it what it expects, is it as its baseline?

    Examples: attntrace check; attntrace check configs/ --update; attntrace check models/ gpt2
    """
    with exit_codes(debug):
        asked = _asked(given, format, output)
        report = _checked(asked)
        _show(report, asked)
        _prune(asked)
        _exit(report, bool(given["exit_zero"]))


@dataclass(frozen=True, slots=True)
class _Asked:
    """What the flags ask for, once nothing is wrong with them."""

    found: list[Checked]
    options: Options
    jobs: int | None
    """None for as many as help."""
    fail_fast: bool
    prune: Sequence[str] | None
    """The baselines that are not to be deleted; None where none is."""
    format: str
    output: Path | None
    command: str
    """What writes the baselines."""

    @property
    def is_told(self) -> bool:
        """Whether people are told of each config as it is there."""
        return self.format == HUMAN or self.output is not None


def _asked(given: Given, format: str, output: Path | None) -> _Asked:
    """Return what the flags ask for. SettingsError with every problem of them."""
    from attntrace.checks.find import DEFAULT, find
    from attntrace.checks.options import FOLDER, command
    from attntrace.render.report import FORMATS

    problems = table.problems(format, output, (HUMAN, *FORMATS))
    wanted = _options(given, problems)
    jobs = _jobs(given["jobs"], problems)
    paths = given["paths"] or []
    found: list[Checked] = []
    keys: list[str] = []
    try:
        found = find(paths, baselines=wanted.baselines)
        if wanted.baselines is not None:
            keys = list(_keys(found, wanted.baselines, problems))
    except SettingsError as error:
        problems = [*error.problems, *problems]
    if problems:
        raise SettingsError(problems)
    if wanted.baselines not in (None, FOLDER) and not given["baselines"]:
        typer.echo(f"attntrace: note: the baselines are those of {wanted.baselines}", err=True)
    return _Asked(
        found=found,
        options=wanted,
        jobs=jobs,
        fail_fast=bool(given["fail_fast"]),
        prune=keys if given["prune"] else None,
        format=format,
        output=output,
        command=command(paths or [DEFAULT], wanted),
    )


def _keys(found: Sequence[Checked], folder: Path, problems: list[Problem]) -> Iterator[str]:
    """Yield what the baseline of each config is called."""
    from attntrace.checks.keys import key_of

    for one in found:
        try:
            yield key_of(one.name, folder)
        except SettingsError as error:
            problems += error.problems


def _options(given: Given, problems: list[Problem]) -> Options:
    from attntrace.checks.options import Options, folder_near

    named = given["baselines"]
    if named is not None and Path(named).exists() and not Path(named).is_dir():
        message = "is a file; name the folder of the baselines"
        problems.append(Problem("baselines", message, f"--baselines {named}"))
    idle = [flag for flag in _OF_BASELINES if given["no_baselines"] and given[flag]]
    problems += [Problem(flag, "means nothing beside --no-baselines", f"--{flag}") for flag in idle]
    return Options(
        baselines=None if given["no_baselines"] else Path(named or folder_near()),
        update=bool(given["update"]),
        tolerance=tolerance_from(given["tolerance"], problems),
        device=_device(given["device"], problems),
    )


def _jobs(text: str | None, problems: list[Problem]) -> int | None:
    if text is None:
        return None
    if text.isdecimal() and int(text) > 0:
        return int(text)
    message = f"jobs must be a whole number >= 1, got {text!r}"
    problems.append(Problem("jobs", message, f"--jobs {text}"))
    return None


def _device(text: str | None, problems: list[Problem]) -> str | None:
    """Return the device, if there is one of that name here."""
    if text is None:
        return None
    from attntrace.spec import load

    try:
        device = load(flags={"run.device": text}).spec.run.device
    except SettingsError as error:
        problems += error.problems
        return None
    from attntrace.capture import missing_device

    if missing := missing_device(device):
        problems.append(Problem("run.device", missing, f"--device {text}"))
    return device


def _checked(asked: _Asked) -> Report:
    """Run all configs; where people are told, print the lines of each in the order found."""
    from attntrace.checks.pool import outcomes
    from attntrace.record.outcomes import Report
    from attntrace.render.report.breaches import plain
    from attntrace.render.report.human import outcome_lines, summary_lines

    start, started = perf_counter(), datetime.now(UTC)
    there: list[Outcome] = []
    names = [one.name for one in asked.found]
    width = max(map(len, names))
    line = Line(len(names))
    found = outcomes(
        asked.found, asked.options, jobs=asked.jobs, fail_fast=asked.fail_fast, watch=line
    )
    try:
        with closing(found), closing(line):
            for outcome in found:
                with line.above():
                    there.append(outcome)
                    _tell(outcome_lines(outcome, width), outcome, asked)
    except KeyboardInterrupt:
        raise typer.Exit(stopped(map(plain, line.running))) from None
    ran = {outcome.config for outcome in there}
    report = Report(
        outcomes=tuple(there),
        seconds=perf_counter() - start,
        left=tuple(name for name in names if name not in ran),
        command="" if asked.options.update else asked.command,
        started=started,
    )
    if asked.is_told:
        deliver("".join(f"{text}\n" for text in summary_lines(report)), None)
    return report


def _tell(lines: list[str], outcome: Outcome, asked: _Asked) -> None:
    """Print what came of a config, the word before it in colour on a terminal."""
    if not asked.is_told:
        if outcome.wrote:
            typer.echo(f"wrote {outcome.wrote}", err=True)
    elif table.on_terminal(None):
        from rich.console import Console
        from rich.text import Text

        text = Text("\n".join(lines))
        text.stylize(f"bold {STYLES.get(outcome.status, 'red')}", 0, lines[0].index(" "))
        Console(highlight=False).print(text, soft_wrap=True)
    else:
        deliver("".join(f"{line}\n" for line in lines), None)


def _show(report: Report, asked: _Asked) -> None:
    """Write the report in its format, where people have not read it already."""
    from attntrace.render.report import FORMATS, step_summary
    from attntrace.render.report.human import to_human

    if asked.format == GITHUB:
        _add_to_summary(step_summary(report))
    if asked.format != HUMAN:
        deliver(FORMATS[asked.format](report), asked.output)
    elif asked.output is not None:
        deliver(to_human(report), asked.output)


def _exit(report: Report, exit_zero: bool) -> None:
    """Raise the exit code of a report, unless all is well; for a bug of ours say that it is one."""
    bugs = [outcome.config for outcome in report.outcomes if outcome.is_bug]
    if bugs:
        message = f"attntrace: this is a bug in attntrace, not in {', '.join(bugs)}"
        typer.echo(f"{message}\nPlease report it with its traceback.", err=True)
    if bugs or (report.exit_code and not exit_zero):
        raise typer.Exit(report.exit_code)


def _add_to_summary(text: str) -> None:
    """Add to the summary of a job of GitHub's, where this is one."""
    file = os.environ.get("GITHUB_STEP_SUMMARY")
    if not file:
        return
    try:
        with Path(file).open("a", encoding="utf-8") as summary:
            summary.write(text)
    except OSError as error:
        message = f"GITHUB_STEP_SUMMARY, {file}, could not be written: {error.strerror}"
        raise AttntraceError(message) from error


def _prune(asked: _Asked) -> None:
    """Delete the baselines that no config owns, and name each."""
    if asked.prune is None or asked.options.baselines is None:
        return
    from attntrace.checks.baselines import Folder

    for path in Folder(asked.options.baselines).prune(asked.prune):
        typer.echo(f"deleted {path}", err=True)
