"""Arithmetic of shapes: what broadcasts, what clashes, and where the axes of one fit another."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import permutations
from math import isqrt

from attntrace.analysis.diagnosis.call import Given
from attntrace.analysis.diagnosis.words import atom
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


@dataclass(frozen=True, slots=True)
class Changed:
    """A tensor as it would be handed over: how it is written, and what it is then."""

    tensor: Given
    text: str
    shape: Shape

    @classmethod
    def of(cls, tensor: Given) -> Changed:
        """Return a tensor as it is."""
        return cls(tensor, tensor.name, tensor.shape or ())

    def cut(self, parts: dict[int, tuple[int, int]]) -> Changed:
        """Return it with parts of axes kept, each a (begin, size): `x[:, :50]`."""
        rank, shape, tensor = len(self.shape), list(self.shape), self.tensor
        for dim, (begin, size) in parts.items():
            tensor = tensor.then("narrow", dim, begin, size)
            shape[dim] = size
        begins = {dim: f"{begin or ''}:{begin + size}" for dim, (begin, size) in parts.items()}
        index = [begins.get(dim, ":") for dim in range(max(parts) + 1)]
        if [*parts] == [rank - 1] and rank > 2:
            index = ["...", index[-1]]
        return Changed(tensor, f"{atom(self.text)}[{', '.join(index)}]", tuple(shape))

    def arranged(self, places: tuple[int | None, ...]) -> Changed:
        """Return it with its axes where `places` has them, and new axes of size 1 elsewhere."""
        order = tuple(place for place in places if place is not None)
        solid = [place for place in order if self.shape[place] > 1]
        if solid == sorted(solid) and sum(a != b for a, b in enumerate(order)) > 2:
            return self._viewed(places)
        changed = self.ordered(order)
        first = next(at for at, place in enumerate(places) if place is not None)
        return changed.widened(places[first:])

    def _viewed(self, places: tuple[int | None, ...]) -> Changed:
        """Return it with axes of size 1 elsewhere, which only a view says briefly."""
        sizes = [1 if place is None else self.shape[place] for place in places]
        first = next(at for at, size in enumerate(sizes) if size > 1)
        shape = tuple(sizes[first:])
        text = f"{atom(self.text)}.view({', '.join(map(str, shape))})"
        return Changed(self.tensor.then("reshape", *shape), text, shape)

    def ordered(self, order: tuple[int, ...]) -> Changed:
        """Return it with its axes in another order."""
        moved = [dim for dim, place in enumerate(order) if dim != place]
        if not moved:
            return self
        method, args = ("transpose", tuple(moved)) if len(moved) == 2 else ("permute", order)
        text = f"{atom(self.text)}.{method}({', '.join(map(str, args))})"
        shape = tuple(self.shape[dim] for dim in order)
        return Changed(self.tensor.then(method, *args), text, shape)

    def widened(self, places: tuple[int | None, ...]) -> Changed:
        """Return it with a new axis of size 1 wherever `places` has None."""
        new = [at for at, place in enumerate(places) if place is None]
        if not new:
            return self
        tensor = self.tensor
        for at in new:
            tensor = tensor.then("unsqueeze", at)
        sizes = iter(self.shape)
        shape = tuple(1 if place is None else next(sizes) for place in places)
        if len(new) == 1:
            at = -1 if new[0] == len(places) - 1 else new[0]
            return Changed(tensor, f"{atom(self.text)}.unsqueeze({at})", shape)
        index = ", ".join("None" if place is None else ":" for place in places)
        return Changed(tensor, f"{atom(self.text)}[{index}]", shape)


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
