"""`attntrace run`: build a block, run it once, show every tensor."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, get_args

import typer

from attntrace.cli import options
from attntrace.cli.exits import OVER, exit_codes
from attntrace.cli.fit import Verdict, budget_from, verdict
from attntrace.cli.output import deliver, unwritable
from attntrace.cli.request import Given, loaded_from, said, with_settings
from attntrace.errors import ForwardError, Problem, SettingsError

if TYPE_CHECKING:
    from attntrace.api import Trace
    from attntrace.render import View
    from attntrace.spec import Loaded

FORMATS = ("table", "json", "csv", "markdown")


@with_settings(file=options.File)
def run_command(
    given: Given,
    measure: options.Measure = False,
    budget: options.Budget = None,
    level: options.Level = "op",
    columns: options.Columns = None,
    explain: options.Explain = False,
    fold: options.Fold = True,
    timeline: options.Timeline = False,
    format: options.Format = "table",
    output: options.Output = None,
    show_config: options.ShowConfig = False,
    debug: options.Debug = False,
) -> None:
    """Build an attention layer or a whole model, run it once on random input, show every tensor.

    Examples: attntrace run --heads 4 --chan 64; attntrace run gpt2 --device meta
    """
    with exit_codes(debug):
        if columns == "help":
            deliver(_column_help(), None)
            return
        loaded, view = _request(given)
        said(loaded)
        if show_config:
            from attntrace.spec import show

            deliver(show(loaded), output)
            return
        shown = _Shown(view, format, output)
        over = _run(loaded, shown, measure, budget)
        if over:
            raise typer.Exit(OVER)


def _column_help() -> str:
    from attntrace.render import COLUMNS

    return "".join(f"{column.key:10} {column.meaning}\n" for column in COLUMNS.values())


def _request(given: Given) -> tuple[Loaded, View]:
    """Return the spec and the view that the flags ask for; SettingsError with every problem."""
    from attntrace.render import DEFAULT, View

    columns = tuple(c.strip() for c in given["columns"].split(",")) if given["columns"] else DEFAULT
    problems = [*_bad_choices(given, columns)]
    budget_from(given["budget"], problems)
    output = given["output"]
    if output is not None and (problem := unwritable(output)):
        problems.append(problem)
    try:
        loaded = loaded_from(given)
    except SettingsError as error:
        raise SettingsError([*error.problems, *problems]) from None
    if problems:
        raise SettingsError(problems)
    wanted = {name: given[name] for name in ("level", "explain", "fold", "timeline")}
    return loaded, View(columns=columns, **wanted)


def _bad_choices(given: Given, columns: tuple[str, ...]) -> list[Problem]:
    from attntrace.render import COLUMNS
    from attntrace.render.sheet import Level

    problems = []
    for name, choices in (("level", get_args(Level)), ("format", FORMATS)):
        if given[name] not in choices:
            message = f"{name} must be one of {', '.join(choices)}; got {given[name]!r}"
            problems.append(Problem(name, message, f"--{name} {given[name]}"))
    if given["timeline"] and given["format"] == "csv":
        message = "csv has rows alone; use table, markdown, or json, which has the timeline anyway"
        problems.append(Problem("timeline", message, "--timeline --format csv"))
    unknown = [column for column in columns if column not in COLUMNS]
    if unknown:
        message = f"no column {', '.join(map(repr, unknown))}; there are {', '.join(COLUMNS)}"
        problems.append(Problem("columns", message, f"--columns {given['columns']}"))
    return problems


@dataclass(frozen=True, slots=True)
class _Shown:
    """How a trace is shown, and where."""

    view: View
    format: str
    output: Path | None


def _run(loaded: Loaded, shown: _Shown, measure: bool, budget: str | None) -> bool:
    """Run, and show it; return whether it was over the budget."""
    from attntrace import api

    try:
        trace = api.run(loaded.spec, measure=measure)
    except SettingsError as error:
        raise loaded.placed(error) from None
    except ForwardError as error:
        _show(error.trace, shown)
        raise
    nbytes = budget_from(budget, [])
    judged = None if nbytes is None else verdict(loaded, trace.facts, nbytes)
    _show(trace, shown, judged)
    return judged is not None and judged.over


def _show(trace: Trace, shown: _Shown, judged: Verdict | None = None) -> None:
    from attntrace import render

    view, format, output = shown.view, shown.format, shown.output
    more = judged.lines() if judged else ()
    view = replace(view, more=more)

    if format == "table" and output is None and sys.stdout.isatty():
        from rich.console import Console

        render.print_report(trace.facts, view, Console())
        return
    if format == "json":
        deliver(_json(trace, judged), output)
        return
    for name, line in more if format == "csv" else ():
        typer.echo(f"attntrace: {name}: {line}", err=True)
    write = {"table": render.to_text, "csv": render.to_csv, "markdown": render.to_markdown}[format]
    deliver(write(trace.facts, view), output)


def _json(trace: Trace, judged: Verdict | None) -> str:
    if judged is None:
        return trace.to_json()
    document = {**json.loads(trace.to_json()), "budget": judged.facts()}
    return json.dumps(document, indent=1) + "\n"
