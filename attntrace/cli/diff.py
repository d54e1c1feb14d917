"""`attntrace diff`: what sets one run apart from another."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Any

import typer

from attntrace.cli import complete, options, table
from attntrace.cli.exits import OVER, exit_codes
from attntrace.cli.output import deliver
from attntrace.cli.request import OWN, Given, with_flags
from attntrace.cli.tolerance import tolerance_from
from attntrace.errors import SettingsError

if TYPE_CHECKING:
    from attntrace.checks.sides import Wishes
    from attntrace.record.difference import Difference

SCHEMA_VERSION = 1


def _side(name: str, help: str) -> Any:
    return typer.Argument(
        metavar=name, help=help, show_default=False, autocompletion=complete.targets
    )


Before = Annotated[
    str,
    _side(
        "A",
        "A preset, FILE.yaml or code of your own, as in run; FILE.json, a saved trace or a "
        "baseline; or REV:FILE, any of these files as git has it at a revision.",
    ),
]
After = Annotated[str, _side("B", "The same of the other side. REV: alone is the other's file.")]


@with_flags(
    **OWN,
    sets=options.SetsOfRuns,
    device=options.OwnDevice,
    tolerance=options.ToleranceOfRuns,
)
def diff_command(
    given: Given,
    before: Before,
    after: After,
    format: options.TableFormat = "table",
    output: options.Output = None,
    debug: options.Debug = False,
) -> None:
    """Show what sets run B apart from run A: rows, modules, sizes, parameters, bytes, peaks.

    --set and the flags of a run are for both sides, as far as they are run.

    Examples: attntrace diff gpt2 gpt2-decode; attntrace diff old.json new.yaml

    As of your last commit but one: attntrace diff HEAD~1: configs/gpt2.yaml
    """
    with exit_codes(debug):
        problems = table.problems(format, output)
        tolerance = tolerance_from(given["tolerance"], problems)
        if problems:
            raise SettingsError(problems)
        called, found = _difference(before, after, _wishes(given), tolerance)
        deliver(_text(called, found, format), output)
        if found:
            raise typer.Exit(OVER)


def _wishes(given: Given) -> Wishes:
    from attntrace.checks.sides import Wishes

    texts = {name: given[name] or () for name in ("sets", *OWN)}
    return Wishes(device=given["device"], **texts)


def _difference(
    before: str, after: str, wishes: Wishes, tolerance: float
) -> tuple[tuple[str, str], Difference]:
    """Return what both sides are called, and in what they differ."""
    from attntrace.analysis.difference import difference
    from attntrace.checks.sides import sides
    from attntrace.checks.suggested import as_diff

    with sides(before, after, wishes) as both:
        for side in both:
            for note in side.notes:
                typer.echo(f"attntrace: note: {side.name}: {note}", err=True)
        # code of the user's own first: its process is better begun before torch has threads here
        order = sorted((0, 1), key=lambda at: not both[at].is_own)
        try:
            taken = {at: both[at].snapshot() for at in order}
        except SettingsError as error:
            raise as_diff(error, (before, after)) from None
    found = difference(taken[0], taken[1], tolerance=tolerance)
    return (both[0].called, both[1].called), found


def _text(called: tuple[str, str], found: Difference, format: str) -> str:
    """Return what both sides are, and what sets them apart."""
    before, after = called
    if format == "json":
        return _json(called, found)
    if format == "markdown":
        return f"`{before}` -> `{after}`\n\n{_markdown(found)}\n"
    return "\n".join([f"before: {before}", f"after:  {after}", *_lines(found)]) + "\n"


def _lines(found: Difference) -> list[str]:
    from attntrace.render.difference import difference_lines
    from attntrace.render.difference.figures import same_line

    return difference_lines(found) or [same_line(found.figures).strip()]


def _markdown(found: Difference) -> str:
    from attntrace.render.difference import difference_markdown

    return difference_markdown(found).rstrip("\n") if found else _lines(found)[0]


def _json(called: tuple[str, str], found: Difference) -> str:
    from attntrace.render.difference import difference_facts

    before, after = called
    sides = {"schema_version": SCHEMA_VERSION, "before": before, "after": after}
    document = {**sides, **difference_facts(found)}
    return json.dumps(document, indent=1) + "\n"
