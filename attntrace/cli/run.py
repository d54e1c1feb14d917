"""`attntrace run`: build a block, run it once, show every tensor."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, get_args

import typer

from attntrace.cli import options, table
from attntrace.cli.exits import OVER, exit_codes
from attntrace.cli.fit import Verdict, budget_from, verdict
from attntrace.cli.output import deliver
from attntrace.cli.request import Given, loaded_from, with_settings
from attntrace.errors import ForwardError, Problem, SettingsError

if TYPE_CHECKING:
    from attntrace.api import Trace
    from attntrace.render import View
    from attntrace.spec import Loaded


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
        asked = _request(given)
        if show_config:
            from attntrace.spec import show

            deliver(show(asked.loaded), output)
        elif _run(asked):
            raise typer.Exit(OVER)


def _column_help() -> str:
    from attntrace.render import COLUMNS

    return "".join(f"{column.key:10} {column.meaning}\n" for column in COLUMNS.values())


@dataclass(frozen=True, slots=True)
class _Asked:
    """What the flags ask for, once nothing is wrong with them."""

    loaded: Loaded
    measure: bool
    budget: int | None
    """In bytes."""
    view: View
    format: str
    output: Path | None


def _request(given: Given) -> _Asked:
    """Return what the flags ask for. SettingsError with every problem."""
    from attntrace.render import DEFAULT, View

    columns = tuple(c.strip() for c in given["columns"].split(",")) if given["columns"] else DEFAULT
    problems = [*_bad_choices(given, columns)]
    budget = budget_from(given["budget"], problems)
    problems += table.problems(given["format"], given["output"], table.WITH_CSV)
    wanted = {name: given[name] for name in ("level", "explain", "fold", "timeline")}
    return _Asked(
        loaded=loaded_from(given, problems),
        budget=budget,
        view=View(columns=columns, **wanted),
        **{name: given[name] for name in ("measure", "format", "output")},
    )


def _bad_choices(given: Given, columns: tuple[str, ...]) -> Iterator[Problem]:
    from attntrace.render import COLUMNS
    from attntrace.render.sheet import Level

    level, levels = given["level"], get_args(Level)
    if level not in levels:
        message = f"level must be one of {', '.join(levels)}; got {level!r}"
        yield Problem("level", message, f"--level {level}")
    if given["timeline"] and given["format"] == "csv":
        message = "csv has rows alone; use table, markdown, or json, which has the timeline anyway"
        yield Problem("timeline", message, "--timeline --format csv")
    unknown = [column for column in columns if column not in COLUMNS]
    if unknown:
        message = f"no column {', '.join(map(repr, unknown))}; there are {', '.join(COLUMNS)}"
        yield Problem("columns", message, f"--columns {given['columns']}")


def _run(asked: _Asked) -> bool:
    """Run, and show it; return whether it was over the budget."""
    from attntrace import api

    loaded, budget = asked.loaded, asked.budget
    try:
        trace = api.run(loaded.spec, measure=asked.measure)
    except SettingsError as error:
        raise loaded.placed(error) from None
    except ForwardError as error:
        _show(error.trace, asked)
        raise
    judged = None if budget is None else verdict(loaded, trace.facts, budget)
    _show(trace, asked, judged)
    return judged is not None and judged.over


def _show(trace: Trace, asked: _Asked, judged: Verdict | None = None) -> None:
    from attntrace import render

    more = judged.lines() if judged else ()
    view, format = replace(asked.view, more=more), asked.format
    if format == "table" and table.on_terminal(asked.output):
        from rich.console import Console

        render.print_report(trace.facts, view, Console())
        return
    if format == "json":
        deliver(_json(trace, judged), asked.output)
        return
    for name, line in more if format == "csv" else ():
        typer.echo(f"attntrace: {name}: {line}", err=True)
    write = {"table": render.to_text, "csv": render.to_csv, "markdown": render.to_markdown}[format]
    deliver(write(trace.facts, view), asked.output)


def _json(trace: Trace, judged: Verdict | None) -> str:
    if judged is None:
        return trace.to_json()
    document = {**json.loads(trace.to_json()), "budget": judged.facts()}
    return json.dumps(document, indent=1) + "\n"
