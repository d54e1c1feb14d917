"""Which axis of a tensor an axis of a view of it is."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import accumulate
from operator import mul

from attntrace.record import Shape, TensorRecord

Pair = tuple[int, int]
"""An axis of what comes out and the axis of what went in."""
Block = tuple[list[int], list[int]]


def blocks(before: Shape, after: Shape) -> Iterator[Block]:
    """Yield the smallest groups of axes that hold the same elements in the same order.

    (2, 14, 48) as (2, 14, 3, 16) is [0] and [0], [1] and [1], [2] and [2, 3]. Axes of size 1 are
    in none. Nothing is yielded where one of the shapes has no elements.
    """
    if 0 in before or 0 in after:
        return
    sides = [[axis for axis, size in enumerate(shape) if size != 1] for shape in (before, after)]
    ends = [
        list(accumulate((shape[axis] for axis in side), mul))
        for shape, side in zip((before, after), sides, strict=True)
    ]
    start = [0, 0]
    for end in sorted(set(ends[0]) & set(ends[1])):
        stop = [ends[0].index(end) + 1, ends[1].index(end) + 1]
        yield sides[0][start[0] : stop[0]], sides[1][start[1] : stop[1]]
        start = stop


def kept(before: Shape, after: Shape) -> Iterator[Pair]:
    """Yield the axes that a reshape leaves as they are."""
    for old, new in blocks(before, after):
        if len(old) == len(new) == 1:
            yield new[0], old[0]


def permuted(row: TensorRecord, source: TensorRecord) -> Iterator[Pair]:
    """Yield where each axis of a permuted tensor was: the strides tell."""
    left = list(zip(source.shape or (), source.stride or (), range(9), strict=False))
    for axis, (size, stride) in enumerate(zip(row.shape or (), row.stride or (), strict=False)):
        found = next((one for one in left if one[:2] == (size, stride)), None)
        if found is not None:
            left.remove(found)
            yield axis, found[2]


def picked(row: TensorRecord, source: TensorRecord) -> Iterator[Pair]:
    """Yield which axes are left of a tensor that was indexed, in order; new axes are in no pair."""
    at, shape, strides = 0, source.shape or (), source.stride or ()
    for axis, (size, stride) in enumerate(zip(row.shape or (), row.stride or (), strict=False)):
        for old in range(at, len(shape)):
            if strides[old] == stride and shape[old] >= size and (size > 1 or shape[old] == 1):
                yield axis, old
                at = old + 1
                break
