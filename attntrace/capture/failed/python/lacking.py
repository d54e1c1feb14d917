"""A name, an attribute or a key that is not there, and what there is of like names."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable
from contextlib import suppress
from difflib import get_close_matches
from types import ModuleType
from typing import Any

from torch import Tensor, nn

from attntrace.analysis.diagnosis.python.facts import Lacks
from attntrace.capture.failed.python.raised import LOST, Raised
from attntrace.capture.failed.stack.inside import Handed

_MISSING = re.compile(r"has no attribute '(\w+)'")
_EARLY = re.compile(r"cannot assign \w+ before Module\.__init__\(\) call")
_MOST_KEYS = 16
_VALUES = ("tuple", "list", "dict", "NoneType", "int", "float", "bool", "str")
"""Types of values that stand where a tensor is wanted."""
_ALIKE = 0.6


def lacks(raised: Raised, calls: list[Handed]) -> Lacks | None:
    """Return what is asked for that is not there; None for other errors."""
    error, node = raised.error, raised.node
    if isinstance(error, AttributeError):
        return _attribute(raised, node)
    if isinstance(error, NotImplementedError):
        return _forward(raised, calls)
    if isinstance(error, NameError):
        return _name(raised)
    if isinstance(error, (KeyError, IndexError)) and isinstance(node, ast.Subscript):
        return _key(raised, node)
    return None


def _forward(raised: Raised, calls: list[Handed]) -> Lacks | None:
    """Return the module that was called and has no forward."""
    if "forward" not in str(raised.error) or not calls:
        return None
    kind = type(calls[-1].module)
    own = {name for one in kind.__mro__ for name in vars(one) if not hasattr(nn.Module, name)}
    text = raised.text(raised.node.func) if isinstance(raised.node, ast.Call) else ""
    alike = get_close_matches("forward", own, 1, _ALIKE)
    return Lacks(owner=text, type=kind.__name__, name="forward", alike=tuple(alike))


def _attribute(raised: Raised, node: ast.AST) -> Lacks | None:
    if not isinstance(node, ast.Attribute):
        return None
    owner, text = raised.value(node.value), raised.text(node.value)
    message = str(raised.error)
    if _EARLY.search(message):
        return Lacks(owner=text, type=type(owner).__name__, name=node.attr, is_early=True)
    found = _MISSING.search(message)
    if owner is None or (_is_value(owner) and hasattr(Tensor, node.attr)):
        return None  # then a tensor is wanted
    if found is None or found[1] != node.attr:
        return None
    if owner is LOST:
        kind = message.split("'")[1] if message.startswith("'") else ""
        is_told = kind and kind not in _VALUES
        return Lacks(owner=text, type=kind, name=node.attr) if is_told else None
    kind = "Tensor" if isinstance(owner, Tensor) else type(owner).__name__
    alike = _alike(node.attr, _names(owner))
    has = () if isinstance(owner, (ModuleType, nn.Module, Tensor, type)) else tuple(_data(owner))
    return Lacks(owner=text, type=kind, name=node.attr, alike=alike, has=has[:_MOST_KEYS])


def _data(owner: Any) -> dict[str, Any]:
    """Return what an object holds, of which none of the author's functions is asked."""
    with suppress(AttributeError):  # it has slots
        own: dict[str, Any] = object.__getattribute__(owner, "__dict__")
        return own
    return {}


def _is_value(owner: Any) -> bool:
    return (
        type(owner).__name__ in _VALUES
        or type(owner).__name__ == "ndarray"
        or isinstance(owner, tuple)
    )


def _names(owner: Any) -> set[str]:
    """Return the attributes of an object; nothing of the author's is asked for them."""
    if isinstance(owner, ModuleType):
        return {*vars(owner)}
    names = {name for kind in type(owner).__mro__ for name in vars(kind)}
    own = _data(owner)
    if isinstance(owner, nn.Module):
        kinds = ("_parameters", "_buffers", "_modules")
        names |= {name for kind in kinds for name in own.get(kind, {})}
    return names | {*own}


def _alike(name: str, names: Iterable[str]) -> tuple[str, ...]:
    public = [one for one in names if not one.startswith("_") or name.startswith("_")]
    own = [one for one in public if not hasattr(nn.Module, one)] or public
    folded = {one.lower().replace("_", ""): one for one in sorted(own)}
    close = get_close_matches(name.lower().replace("_", ""), [*folded], 3, _ALIKE)
    return tuple(folded[one] for one in close)


def _name(raised: Raised) -> Lacks | None:
    node = raised.node
    if not isinstance(node, ast.Name):
        return None
    frame = raised.level.frame
    names = [*frame.f_locals, *frame.f_globals]
    unset = isinstance(raised.error, UnboundLocalError)
    kind = "unset" if unset else ""
    return Lacks(owner="", type=kind, name=node.id, alike=() if unset else _alike(node.id, names))


def _key(raised: Raised, node: ast.Subscript) -> Lacks | None:
    owner, key = raised.value(node.value), raised.value(node.slice)
    text = raised.text(node.value)
    if isinstance(owner, nn.Module):
        names = [*vars(owner).get("_modules", {})] or [*vars(owner).get("_parameters", {})]
    elif type(owner) is dict:
        names = [str(one) for one in owner]
    elif type(owner) in (list, tuple) and type(key) is int:
        names = [str(place) for place in range(len(owner))]
    else:
        return None
    shown = key if isinstance(key, (str, int)) else raised.text(node.slice)
    close = get_close_matches(str(shown), names, 3, _ALIKE) if isinstance(key, str) else []
    kind = type(owner).__name__
    return Lacks(
        owner=text,
        type=kind,
        name=str(shown),
        is_key=True,
        alike=tuple(close),
        has=tuple(names[:_MOST_KEYS]),
    )
