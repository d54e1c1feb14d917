"""What a loop over a value goes through."""

from __future__ import annotations

from typing import Any

from attntrace.capture.failed.origin.retrace.values import MOST_ITEMS, Value


def items_of(value: Value) -> list[Value] | None:
    """Return what a loop over a value goes through; None where that is not known."""
    what = value.what
    if type(what) in (tuple, list):
        return [
            item
            if isinstance(item, Value)
            else Value(item, f"{value.text}[{at}]", value.place, value.of)
            for at, item in enumerate(what)
        ]
    if type(what) is dict:
        return [
            key if isinstance(key, Value) else Value(key, repr(key), value.place) for key in what
        ]
    if type(what) is range and len(what) <= MOST_ITEMS:
        return [Value(number, str(number)) for number in what]
    return None


def wrapped(item: Any, of: Value) -> Value:
    """Return an item of a holder, of a live one with the place of that."""
    return item if isinstance(item, Value) else Value(item, "", of.place, of.of)
