"""Runs of code that needs a graph: it runs backward itself, or writes into parameters."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from io import StringIO
from typing import TYPE_CHECKING

from attntrace.api.specs import run
from attntrace.errors import AttntraceError, ForwardError

if TYPE_CHECKING:
    from attntrace.api.traced import Trace
    from attntrace.spec import Spec, Subject

_NO_GRAPH = "does not require grad and does not have a grad_fn"
_LEAF = "leaf Variable that requires grad"
Say = Callable[[str], None]


def run_with_graph_if_needed(spec: Spec | Subject, say: Say, *, measure: bool, axes: bool) -> Trace:
    """Return what `run` does, with a graph where the code cannot do without one.

    Code that runs backward needs one. Code that writes into a parameter is run once more with one:
    torch refuses that there, as wherever the model trains, unless it is under a `no_grad` of the
    code's own, which a run without a graph cannot tell apart. `say` is told of either.

    Raises:
        SettingsError, TooLargeError, BuildError, ForwardError: as `run` does.

    """
    try:
        trace = run(spec, measure=measure, axes=axes)
    except ForwardError as error:
        if _NO_GRAPH not in error.brief or spec.run.grad:
            raise
        say("code that runs backward is run with --grad")
        return run(_with_grad(spec), measure=measure, axes=axes)
    if not spec.run.grad and _writes_parameters(trace):
        _refuse_leaf(spec, say)
    return trace


def _with_grad(spec: Spec | Subject) -> Spec | Subject:
    settings = spec.run.model_copy(update={"grad": True})
    changed: Spec | Subject = spec.model_copy(update={"run": settings})
    return changed


def _writes_parameters(trace: Trace) -> bool:
    owned = {one.id for one in trace.facts.storages if one.owner == "parameter"}
    rows = trace.facts.tensors
    return any(one.origin == "in place" and one.storage_id in owned for one in rows)


def _refuse_leaf(spec: Spec | Subject, say: Say) -> None:
    """Raise what torch says of a parameter that is written with a graph, if it says so."""
    try:
        with redirect_stdout(StringIO()), redirect_stderr(StringIO()):  # it was printed once
            run(_with_grad(spec))
    except ForwardError as error:
        if _LEAF in error.brief:
            say("code that writes into a parameter is run with --grad")
            raise
    except AttntraceError:  # it could not be tried: the run without a graph stands
        pass
