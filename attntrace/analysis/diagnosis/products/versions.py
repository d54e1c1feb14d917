"""The ways in which a tensor may have been meant: other orders of its axes, and more axes."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from math import prod

from attntrace.analysis.diagnosis.call import Given
from attntrace.analysis.diagnosis.shapes import inverse
from attntrace.analysis.diagnosis.writing import wrapped, written
from attntrace.record import Shape

_LAST_STEP = re.compile(
    r"(?P<base>.+)\.(?:(?:transpose|swapaxes|swapdims|permute)\((?P<dims>[-\d, ]+)\)"
    r"|(?P<flip>mT|T|t\(\)|adjoint\(\)|mH|H))"
)
_SWAP = ("transpose", (-2, -1))
MOVES: dict[int, tuple[tuple[str, tuple[int, ...]], ...]] = {
    2: (("t", ()),),
    3: (_SWAP, ("transpose", (0, 1)), ("permute", (1, 2, 0))),
    4: (_SWAP, ("transpose", (1, 2)), ("permute", (0, 2, 3, 1))),
    5: (_SWAP, ("transpose", (2, 3)), ("permute", (0, 1, 3, 4, 2))),
}
"""What is commonly forgotten, by the number of axes: the likelier first."""
COSTS = (2, 3, 4)


@dataclass(frozen=True, slots=True)
class Version:
    """A tensor as it may have been meant."""

    given: Given
    text: str
    """Its code."""
    said: str
    """What to do for it; "" for the tensor as it is."""
    cost: int
    """How unlikely it is: 0 for the tensor as it is."""
    shape: Shape


def untransposed(tensor: Given) -> Version | None:
    """Return a tensor before the transposition that its expression ends with, if one does."""
    found = _LAST_STEP.fullmatch(tensor.name)
    if found is None:
        return None
    order = [*range(tensor.rank)]
    dims = [int(dim) for dim in (found["dims"] or "").replace(" ", "").split(",") if dim]
    if found["flip"] in ("T", "H") or len(dims) == tensor.rank != 2:
        order = dims or order[::-1]
    elif found["flip"] or len(dims) == 2:
        one, other = dims or (-2, -1)
        order[one], order[other] = order[other], order[one]
    else:
        return None
    back = inverse(order)
    given = tensor if back == (*range(tensor.rank),) else tensor.then("permute", *back)
    said = f"leave `{tensor.name.removeprefix(found['base'])}` out"
    return Version(given, found["base"], said, 2, shape_after(given))


def versions(tensor: Given, other: Given, *, widened: bool) -> Iterator[Version]:
    """Yield a tensor as it is and as it may have been meant beside another, the likeliest first.

    `widened` allows for axes that it lacks.
    """
    yield Version(tensor, tensor.name, "", 0, tensor.shape or ())
    base = untransposed(tensor)
    if base is not None:
        yield base
    start = base or Version(tensor, tensor.name, "", 0, tensor.shape or ())
    for cost, (method, args) in zip(COSTS, MOVES.get(tensor.rank, ()), strict=False):
        given = start.given.then(method, *args)
        shape = shape_after(given)
        if shape != tensor.shape or base is not None:
            step = written(Given(name=start.text, shape=None, steps=((method, args),)))
            step = f"{wrapped(start.text)}.T" if method == "t" else step
            instead = f" instead of `{tensor.name.removeprefix(start.text)}`" if base else ""
            yield Version(given, step, _said(start.text, tensor.rank, args) + instead, cost, shape)
    if widened and tensor.rank < max(other.rank, 3):
        for dim in range(tensor.rank + 1):
            given = tensor.then("unsqueeze", dim)
            said = f"give {tensor.name} an axis of 1 at {dim}"
            yield Version(given, written(given), said, 2 + dim % 2, shape_after(given))


def _said(name: str, rank: int, args: tuple[int, ...]) -> str:
    if not args:
        return f"transpose {name}"
    if args == (-2, -1):
        return f"swap the last two axes of {name}"
    if len(args) == 2:
        return f"swap axes {args[0]} and {args[1]} of {name}"
    return f"order the axes of {name} as {args[:rank]}"


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
