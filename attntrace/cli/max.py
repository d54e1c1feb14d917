"""`attntrace max`: the largest batch, or number of tokens, that fits a budget."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import typer

from attntrace.cli import options, table
from attntrace.cli.exits import OVER, exit_codes
from attntrace.cli.fit import SIZES, Fit, budget_from, largest_that_fits, not_searched
from attntrace.cli.output import deliver
from attntrace.cli.request import Given, with_settings
from attntrace.cli.subject import asked_for
from attntrace.errors import Problem, SettingsError

if TYPE_CHECKING:
    from attntrace.analysis.search import Probe
    from attntrace.spec import Loaded, LoadedSubject


@with_settings(file=options.Subject)
def max_command(
    given: Given,
    wanted: options.For = "batch",
    budget: options.Budget = None,
    format: options.TableFormat = "table",
    output: options.Output = None,
    debug: options.Debug = False,
) -> None:
    """Find the largest batch, or number of tokens, that fits a budget, by runs that allocate nothing.

    Examples: attntrace max gpt2 --budget 24GiB; attntrace max gpt2 --grad --for tokens --budget 8GB

    Of your own code: attntrace max model.py:Block --input x=n,64 --size n=2 --for n --budget 1GiB
    """
    with exit_codes(debug):
        loaded, nbytes = _request(given)
        fit = largest_that_fits(loaded, wanted, nbytes)
        is_json = format == "json"
        text = _json(fit, nbytes, loaded) if is_json else _text(fit, nbytes, format)
        deliver(text, output)
        if fit.found.fits is None:
            raise typer.Exit(OVER)


def _request(given: Given) -> tuple[Loaded | LoadedSubject, int]:
    """Return the settings and the budget in bytes; SettingsError with every problem."""
    from attntrace.spec import asks_for_subject

    wanted, budget = given["wanted"], given["budget"]
    problems = table.problems(given["format"], given["output"])
    if not asks_for_subject(given["file"]):
        problems += not_searched(wanted, SIZES)
    nbytes = budget_from(budget, problems)
    if budget is None:
        problems.append(Problem("budget", "a size is needed, such as --budget 24GiB", "--budget"))
    loaded = asked_for(given, problems, run={"device": "meta"})
    if wrong := not_searched(wanted, loaded.input_sizes):  # of code, once its inputs are known
        raise SettingsError(wrong)
    assert nbytes is not None, "a budget that is missing or no size is a problem"
    return loaded, nbytes


def answer(fit: Fit, budget: int) -> str:
    """Return the answer as a sentence."""
    from attntrace.render.units import exact

    found, name = fit.found, fit.name
    if found.fits is None:
        least = found.over
        at = (
            f"{name} {least.size:,} takes {exact(least.nbytes or 0)}"
            if least
            else "none is allowed"
        )
        return f"no {name} fits in {exact(budget)}: {at}"
    best = f"{name} {found.fits.size:,}"
    if found.beyond is None:
        return f"{best} fits in {exact(budget)}; larger ones were not tried"
    if found.beyond.refusal is None:
        return f"{best} is the largest that fits in {exact(budget)}; {found.beyond.size:,} does not"
    over = found.over
    end = f"; the next that it allows is {over.size:,}, which does not fit" if over else ""
    return (
        f"{best} is the largest that the settings allow and {exact(budget)} holds; "
        f"{found.beyond.size:,} is refused: {found.beyond.refusal}{end}"
    )


def _shown(fit: Fit) -> list[Probe]:
    """Return the sizes on both sides of the budget that were run."""
    return [probe for probe in (fit.found.fits, fit.found.over) if probe is not None]


def _text(fit: Fit, budget: int, format: str) -> str:
    from attntrace.render.units import nbytes_text

    parts = list(dict.fromkeys(part for total in fit.totals.values() for part in total.parts))
    head = [fit.name, "fits", "bytes", "total", *parts]
    rows = []
    for probe in _shown(fit):
        total = fit.totals[probe.size]
        fits = "yes" if total.nbytes <= budget else "no"
        sizes = [nbytes_text(total.parts.get(part, 0)) for part in parts]
        cells = [f"{probe.size:,}", fits, f"{total.nbytes:,}", nbytes_text(total.nbytes)]
        rows.append([*cells, *sizes])
    write = table.markdown if format == "markdown" else table.plain
    end = "\n" if format == "markdown" else ""
    numbers = [name for name in head if name != "fits"]
    return f"{answer(fit, budget)}\n{end}{write(head, rows, numbers)}{end}{_how(fit)}\n"


def _how(fit: Fit) -> str:
    """Return what was run to know it."""
    from attntrace.render.summary import modes

    ran = "1 size was" if len(fit.totals) == 1 else f"{len(fit.totals)} sizes were"
    spoken_for = " as cuda" if fit.ran.as_device == "cuda" else ""
    how = [fit.beside, *modes(fit.ran), fit.ran.dtype]
    return f"{ran} run on meta{spoken_for}: {', '.join(filter(None, how))}"


def facts(fit: Fit, budget: int) -> dict[str, Any]:
    """Return the answer as plain values, for JSON."""

    def of(probe: Probe | None) -> dict[str, Any] | None:
        if probe is None:
            return None
        total = fit.totals.get(probe.size)
        return {**asdict(probe), "parts": total.parts if total else None}

    found = fit.found
    sides = {"fits": of(found.fits), "beyond": of(found.beyond), "over": of(found.over)}
    tried = [of(probe) for probe in found.tried]
    return {"for": fit.name, "budget_nbytes": budget, **sides, "tried": tried}


def _json(fit: Fit, budget: int, loaded: Loaded | LoadedSubject) -> str:
    document = {**facts(fit, budget), "spec": loaded.spec.settings()}
    return json.dumps(document, indent=1) + "\n"
