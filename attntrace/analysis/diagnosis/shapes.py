"""Arithmetic of shapes: what broadcasts, what clashes, and where the axes of one fit another."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import permutations
from math import isqrt

from attntrace.record import Shape

MOST_DIMS = 6
"""Of a tensor whose axes are tried in every order."""


def broadcast(*shapes: Shape) -> Shape | None:
    """Return the shape that others broadcast to; None if they do not."""
    rank = max((len(shape) for shape in shapes), default=0)
    sizes = []
    for dim in range(-rank, 0):
        here = {shape[dim] for shape in shapes if -dim <= len(shape)} - {1}
        if len(here) > 1:
            return None
        sizes.append(here.pop() if here else 1)
    return tuple(sizes)


def clashes(one: Shape, other: Shape) -> list[tuple[int, int]]:
    """Return the dims of both, counted from the front, that meet and do not broadcast."""
    return [
        (len(one) + dim, len(other) + dim)
        for dim in range(-min(len(one), len(other)), 0)
        if one[dim] != other[dim] and 1 not in (one[dim], other[dim])
    ]


def inverse(order: Sequence[int]) -> tuple[int, ...]:
    """Return the permutation that undoes one."""
    return tuple(sorted(range(len(order)), key=lambda i: order[i] % len(order)))


def placements(small: Shape, big: Shape) -> Iterator[tuple[int | None, ...]]:
    """Yield the ways to put each axis of `small` on one of `big` of the same size, or a 1 anywhere.

    Each has, for every axis of `big`, the axis of `small` there, or None. Those that keep the order
    of the axes come first, those that hold to the front before others.
    """
    if not small or max(len(small), len(big)) > MOST_DIMS or len(small) > len(big):
        return
    found = [
        spots
        for spots in permutations(range(len(big)), len(small))
        if all(small[dim] in (1, big[spot]) for dim, spot in enumerate(spots))
    ]
    for spots in sorted(found, key=lambda spots: (_swaps(spots), spots)):
        where: dict[int, int] = {spot: dim for dim, spot in enumerate(spots)}
        yield tuple(where.get(at) for at in range(len(big)))


def _swaps(spots: tuple[int, ...]) -> int:
    return sum(a > b for at, a in enumerate(spots) for b in spots[at + 1 :])


def grid(count: int) -> tuple[int, int] | None:
    """Return (side, more) of a count that is side*side + more tokens: 50 is 7*7 + 1.

    `more` is at most 2: a class token, and one to distil into. None where it is no such count.
    """
    for more in range(3):
        side = isqrt(max(count - more, 0))
        if side > 1 and side * side + more == count:
            return side, more
    return None


def squared(count: int, more: int | None = None) -> str | None:
    """Return a count of tokens as a sum: "7*7 + 1"; None where it is none, or not with `more`."""
    found = grid(count)
    if found is None or more not in (None, found[1]):
        return None
    side, rest = found
    return f"{side}*{side} + {rest}" if rest else f"{side}*{side}"
