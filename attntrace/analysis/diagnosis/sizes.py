"""The whole numbers that a call was given, and how shapes move with a tensor's methods."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import prod
from typing import Any

from attntrace.analysis.diagnosis.call import FailedCall, Given
from attntrace.record import Shape


def numbers(call: FailedCall, place: int, *names: str) -> tuple[Any, ...] | None:
    """Return arguments that may stand in order, as one tuple, or under one of several keywords."""
    found = call.args[place:]
    if not found:
        found = next(((call.kwargs[name],) for name in names if name in call.kwargs), ())
    if len(found) == 1 and isinstance(found[0], (tuple, list)):
        return tuple(found[0])
    return tuple(found) or None


def whole(values: Sequence[Any] | None) -> tuple[int, ...] | None:
    """Return values if all of them are whole numbers, else None."""
    if values is None or not all(type(value) is int for value in values):
        return None
    return tuple(values)


def broadcast(left: Shape, right: Shape) -> Shape | None:
    """Return what two shapes broadcast to; None where they do not."""
    longest = max(len(left), len(right))
    padded = [(1,) * (longest - len(shape)) + shape for shape in (left, right)]
    pairs = list(zip(*padded, strict=True))
    if any(a != b and 1 not in (a, b) for a, b in pairs):
        return None
    return tuple(b if a == 1 else a for a, b in pairs)


def divisors(number: int) -> list[int]:
    """Return the whole numbers that divide one, 1 and itself left out."""
    return [n for n in range(2, number) if number % n == 0] if number < 2**20 else []


def inverse(order: Sequence[int]) -> tuple[int, ...]:
    """Return the permutation that undoes one."""
    return tuple(sorted(range(len(order)), key=lambda i: order[i] % len(order)))


def _transpose(shape: Shape, one: int, other: int) -> Shape:
    moved = list(shape)
    moved[one], moved[other] = moved[other], moved[one]
    return tuple(moved)


def _unsqueeze(shape: Shape, dim: int) -> Shape:
    dim = dim if dim >= 0 else dim + len(shape) + 1
    return (*shape[:dim], 1, *shape[dim:])


def _flatten(shape: Shape, start: int = 0) -> Shape:
    return (*shape[:start], prod(shape[start:]))


_MOVES: dict[str, Callable[..., Shape]] = {
    "transpose": _transpose,
    "t": lambda shape: shape[::-1],
    "unsqueeze": _unsqueeze,
    "flatten": _flatten,
    "permute": lambda shape, *order: tuple(shape[dim] for dim in order),
}


def shape_after(tensor: Given) -> Shape:
    """Return the shape that a tensor has after its steps. Raises KeyError for unknown methods."""
    shape = tensor.shape or ()
    for method, args in tensor.steps:
        shape = _MOVES[method](shape, *args)
    return shape
