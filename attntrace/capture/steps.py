"""The steps of an optimizer that this thread takes, told by the spans that profilers show.

Global hooks on optimizers would be the public way. But torch goes through them as they are: one that
comes or goes while another thread is in a step breaks that step. A span reaches the dispatch mode of
its own thread, and nothing has to be put in place.
"""

from __future__ import annotations

import sys
from types import FrameType
from typing import Any, NamedTuple

import torch
from torch.autograd.profiler import record_function
from torch.optim import Optimizer

from attntrace.capture.ledger import Ledger
from attntrace.capture.witnesses import CallWitness
from attntrace.record import Phase

STEP = "a step of an optimizer of torch's own"
LABEL = "Optimizer.step#"
"""What the span of a step is called, followed by the class and the method."""
BEGINS = getattr(torch.ops.profiler, "_record_function_enter_new", None)
"""The op that opens a span. Where torch has it no more, a step is in the phase that it is in."""


class _Step(NamedTuple):
    """A step under way: the frame of it, and what it was taken in."""

    frame: FrameType
    phase: Phase
    inside: object


class Steps:
    """Knows each step of an optimizer by its phase.

    What an optimizer of torch's own calls in it has no name of the author's.
    """

    def __init__(self, ledger: Ledger, calls: CallWitness) -> None:
        self._ledger, self._calls = ledger, calls
        self._open: list[_Step] = []

    def at_span(self, func: Any, args: tuple[Any, ...]) -> None:
        """Note that a span begins or ends: `func` is the op that does that."""
        frame = _of_span()
        if frame is None:
            return
        if func.overloadpacket is BEGINS:
            if str(args[0]).startswith(LABEL):
                self._begin(frame)
        elif self._open and self._open[-1].frame is frame:
            _, self._ledger.phase, self._calls.inside = self._open.pop()

    def _begin(self, frame: FrameType) -> None:
        ledger, calls = self._ledger, self._calls
        self._open.append(_Step(frame, ledger.phase, calls.inside))
        ledger.enter_phase("optimizer")
        optimizer = frame.f_locals.get("self")
        if isinstance(optimizer, Optimizer) and type(optimizer).__module__.startswith("torch."):
            calls.inside = STEP


def _of_span() -> FrameType | None:
    """Return the frame in which a span begins or ends whose op the dispatcher runs."""
    frame: FrameType | None = sys._getframe(2)
    while frame is not None and frame.f_globals.get("__name__") != record_function.__module__:
        frame = frame.f_back
    return None if frame is None else frame.f_back
