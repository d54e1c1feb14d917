"""What is made of the error that ended an observed run."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from itertools import chain

from attntrace.analysis.diagnosis import FailedCall
from attntrace.capture.failed.after import with_swapped
from attntrace.capture.failed.call.seen import Seen
from attntrace.capture.failed.call.written import Written
from attntrace.capture.failed.crashed import Describe, crashed
from attntrace.capture.failed.diagnose import Candidate, diagnosis
from attntrace.capture.failed.origin.trail import Around
from attntrace.capture.failed.stack.frames import Frames, Place
from attntrace.capture.source import line_of, place
from attntrace.capture.stopped import Stopped
from attntrace.record import Diagnosis

PLAIN = (TypeError, AttributeError, NameError, AssertionError, KeyError)
"""What Python raises, or a check of arguments before a function runs: the traceback knows more."""


def diagnosis_of(
    error: BaseException, stopped: Stopped, around: Around, describe: Describe
) -> Diagnosis:
    """Return where and why a run stopped: what a witness saw, else what the traceback tells.

    `around` has where the run was if no witness saw the error; `describe` knows the rows.
    """
    seen = stopped.seen if error is stopped.error else None
    if error is stopped.error:
        around = replace(around, path=stopped.path)
    frames, where, by_witness = Frames.of(error), Place(), list[Candidate]()
    try:
        with suppress(Exception):
            where = frames.place()
        with suppress(Exception):
            for candidate, source in _seen(seen):
                by_witness.append(candidate)
                where = _place(seen, source, where)
        unwatched = seen is not None and seen.by_dispatcher and seen.levels > 0
        first = unwatched or isinstance(error, PLAIN)
        by_traceback = _by_traceback(error, describe)  # which takes a while, so only if asked
        candidates = chain(
            *((by_traceback, by_witness) if first else (by_witness, by_traceback)),
            [Candidate(FailedCall(op="backward"))] * stopped.is_backward,  # ours, not the author's
        )
        return with_swapped(diagnosis(error, candidates, where, around), frames)
    finally:
        frames.forget()


def _by_traceback(error: BaseException, describe: Describe) -> Iterator[Candidate]:
    with suppress(Exception):
        crash = crashed(error, describe)
        if crash is not None:
            yield Candidate(crash.call, crash.function)


def _seen(seen: Seen | None) -> Iterator[tuple[Candidate, Written]]:
    if seen is not None:
        call, source = seen.told()
        yield Candidate(call, seen.function), source


def _place(seen: Seen | None, source: Written, by_traceback: Place) -> Place:
    """Return where a call stands; of one that backward made the traceback does not tell."""
    site = seen.site if seen is not None else None
    if site is None or place(site) == by_traceback.source:
        return by_traceback
    return Place(source=place(site), line=line_of(site), mark=source.mark)
