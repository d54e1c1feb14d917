"""`attntrace run`: build a block, run it once, show every tensor."""

from __future__ import annotations

import json
import sys
from contextlib import redirect_stdout
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from attntrace.cli import options, table
from attntrace.cli.exits import OVER, exit_codes
from attntrace.cli.fit import Verdict, budget_from, verdict
from attntrace.cli.output import deliver
from attntrace.cli.request import Given, with_settings
from attntrace.cli.subject import asked_for
from attntrace.cli.view import aside, check_patterns, view_from
from attntrace.errors import ForwardError, Problem, SettingsError

if TYPE_CHECKING:
    from attntrace.api import Trace
    from attntrace.render import View
    from attntrace.spec import Loaded, LoadedSubject


@with_settings(file=options.Subject)
def run_command(
    given: Given,
    measure: options.Measure = False,
    budget: options.Budget = None,
    strict: options.Strict = False,
    level: options.Level = "op",
    axes: options.Axes = "both",
    columns: options.Columns = None,
    explain: options.Explain = False,
    source: options.Source = False,
    depth: options.Depth = None,
    only: options.Only = None,
    min_size: options.MinSize = None,
    unfold: options.Unfold = False,
    timeline: options.Timeline = False,
    format: options.Format = "table",
    output: options.Output = None,
    show_config: options.ShowConfig = False,
    debug: options.Debug = False,
) -> None:
    """Build an attention layer, a whole model or one of your own, run it once, show every tensor.

    Examples: attntrace run --heads 4 --chan 64; attntrace run gpt2 --device meta; attntrace run
    model.py:Block --init dim=64 --input x=2,16,64
    """
    with exit_codes(debug):
        if columns == "help":
            deliver(_column_help(), None)
            return
        asked = _request(given)
        if show_config:
            deliver(_shown(asked.loaded), output)
        elif _run(asked):
            raise typer.Exit(OVER)


def _shown(loaded: Loaded | LoadedSubject) -> str:
    from attntrace.spec import LoadedSubject, show, show_subject

    return show_subject(loaded) if isinstance(loaded, LoadedSubject) else show(loaded)


def _column_help() -> str:
    from attntrace.render import COLUMNS

    return "".join(f"{column.key:10} {column.meaning}\n" for column in COLUMNS.values())


@dataclass(frozen=True, slots=True)
class _Asked:
    """What the flags ask for, once nothing is wrong with them."""

    loaded: Loaded | LoadedSubject
    measure: bool
    budget: int | None
    """In bytes."""
    strict: bool
    """Whether a warning counts as much as being over the budget."""
    view: View
    format: str
    output: Path | None


def _request(given: Given) -> _Asked:
    """Return what the flags ask for. SettingsError with every problem."""
    problems: list[Problem] = []
    view = view_from(given, problems)
    budget = budget_from(given["budget"], problems)
    problems += table.problems(given["format"], given["output"], table.WITH_CSV)
    return _Asked(
        loaded=asked_for(given, problems),
        budget=budget,
        view=view,
        **{name: given[name] for name in ("measure", "strict", "format", "output")},
    )


def _run(asked: _Asked) -> bool:
    """Run, and show it; return whether it was over the budget or, where that counts, warned of."""
    loaded, budget = asked.loaded, asked.budget
    try:
        trace = _trace(asked)
    except ForwardError as error:
        _show(error.trace, asked)
        raise
    if asked.format != "json":
        check_patterns(trace.facts, asked.view)
    judged = None if budget is None else verdict(loaded, trace.facts, budget)
    _show(trace, asked, judged)
    return (judged is not None and judged.over) or (asked.strict and bool(trace.warnings))


def _trace(asked: _Asked) -> Trace:
    from attntrace.api.graph import run_with_graph_if_needed

    loaded, axes = asked.loaded, asked.view.axes != "numbers"
    try:
        with redirect_stdout(sys.stderr):  # what code of the user's own prints is no result
            return run_with_graph_if_needed(loaded.spec, _note, measure=asked.measure, axes=axes)
    except SettingsError as error:
        raise loaded.placed(error) from None


def _note(said: str) -> None:
    typer.echo(f"attntrace: note: {said}", err=True)


def _show(trace: Trace, asked: _Asked, judged: Verdict | None = None) -> None:
    from attntrace import render

    more = judged.lines() if judged else ()
    view, format = replace(asked.view, more=more), asked.format
    if format == "table" and table.on_terminal(asked.output):
        from rich.console import Console

        render.print_report(trace.facts, view, Console())
        return
    for line in aside(trace.facts, view, format):
        typer.echo(f"attntrace: {line}", err=True)
    if format == "json":
        deliver(_json(trace, judged), asked.output)
        return
    write = {"table": render.to_text, "csv": render.to_csv, "markdown": render.to_markdown}[format]
    deliver(write(trace.facts, view), asked.output)


def _json(trace: Trace, judged: Verdict | None) -> str:
    if judged is None:
        return trace.to_json()
    document = {**json.loads(trace.to_json()), "budget": judged.facts()}
    return json.dumps(document, indent=1) + "\n"
