"""What a function takes that was called with other arguments."""

from __future__ import annotations

import ast
import re
from types import FunctionType
from typing import Any

from attntrace.analysis.diagnosis.python.facts import Takes
from attntrace.capture.failed.python.raised import LOST, Raised
from attntrace.capture.failed.python.signature import parameters
from attntrace.capture.failed.stack.inside import Handed
from attntrace.capture.failed.values.reading import Bound

_OF_ARGUMENTS = re.compile(
    r"(?P<name>[\w.<>]+)\(\) (missing \d+ required|takes|got an unexpected keyword|got multiple)"
)
_MOST_NAMES = 64


def takes(raised: Raised, calls: list[Handed]) -> Takes | None:
    """Return what the function takes that refused its arguments; None for other errors."""
    found = _OF_ARGUMENTS.match(str(raised.error))
    if not isinstance(raised.error, TypeError) or found is None:
        return None
    node = raised.node
    if calls:
        last = calls[-1]
        return _of_module(raised, last, found["name"])
    if not isinstance(node, ast.Call):
        return None
    called = raised.value(node.func)
    if called is LOST or any(isinstance(arg, ast.Starred) for arg in node.args):
        return None
    function = _function(called)
    if function is None:
        return None
    named = tuple(word.arg for word in node.keywords if word.arg is not None)
    return _takes(raised, function, (found["name"], "", len(node.args), named))


def _function(called: Any) -> Any:
    """Return what runs when something is called: of a class its constructor."""
    if isinstance(called, Bound):
        return called.function
    if isinstance(called, type):
        return vars(called).get("__init__")
    return called if isinstance(called, FunctionType) else None


def _of_module(raised: Raised, last: Handed, name: str) -> Takes | None:
    kind = type(last.module)
    forward = next((vars(one)["forward"] for one in kind.__mro__ if "forward" in vars(one)), None)
    if not isinstance(forward, FunctionType) or not name.endswith(forward.__name__):
        return None
    return _takes(
        raised, forward, (f"{kind.__name__}.forward", kind.__name__, len(last.args),
                          tuple(last.kwargs))
    )  # fmt: skip


def _takes(
    raised: Raised, function: Any, given: tuple[str, str, int, tuple[str, ...]]
) -> Takes | None:
    name, kind, placed, named = given
    try:
        taken = parameters(function)
    except (TypeError, ValueError):
        return None
    node = raised.node
    local = [*raised.level.frame.f_locals]
    return Takes(
        name=name,
        called=raised.text(node.func) if isinstance(node, ast.Call) else name,
        type=kind or ("class" if name.endswith("__init__") else ""),
        parameters=tuple(taken),
        placed=placed,
        named=named,
        is_torchs=str(getattr(function, "__module__", "")).startswith("torch"),
        known=tuple(local[:_MOST_NAMES]),
    )
