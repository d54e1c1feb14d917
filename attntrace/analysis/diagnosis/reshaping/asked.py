"""The whole numbers that a call was given: sizes, axes, parts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from attntrace.analysis.diagnosis.call import FailedCall


def numbers(call: FailedCall, place: int, *names: str) -> tuple[Any, ...] | None:
    """Return arguments that may stand in order, as one tuple, or under one of several keywords."""
    found = call.args[place:]
    if not found:
        found = next(((call.kwargs[name],) for name in names if name in call.kwargs), ())
    if len(found) == 1 and isinstance(found[0], (tuple, list)):
        return tuple(found[0])
    return tuple(found) or None


def whole(values: Sequence[Any] | None) -> tuple[int, ...] | None:
    """Return values if all of them are whole numbers, else None."""
    if values is None or not all(type(value) is int for value in values):
        return None
    return tuple(values)
