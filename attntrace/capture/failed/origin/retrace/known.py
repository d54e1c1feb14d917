"""Python's own functions and holders, worked on what is known.

Only numbers, texts and their holders go in, so that no code of the author's can run.
"""

from __future__ import annotations

import builtins
import itertools
import math
from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Any

from attntrace.capture.failed.origin.retrace import objects
from attntrace.capture.failed.origin.retrace.binding import Args
from attntrace.capture.failed.origin.retrace.items import items_of
from attntrace.capture.failed.origin.retrace.values import (
    HOLDERS,
    PLAIN,
    UNKNOWN,
    Built,
    Value,
    plain,
)

_WORKED: tuple[Callable[..., Any], ...] = (
    int, float, bool, str, abs, min, max, round, sum, divmod, range,
    math.sqrt, math.isqrt, math.prod, math.ceil, math.floor, math.log2, math.gcd, math.log,
)  # fmt: skip
_LISTED: tuple[tuple[Any, Callable[..., list[Any]]], ...] = (
    (zip, lambda *lists: [Value(items) for items in zip(*lists, strict=False)]),
    (enumerate, lambda items, start=0: [Value((Value(at), one)) for at, one in enumerate(items, start)]),
    (reversed, lambda items: items[::-1]),
    (list, lambda items=(): [*items]),
    (tuple, lambda items=(): [*items]),
    (itertools.pairwise, lambda items: [Value(pair) for pair in itertools.pairwise(items)]),
    (itertools.chain, lambda *lists: [one for items in lists for one in items]),
)  # fmt: skip
_LONGEST = 4096


def known(what: Any, args: Args) -> Value | None:
    """Return what a function of Python's gives; None if it is another one."""
    if what is dict or what is OrderedDict:
        return _dict(args)
    for function, listed in _LISTED:
        if what is function:
            return _list(listed, args)
    if what is len:
        is_holder = bool(args[0]) and type(args[0][0].what) in (*HOLDERS, range)
        return Value(len(args[0][0].what)) if is_holder else Value()
    if any(what is one for one in (builtins.getattr, builtins.hasattr, builtins.isinstance)):
        return _asked(what.__name__, args[0])
    return Value(_worked(what, args)) if any(what is one for one in _WORKED) else None


def of_holder(what: Any, name: str, args: Args) -> Value:
    """Return what a method of a list or a dict gives."""
    given = args[0]
    if type(what) is list and given and name in _GROWS:
        _GROWS[name](what, given)
        return Value(None)
    if type(what) is not dict:
        return Value()
    pairs = {key: one if isinstance(one, Value) else Value(one) for key, one in what.items()}
    if name in ("get", "pop") and given and plain(given[0]) is not UNKNOWN:
        return pairs.get(plain(given[0]), given[1] if len(given) > 1 else Value(None))
    if name == "items":
        return Value([Value((Value(key), one)) for key, one in pairs.items()])
    listed = {"values": list(pairs.values()), "keys": [Value(key) for key in pairs]}
    return Value(listed.get(name, UNKNOWN))


def _insert(what: list[Any], given: Sequence[Value]) -> None:
    at = plain(given[0])
    if type(at) is int and len(given) == 2:
        what.insert(at, given[1])


_GROWS: dict[str, Callable[[list[Any], Sequence[Value]], None]] = {
    "append": lambda what, given: what.append(given[0]),
    "extend": lambda what, given: what.extend(items_of(given[0]) or []),
    "insert": _insert,
}


def _list(listed: Callable[..., list[Any]], args: Args) -> Value:
    lists = [items_of(one) for one in args[0]]
    rest = {key: plain(one) for key, one in args[1].items() if key == "start"}
    is_known = all(one is not None for one in lists) and type(rest.get("start", 0)) is int
    return Value(listed(*lists, **rest)) if is_known else Value()


def _worked(function: Any, args: Args) -> Any:
    """Run a function of Python's on numbers and texts."""
    values = [plain([*one.what] if type(one.what) is range else one) for one in args[0]]
    if any(value is UNKNOWN for value in values) or args[1]:
        return UNKNOWN
    try:
        found = function(*values)
    except (ArithmeticError, TypeError, ValueError):
        return UNKNOWN
    return UNKNOWN if type(found) is range and len(found) > _LONGEST else found


def _dict(args: Args) -> Value:
    made = dict[Any, Value]()
    for pair in (items_of(args[0][0]) or []) if args[0] else []:
        both = items_of(pair) or []
        if len(both) != 2 or plain(both[0]) is UNKNOWN:
            return Value()
        made[plain(both[0])] = both[1]
    return Value({**made, **args[1]})


def _asked(name: str, given: Sequence[Value]) -> Value:
    """Return what getattr, hasattr or isinstance gives."""
    if len(given) < 2:
        return Value()
    if name == "isinstance":
        return Value(_is_one(given[0].what, given[1].what))
    if not isinstance(given[1].what, str):
        return Value()
    found = objects.attribute(given[0], given[1].what)
    if name == "hasattr":
        return Value(UNKNOWN if found.what is UNKNOWN else True)
    return given[2] if found.what is UNKNOWN and len(given) > 2 else found


def _is_one(what: Any, kinds: Any) -> Any:
    options = [getattr(one, "what", one) for one in (kinds if type(kinds) is tuple else (kinds,))]
    is_plain = type(what) in (*PLAIN, *HOLDERS, Built)
    if not is_plain or not all(isinstance(one, type) for one in options):
        return UNKNOWN
    kind = what.kind if isinstance(what, Built) else type(what)
    return any(one in kind.__mro__ for one in options)
