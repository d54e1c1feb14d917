"""The parts of an index: which axes each takes, and what shape comes of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from attntrace.analysis.diagnosis.call import Given
from attntrace.analysis.diagnosis.shapes import broadcast

WHOLE = ("int64", "int32", "int16", "int8")
MASKS = ("bool", "uint8")


@dataclass(frozen=True, slots=True)
class Part:
    """One part of an index: what it is, and the axes of the tensor that it takes."""

    value: Any
    place: int
    """Among the parts of the index."""
    first: int
    """The first axis that it takes."""
    axes: int

    @property
    def is_mask(self) -> bool:
        """Whether it picks by True and False."""
        return isinstance(self.value, Given) and self.value.dtype in MASKS


def axes_of(value: Any) -> int:
    """Return how many axes a part of an index takes: None takes none, a mask all of its own."""
    if value is None or value is Ellipsis or isinstance(value, bool):
        return 0
    if isinstance(value, Given) and value.dtype in MASKS:
        return value.rank
    return 1


def stored_shape(shape: tuple[int, ...], parts: list[Part]) -> tuple[int, ...] | None:
    """Return the shape of `x[...]`; None where it hangs on values, as behind a mask."""
    found: list[int] = []
    rest = sum(part.axes for part in parts)
    for part in parts:
        value, here = part.value, shape[part.first : part.first + part.axes]
        if value is Ellipsis:
            found += here
        elif value is None:
            found.append(1)
        elif isinstance(value, slice) and all(
            n is None or type(n) is int for n in (value.start, value.stop, value.step)
        ):
            found.append(len(range(*value.indices(here[0]))))
        elif isinstance(value, Given) and not part.is_mask and len(parts) == 1:
            found += value.shape or ()
        elif type(value) is not int:
            return None
    return (*found, *shape[rest:])


def overrun(shape: tuple[int, ...], parts: list[Part]) -> list[tuple[int, int]]:
    """Return the axes of which a slice asks for more than there is, and how much: (2, 70)."""
    return [
        (part.first, part.value.stop)
        for part in parts
        if isinstance(part.value, slice)
        and type(part.value.stop) is int
        and part.value.stop > shape[part.first]
    ]


def ways(tensor: Given, wanted: tuple[int, ...]) -> list[tuple[str, Given]]:
    """Return how a tensor gets a shape: axes swapped, an axis of 1 dropped or spread, rows cut."""
    shape, name = tensor.shape or (), tensor.name
    found = []
    for one in range(tensor.rank):
        for other in range(one + 1, tensor.rank):
            order = list(shape)
            order[one], order[other] = order[other], order[one]
            if tuple(order) == wanted:
                found.append((f"swap axes of {name}", tensor.then("transpose", one, other)))
        if shape[one] == 1 and shape[:one] + shape[one + 1 :] == wanted:
            found.append((f"drop the axis of size 1 of {name}", tensor.then("squeeze", one)))
        rest = shape[:one] + shape[one + 1 :]
        if tensor.rank == len(wanted) and rest == wanted[:one] + wanted[one + 1 :]:
            cut = tensor.then("narrow", one, 0, wanted[one])
            found.append((f"cut {name} to {wanted[one]}", cut))
    if shape != wanted and broadcast(shape, wanted) == wanted and tensor.dtype in MASKS:
        found.append((f"spread {name}", tensor.then("expand", *wanted)))
    for at in range(len(wanted)):
        wide = (*shape[:at], 1, *shape[at:])
        if len(wide) == len(wanted) and broadcast(wide, wanted) == wanted:
            found.append((f"give {name} the axis that it lacks", tensor.then("unsqueeze", at)))
    return found[:2]
