"""What is said of a crash that nobody watched: the call off its traceback, the rows off a rerun."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from typing import Any

from attntrace.analysis.diagnosis import FailedCall, Given
from attntrace.capture.failed.again import runs
from attntrace.capture.failed.crashed import Crash
from attntrace.capture.failed.diagnose import Candidate, diagnosis
from attntrace.capture.failed.origin.trail import Around
from attntrace.capture.failed.stack.frames import Frames
from attntrace.capture.failed.stack.inside import calls_of
from attntrace.capture.failed.stack.swapped import swapped
from attntrace.capture.failed.trial import MOST_OFFERED
from attntrace.capture.fence import unwatched
from attntrace.record import Diagnosis, Fix, Trace


def diagnosed(error: BaseException, crash: Crash, rerun: Trace | None = None) -> Diagnosis:
    """Return why a call failed, from its crash; of a rerun that failed alike it takes the rows."""
    around = Around(path=crash.path, root=crash.root)
    call = crash.call
    if rerun is not None:
        around = replace(around, rows=rerun.tensors, storages=rerun.storages)
        call = _with_rows(call, rerun)
    place = crash.frames.place(crash.source)
    with unwatched():  # a session may be open, and what is tried is no part of it
        found = diagnosis(error, [Candidate(call, crash.function)], place, around)
    return with_swapped(found, crash.frames)


def with_swapped(found: Diagnosis, frames: Frames) -> Diagnosis:
    """Return a diagnosis with the call above that hands over its arguments in another order.

    Where there is none, or it cannot be told, it is returned as it is.
    """
    with suppress(Exception):
        crossed = swapped(frames)
        if crossed is None:
            return found
        works = runs(crossed.call) if crossed.call is not None else None
        if works is False:  # then it was meant
            return found
        said, code = crossed.proposal.said, crossed.proposal.code
        fix = Fix(said=said, code=code, tried="on meta" if works else None)
        fixes = (fix, *found.fixes)[:MOST_OFFERED]
        return replace(found, origin=(*found.origin, crossed.step), fixes=fixes)
    return found


def is_same(rerun: Trace, crash: Crash) -> bool:
    """Return whether a rerun failed where the first run did, and in the same way."""
    again, call, frames = rerun.diagnosis, crash.call, crash.frames
    if again is None or again.error != call.error:
        return False
    all_below = len(calls_of(frames.below)) == len(calls_of(frames.levels))
    if all_below:  # the rerun has no line of the author's
        return again.source is None and again.op == call.op
    return again.source == frames.place(crash.source).source


def _with_rows(call: FailedCall, rerun: Trace) -> FailedCall:
    """Return a call whose tensors have the rows that the rerun's have, which go by the same names."""
    rows = dict(_rows(rerun))

    def placed(value: Any) -> Any:
        if isinstance(value, Given):
            return replace(value, row=rows.get((value.name, value.shape)))
        if isinstance(value, (tuple, list)):
            return type(value)(placed(part) for part in value)
        return value

    kwargs = {key: placed(value) for key, value in call.kwargs.items()}
    return replace(call, args=tuple(map(placed, call.args)), kwargs=kwargs)


def _rows(rerun: Trace) -> Iterator[tuple[tuple[str, Any], int | None]]:
    for operand in rerun.diagnosis.operands if rerun.diagnosis else ():
        yield (operand.name, operand.shape), operand.row
