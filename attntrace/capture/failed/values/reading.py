"""Attributes and items of the author's objects, read without running a line of the author's code.

A property, a `__getattr__` and a `__getitem__` may do anything, so none of them is asked: what only
they know is `Unknown`.
"""

from __future__ import annotations

import inspect
from contextlib import suppress
from types import FrameType, FunctionType, MemberDescriptorType, ModuleType
from typing import Any, NamedTuple

import torch
from torch import Size, Tensor, nn

from attntrace.capture.failed.values.settings import held

PLAIN_TENSORS = (Tensor, nn.Parameter, nn.Buffer)
_OF_TENSORS = frozenset({
    "shape", "dtype", "device", "layout", "ndim", "T", "mT", "H", "mH", "data", "requires_grad",
    "is_leaf", "is_cuda", "itemsize", "nbytes", "real", "imag",
})  # fmt: skip
"""Properties of a tensor that look at none of its values."""
_OF_C = (torch.dtype, torch.device, torch.finfo, torch.iinfo)
_MISSING = object()
_ITEMS = (list.__getitem__, tuple.__getitem__, str.__getitem__, Size.__getitem__)
_KEYS = (int, str, float, bool, type(None), torch.dtype, torch.device)


class Unknown(Exception):  # noqa: N818 - no error: what only running the author's code would tell
    """The value of an expression cannot be told."""


class Bound(NamedTuple):
    """A method, which nobody bound: `x.view` as it stands before the parentheses."""

    owner: Any
    name: str
    function: Any


def named(frame: FrameType, name: str) -> Any:
    """Return what a name stands for in a frame. Raises Unknown."""
    builtins = frame.f_globals.get("__builtins__", {})
    for names in (
        frame.f_locals,
        frame.f_globals,
        vars(builtins) if isinstance(builtins, ModuleType) else builtins,
    ):
        if isinstance(names, dict) and dict.__contains__(names, name):
            return dict.__getitem__(names, name)
    raise Unknown(name)


def attribute(owner: Any, name: str) -> Any:
    """Return `owner.name`, of a method a `Bound`. Raises Unknown."""
    if isinstance(owner, Tensor):
        return _of_tensor(owner, name)
    if isinstance(owner, ModuleType):
        found = vars(owner).get(name, _MISSING)
    elif isinstance(owner, nn.Module):
        found = _of_module(owner, name)
    elif isinstance(owner, _OF_C) or type(owner).__module__ == "torch.return_types":
        found = getattr(owner, name, _MISSING)
    else:
        found = _static(owner, name)
    if found is _MISSING:
        raise Unknown(name)
    return found


def _of_tensor(owner: Tensor, name: str) -> Any:
    if name in _OF_TENSORS:
        return getattr(Tensor, name).__get__(owner, Tensor)
    own = vars(owner)
    if name in own:
        return own[name]
    function = getattr(Tensor, name, None)
    if type(owner) not in PLAIN_TENSORS or not callable(function):
        raise Unknown(name)
    return Bound(owner, name, function)


def _of_module(owner: nn.Module, name: str) -> Any:
    try:
        return held(owner, name)
    except KeyError:
        return _static(owner, name)


def _static(owner: Any, name: str) -> Any:
    for known in (name, *_mangled(owner, name)):
        try:
            found = inspect.getattr_static(owner, known)
        except AttributeError:
            continue
        return _undescribed(owner, known, found)
    return _MISSING


def _mangled(owner: Any, name: str) -> list[str]:
    """Return what `self.__name` is called from within each class of an object."""
    if not name.startswith("__") or name.endswith("__"):
        return []
    kinds = owner.__mro__ if isinstance(owner, type) else type(owner).__mro__
    return [f"_{kind.__name__.lstrip('_')}{name}" for kind in kinds]


def _undescribed(owner: Any, name: str, found: Any) -> Any:
    """Return what an attribute comes to: a slot's content, a method, or plain data."""
    kind = type(found)
    if kind is MemberDescriptorType or kind.__name__ == "_tuplegetter":
        try:
            return found.__get__(owner, type(owner))
        except AttributeError:
            return _MISSING
    if isinstance(found, FunctionType) or kind.__name__ in ("method_descriptor", "builtin_method"):
        return found if isinstance(owner, type) else Bound(owner, name, found)
    if isinstance(found, (staticmethod, classmethod)) or hasattr(kind, "__get__"):
        raise Unknown(name)
    return found


def item(owner: Any, key: Any) -> Any:
    """Return `owner[key]` of a built-in container or one of torch's. Raises Unknown."""
    kind = type(owner)
    if isinstance(owner, dict) and kind.__getitem__ is dict.__getitem__:
        if isinstance(key, _KEYS) and dict.__contains__(owner, key):
            return dict.__getitem__(owner, key)
    elif isinstance(owner, (nn.ModuleList, nn.Sequential)) and isinstance(key, int):
        return item([*vars(owner)["_modules"].values()], key)
    elif isinstance(owner, nn.ModuleDict) and isinstance(key, str):
        return item(vars(owner)["_modules"], key)
    elif isinstance(owner, nn.ParameterList) and isinstance(key, int):
        return _of_module(owner, str(key))
    elif getattr(kind, "__getitem__", None) in _ITEMS and isinstance(key, (int, slice)):
        with suppress(IndexError):
            return owner[key]
    raise Unknown(key)
