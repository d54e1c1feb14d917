"""Finding the tensors in whatever goes into and comes out of a call."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from typing import Any

from torch import Tensor
from torch import device as Device
from torch import dtype as DType
from torch import layout as Layout
from torch import memory_format as MemoryFormat
from torch.nn import Parameter

_LEAVES = (int, float, bool, str, bytes, type(None))
_PLAIN = frozenset((*_LEAVES, DType, Device, Layout, MemoryFormat))
"""What calls and ops are given besides tensors, most of the time."""


def tensors_in(value: Any) -> Iterator[Tensor]:
    """Yield the tensors of a nested structure, in order: sequences, mappings, dataclasses."""
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, _LEAVES):
        return
    elif isinstance(value, (tuple, list)):
        for item in value:
            yield from tensors_in(item)
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from tensors_in(item)
    elif is_dataclass(value) and not isinstance(value, type):
        for item in fields(value):
            yield from tensors_in(getattr(value, item.name, None))


def flat_tensors(args: tuple[Any, ...], kwargs: Mapping[str, Any] | None) -> list[Tensor]:
    """Return the tensors among the arguments of a torch call.

    The same tensors as `tensors_in`, without its generality: this runs for every call and op.
    """
    found = []
    for value in (*args, *kwargs.values()) if kwargs else args:
        kind = type(value)
        if kind is Tensor or kind is Parameter:
            found.append(value)
        elif kind in _PLAIN:
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
    if isinstance(value, Tensor):
        yield name, value
    elif isinstance(value, (tuple, list)):
        for number, item in enumerate(value):
            yield from named_tensors(f"{name}[{number}]", item)
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield from named_tensors(f"{name}[{key!r}]", item)
    elif is_dataclass(value) and not isinstance(value, type):
        for entry in fields(value):
            yield from named_tensors(f"{name}.{entry.name}", getattr(value, entry.name, None))
