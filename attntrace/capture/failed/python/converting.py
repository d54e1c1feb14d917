"""Python's own functions on a tensor, under the names that torch has for what they ask of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import Tensor, nn

from attntrace.analysis.diagnosis.call import Key

_ASKED: dict[Any, str] = {
    int: "int", float: "float", complex: "complex", bool: "bool", len: "len", range: "index",
    max: "bool", min: "bool", sorted: "bool", any: "bool", all: "bool",
    nn.Parameter: "Parameter",
    list: "iter", tuple: "iter", enumerate: "iter", sum: "iter", iter: "iter", reversed: "len",
}  # fmt: skip
_RUN: dict[str, Callable[..., Any]] = {"index": range, "iter": iter}
"""What is tried in place of the method, where its name is not the function's."""


def converted(function: Any, values: dict[Key, Any]) -> tuple[str, dict[Key, Any], Any] | None:
    """Return what a built-in function asked of a tensor: the op, the arguments, what to run.

    None for other functions, and where no tensor was given.
    """
    asked = next((op for known, op in _ASKED.items() if function is known), None)
    tensors = {key: value for key, value in values.items() if isinstance(value, Tensor)}
    if asked is None:
        return None
    if not tensors:
        return ("range", values, range) if function is range else None
    if asked == "bool":
        several = [value for value in tensors.values() if value.numel() != 1]
        tensors = {0: (several or [*tensors.values()])[0]}
    return asked, tensors, _RUN.get(asked, bool if asked == "bool" else function)
