"""What a function of the author's or of torch's takes, without asking it."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Iterator
from typing import Any

from attntrace.analysis.diagnosis.python.facts import Parameter

_KINDS: dict[Any, str] = {
    inspect.Parameter.VAR_POSITIONAL: "*",
    inspect.Parameter.VAR_KEYWORD: "**",
    inspect.Parameter.KEYWORD_ONLY: "keyword",
}
_PLAIN = (int, float, bool, str, type(None))


def signature_of(function: ast.FunctionDef | ast.AsyncFunctionDef) -> list[Parameter]:
    """Return the parameters of a definition in order, without `self`."""
    taken = function.args
    found = [*_defaulted([*taken.posonlyargs, *taken.args], taken.defaults)]
    if taken.vararg is not None:
        found.append(Parameter(name=taken.vararg.arg, kind="*"))
    for one, default in zip(taken.kwonlyargs, taken.kw_defaults, strict=True):
        text = None if default is None else ast.unparse(default)
        found.append(Parameter(name=one.arg, kind="keyword", default=text))
    if taken.kwarg is not None:
        found.append(Parameter(name=taken.kwarg.arg, kind="**"))
    return [one for one in found if one.name not in ("self", "cls")]


def _defaulted(names: list[ast.arg], defaults: list[ast.expr]) -> Iterator[Parameter]:
    missing = len(names) - len(defaults)
    for place, one in enumerate(names):
        default = ast.unparse(defaults[place - missing]) if place >= missing else None
        yield Parameter(name=one.arg, default=default)


def parameters(function: Any) -> list[Parameter]:
    """Return what a function takes, without `self`. Raises ValueError where it does not tell."""
    found = [*inspect.signature(function).parameters.values()]
    return [
        Parameter(
            name=one.name,
            kind=_KINDS.get(one.kind, "plain"),
            default=None if one.default is one.empty else _text(one.default),
        )
        for one in found
        if one.name not in ("self", "cls") and not one.name.startswith("_")
    ]


def _text(value: Any) -> str:
    return repr(value) if type(value) in _PLAIN else "..."


def shown(one: Parameter) -> str:
    """Return a parameter as it is written: "mask=None", "*args"."""
    star = one.kind if one.kind in ("*", "**") else ""
    return f"{star}{one.name}" + (f"={one.default}" if one.default is not None else "")
