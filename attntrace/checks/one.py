"""One config from its file to its outcome."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Iterator
from contextlib import redirect_stdout
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING

from attntrace.api.graph import run_with_graph_if_needed
from attntrace.checks.compared import Compared, compared
from attntrace.checks.find import Checked
from attntrace.checks.options import Options
from attntrace.checks.suggested import as_yaml
from attntrace.checks.untouched import untouched
from attntrace.errors import AttntraceError, BuildError, ForwardError, Problem, SettingsError
from attntrace.errors import said as message_of
from attntrace.record.outcomes import (
    BASELINE,
    EXIT_CODES,
    RUNS,
    Outcome,
    Place,
    Status,
    Verdict,
)

if TYPE_CHECKING:
    from attntrace import record
    from attntrace.api import Trace
    from attntrace.spec import Loaded, LoadedSubject

_EMPTY = "no settings in it; a config has the settings of a block, or a target"
_WORSE = tuple(EXIT_CODES)
Judged = tuple[Verdict, Status]


def outcome_of(checked: Checked, options: Options) -> Outcome:
    """Return what `check_one` does; a bug of ours is the outcome of the config that it comes up in."""
    start = perf_counter()
    try:
        return check_one(checked, options)
    except Exception as error:  # noqa: BLE001 - whatever escapes is a bug of ours
        said = f"this is a bug in attntrace: {type(error).__name__}: {message_of(error)}"
        verdict = verdict_on(checked, RUNS, f"{said}\n{traceback.format_exc()}")
    return Outcome(
        config=checked.name,
        status="broken",
        verdicts=(verdict,),
        seconds=perf_counter() - start,
        is_bug=True,
    )


def check_one(checked: Checked, options: Options) -> Outcome:
    """Run one config, judge what it expects, and compare it with its baseline or write that.

    What the config or the user's own code gets wrong is the outcome's, and is not raised. What
    that code prints goes to stderr, and what it sets in the process is put back.

    The verdicts are "config.SETTING" for each wrong setting; else "runs", and of what ran one
    "expect.ENTRY" for each expectation and "baseline".
    """
    start = perf_counter()
    facts: record.Trace | None = None
    found: Compared | None = None
    with untouched(), redirect_stdout(sys.stderr):
        try:
            loaded = load(checked, options.device)
            facts = run(loaded).facts
        except AttntraceError as error:
            judged = list(_refused(error, checked))
        else:
            judged = [(verdict_on(checked, RUNS), "passed"), *_expected(loaded, facts)]
            found = compared(checked.name, facts, options)
    if found is not None:
        judged.append((verdict_on(checked, BASELINE, found.said), found.status))
    return Outcome(
        config=checked.name,
        status=max((status for _, status in judged), key=_WORSE.index),
        verdicts=tuple(verdict for verdict, _ in judged),
        seconds=perf_counter() - start,
        difference=found.difference if found else None,
        rows=len(facts.tensors) if facts else None,
        parameters=facts.parameters if facts else None,
        wrote=str(found.wrote) if found and found.wrote else None,
    )


def load(checked: Checked, device: str | None = None) -> Loaded | LoadedSubject:
    """Return the settings of a config; stderr is told of those that are left out.

    Raises:
        SettingsError: with every problem of the settings.

    """
    from attntrace.spec import asks_for_subject, load_subject
    from attntrace.spec import load as load_spec

    flags = {} if device is None else {"run.device": device}
    if asks_for_subject(checked.name):
        return load_subject(checked.name, flags=flags)
    if checked.kind == "file" and _is_empty(checked.name):
        raise SettingsError([Problem("file", _EMPTY, checked.name)])
    loaded = load_spec(checked.name, flags=flags)
    for note in loaded.notes:
        sys.stderr.write(f"attntrace: note: {checked.name}: {note}\n")
    return loaded


def _is_empty(file: str) -> bool:
    """Whether a YAML file has nothing in it but comments."""
    from attntrace.spec.document import read_yaml

    return not read_yaml(Path(file))


def run(loaded: Loaded | LoadedSubject) -> Trace:
    """Return the run of a config, its axes derived; with a graph where its code needs one.

    Raises:
        SettingsError: settings that do not fit the code, or a device that is not there.
        TooLargeError: the device has less memory than the run is sure to need.
        BuildError, ForwardError: it could not be built or run.

    """
    try:
        return run_with_graph_if_needed(loaded.spec, lambda _: None, measure=False, axes=True)
    except SettingsError as error:
        raise loaded.placed(error) from None


def _refused(error: AttntraceError, checked: Checked) -> Iterator[Judged]:
    """Yield why there is no run: a verdict for each wrong setting, else one verdict."""
    if isinstance(error, SettingsError):
        for problem in as_yaml(error).problems:
            place = _place(problem, checked)
            said = problem.message if place else str(problem)
            contract = f"config.{problem.path}"
            yield Verdict(contract=contract, holds=False, said=said, place=place), "refused"
        return
    broken = isinstance(error, BuildError | ForwardError)
    yield verdict_on(checked, RUNS, _told(error)), "broken" if broken else "refused"


def _told(error: AttntraceError) -> str:
    """Return all that an error says; of a panel what was raised in the first line, and once."""
    if not isinstance(error, ForwardError) or error.diagnosis is None:
        return str(error)
    raised = f"{error.diagnosis.error}: {error.diagnosis.message}"
    head, *panel = str(error).splitlines()
    last = [line.strip() for line in raised.splitlines()]
    if [line.strip() for line in panel[-len(last) :]] == last:
        del panel[-len(last) :]
    return "\n".join([f"{head}: {raised}", *panel])


def _place(problem: Problem, checked: Checked) -> Place | None:
    """Return where in its file a problem is, None where it is not about that file."""
    if checked.kind != "file":
        return None
    whole = Place(file=checked.name) if problem.where == checked.name else None
    return Place.of(problem.where) or whole


def verdict_on(checked: Checked, contract: str, said: str = "") -> Verdict:
    """Return a verdict on a config as a whole, which holds where nothing is said."""
    place = Place(file=checked.name) if said and checked.kind == "file" else None
    return Verdict(contract=contract, holds=not said, said=said, place=place)


def _expected(loaded: Loaded | LoadedSubject, facts: record.Trace) -> Iterator[Judged]:
    from attntrace.analysis.contract import judged

    for verdict in judged(loaded.expect, facts):
        yield verdict, "passed" if verdict.holds else "failed"
