"""The attributes of what is built: its constructor is gone through when somebody asks for them.

Live objects, such as a config, are looked at as data: no property and no `__getattr__` runs.
"""

from __future__ import annotations

from collections.abc import Sequence
from types import FunctionType, ModuleType
from typing import Any

from torch import nn

from attntrace.capture.failed.origin.retrace.code import field_place
from attntrace.capture.failed.origin.retrace.values import (
    HOLDERS,
    PLAIN,
    UNKNOWN,
    Built,
    Either,
    Method,
    Sizes,
    Value,
    fits,
    of_live,
)
from attntrace.capture.failed.values.settings import held

_CONTAINERS = (nn.Sequential, nn.ModuleList, nn.ModuleDict)


def attribute(base: Value, name: str) -> Value:
    """Return an attribute of something; a `Value` of UNKNOWN where it is not known."""
    what = base.what
    if isinstance(what, Built):
        return _of_built(what, name, base)
    if what is UNKNOWN or isinstance(what, (Either, *PLAIN)):
        return Value()
    if isinstance(what, (Sizes, *HOLDERS)):
        return Value(Method(base, name))
    found = of_live(_static(what, name))
    if isinstance(what, (ModuleType, type)) or found is UNKNOWN:
        return Value(found)
    return _held_by(type(what), name, found)


def _held_by(kind: type, name: str, found: Any) -> Value:
    """Return what a live object holds, as the default of its class if it is that."""
    text = str(found) if type(found) in PLAIN else ""
    default = _of_class(kind, name)
    if text and type(default) is type(found) and default == found:
        place = field_place(kind, name)
        return Value(found, text, place, (), "default", name, kind.__name__)
    return Value(found, text, None, (), "held", name, kind.__name__)


def attributes(built: Built) -> dict[str, Value]:
    """Return the attributes of what is built; go through its constructor the first time."""
    from attntrace.capture.failed.origin.retrace.calls import construct

    if not built.is_done:
        built.is_done = True
        if any("__dataclass_fields__" in vars(kind) for kind in built.kind.__mro__):
            built.attributes.update(built.args)
        else:
            construct(built, built.kind, built.args)
    return built.attributes


def child(parent: Built, name: str, live: nn.Module | None) -> Built | None:
    """Return what an attribute of a module was built as, if that can be the module that stands."""
    parts = attributes(parent)
    value = parts.get(name, Value())
    if name not in parts and name.isdigit() and [*parts] == ["0"]:
        value = parts["0"]  # of a loop that nobody can count
    options = value.what.values if isinstance(value.what, Either) else (value,)
    found: Built | None = next((one.what for one in options if fits(one, live)), None)
    if found is not None:
        found.live = live
    return found


def picked(base: Value, key: Any) -> Value | None:
    """Return an item of a container of modules."""
    if not isinstance(base.what, Built) or type(key) not in (int, str):
        return None
    parts = attributes(base.what)
    if isinstance(key, int) and key < 0:
        key += sum(name.isdigit() for name in parts)
    return parts.get(str(key))


def contains(kind: type) -> bool:
    """Return whether a class is a container of torch's."""
    return kind in _CONTAINERS


def contain(built: Built, kind: type, args: dict[str, Value]) -> None:
    """Name what a Sequential, a ModuleList or a ModuleDict was given as it does."""
    given = next(iter(args.values()), Value(())).what
    if kind is nn.Sequential and type(given) is tuple and len(given) == 1:
        given = given[0].what if type(given[0].what) is dict else given
    if isinstance(given, Built):
        given = list(attributes(given).values())
    if type(given) is dict:
        built.attributes.update({str(key): value for key, value in given.items()})
    elif type(given) in (tuple, list):
        grow(built, given)


def grow(built: Built, added: Sequence[Value]) -> None:
    """Put modules at the end of a container."""
    parts = attributes(built)
    for value in added:
        parts[str(len(parts))] = value


def _of_built(what: Built, name: str, base: Value) -> Value:
    found = attributes(what).get(name)
    if found is not None and found.what is not UNKNOWN:
        return found
    kept = _live(what.live, name)
    if type(kept) in (*PLAIN, tuple, list):
        return Value(of_live(kept), f"self.{name}", found.place if found else None)
    of_class = _of_class(what.kind, name)
    if found is None and isinstance(of_class, FunctionType):
        return Value(Method(base, name))
    is_data = type(of_class) in (*PLAIN, *HOLDERS, type)
    return found or Value(of_live(of_class) if is_data else UNKNOWN)


def _live(module: Any, name: str) -> Any:
    try:
        return UNKNOWN if module is None else held(module, name)
    except (KeyError, TypeError):
        return UNKNOWN


def _static(what: Any, name: str) -> Any:
    """Return what an object, a class or a file of code holds under a name."""
    if isinstance(what, ModuleType):
        return vars(what).get(name, UNKNOWN)
    if isinstance(what, type):
        return _of_class(what, name)
    try:
        own = object.__getattribute__(what, "__dict__")
    except AttributeError:
        own = {}
    if type(own) is dict and name in own:
        return own[name]
    found = _of_class(type(what), name)
    return found if type(found) in (*PLAIN, *HOLDERS) else UNKNOWN


def _of_class(kind: type, name: str) -> Any:
    for one in kind.__mro__:
        if name in vars(one):
            found = vars(one)[name]
            return found.__func__ if isinstance(found, staticmethod) else found
    return UNKNOWN
