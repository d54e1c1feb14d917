"""Finding the tensors in whatever goes into and comes out of a call."""

from __future__ import annotations

from collections import UserList, deque
from collections.abc import Iterator, Mapping
from types import ModuleType
from typing import Any

from torch import Size, Tensor
from torch import device as Device
from torch import dtype as DType
from torch import layout as Layout
from torch import memory_format as MemoryFormat
from torch.nn import Parameter

_LEAVES = (int, float, bool, str, bytes, type(None))
PLAIN = frozenset((*_LEAVES, Size, DType, Device, Layout, MemoryFormat))
"""What calls and ops are given, and return, besides tensors, most of the time."""
_SEQUENCES = (tuple, list, set, frozenset, deque, UserList)
ITEM, KEY, ATTRIBUTE = "[{}]", "[{!r}]", ".{}"
LEVELS = 4
"""How many objects deep attributes are looked at: a cache that holds layers that hold keys."""

Place = tuple[tuple[str, Any], ...]
"""The way from a structure to a part of it: how each step is written, and its number or name."""


def tensors_in(value: Any) -> Iterator[Tensor]:
    """Yield the tensors of a nested structure, in order.

    Containers are looked into, and so are the attributes of objects: dataclasses, caches. Nothing
    of the author's is run, so what comes out of a generator is not seen; modules are left alone.
    """
    kind = type(value)
    if isinstance(value, Tensor):
        yield value
    elif kind is tuple or kind is list:  # as ops and most modules return them
        for item in value:
            if isinstance(item, Tensor):
                yield item
            elif type(item) not in PLAIN:
                yield from (tensor for _, tensor in _walk((), item, LEVELS, {}))
    elif kind not in PLAIN:
        yield from (tensor for _, tensor in _walk((), value, LEVELS, {}))


def flat_tensors(args: tuple[Any, ...], kwargs: Mapping[str, Any] | None) -> list[Tensor]:
    """Return the tensors among the arguments of a torch call.

    The same tensors as `tensors_in`, without its generality: this runs for every call and op.
    """
    found = []
    for value in (*args, *kwargs.values()) if kwargs else args:
        kind = type(value)
        if kind is Tensor or kind is Parameter:
            found.append(value)
        elif kind in PLAIN:
            continue
        elif kind is tuple or kind is list:
            found += [item for item in value if isinstance(item, Tensor)]
        elif isinstance(value, Tensor):
            found.append(value)
        elif isinstance(value, (tuple, list)):
            found.extend(tensors_in(value))
    return found


def named_tensors(name: str, value: Any) -> Iterator[tuple[str, Tensor]]:
    """Yield the tensors of a structure with names such as "x", "state[0]" and "batch['ids']"."""
    for place, tensor in _walk((), value, LEVELS, {}):
        yield name + "".join(mark.format(key) for mark, key in place), tensor


def _walk(
    place: Place, value: Any, levels: int, seen: dict[int, Any]
) -> Iterator[tuple[Place, Tensor]]:
    """Yield each tensor with its place; what is in `seen`, by identity, is not entered again."""
    if isinstance(value, Tensor):
        yield place, value
    elif type(value) not in PLAIN and id(value) not in seen:
        seen[id(value)] = value
        for mark, key, item in _parts(value, levels):
            yield from _walk((*place, (mark, key)), item, levels - (mark is ATTRIBUTE), seen)


def _parts(value: Any, levels: int) -> Iterator[tuple[str, Any, Any]]:
    """Yield what a value holds: how its place is written, number or name, and what is there."""
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        names = value._fields  # noqa: SLF001 - documented, so that it clashes with no field
        yield from ((ATTRIBUTE, name, getattr(value, name)) for name in names)
    elif isinstance(value, _SEQUENCES):
        yield from ((ITEM, number, item) for number, item in enumerate(value))
    elif isinstance(value, Mapping):
        yield from ((KEY, key, item) for key, item in value.items())
    elif levels and not (callable(value) or isinstance(value, ModuleType)):
        yield from ((ATTRIBUTE, name, item) for name, item in _attributes(value))


def _attributes(value: Any) -> Iterator[tuple[str, Any]]:
    yield from getattr(value, "__dict__", {}).items()
    for kind in type(value).__mro__:
        slots = vars(kind).get("__slots__", ())
        for name in (slots,) if isinstance(slots, str) else slots:
            if name not in ("__dict__", "__weakref__") and hasattr(value, name):
                yield name, getattr(value, name)
