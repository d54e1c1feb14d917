"""A failure in plain Python as a call: what no function of torch's raised, read off the frame."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from attntrace.analysis.diagnosis import FailedCall
from attntrace.capture.failed.python.arguments import takes
from attntrace.capture.failed.python.checked import checked, holds
from attntrace.capture.failed.python.lacking import lacks
from attntrace.capture.failed.python.no_tensor import float_made, no_tensor
from attntrace.capture.failed.python.raised import Raised
from attntrace.capture.failed.stack.inside import calls_of

Told = tuple[FailedCall, Callable[..., Any] | None]


def with_about(raised: Raised, call: FailedCall, function: Callable[..., Any] | None) -> Told:
    """Return a call with what is known where plain Python refused, and what to run to try it."""
    check = checked(raised)
    if check is not None:
        return check, holds
    calls = calls_of(raised.below)
    about = takes(raised, calls) or lacks(raised, calls)
    if about is not None:
        return replace(call, about=about), function
    found = no_tensor(raised, call, calls) or float_made(raised)
    if found is not None:
        value = () if call.op or found[0].value is None else (found[0].value,)
        args = call.args or value
        return replace(call, about=found[0], origin=tuple(found[1]), args=args), function
    return call, function
