"""Which size of a tensor is which size of the tensor that it was made from, by shape and stride.

No argument of the call is needed: a view walks through the memory of its base with the strides that
say how, and a reshape keeps the order of the elements, so that their products tell.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import prod

from attntrace.record import Shape, TensorRecord

Part = tuple[int, int]
"""A size that is a factor of another: the size, and what it steps over."""
Group = tuple[tuple[int, ...], tuple[int, ...]]
"""Dimensions of what was given and of what came out that hold the same elements."""


def moved(base: TensorRecord, view: TensorRecord, dim: int) -> int | None:
    """Return the dimension of `base` that `view` walks through at `dim`; None if none is the one.

    A permutation, a transpose, an index or a slice of another dimension keep the stride of the
    others. Sizes of 1 have no stride that means anything.
    """
    found = [at for at in _same_stride(base, view, dim) if _shape(base)[at] == _shape(view)[dim]]
    return _the_one(found, dim, _shape(base) == _shape(view))


def cut(base: TensorRecord, view: TensorRecord, dim: int) -> int | None:
    """Return the dimension of `base` of which `view` has a part at `dim`: every n-th, or a piece."""
    size, step = _shape(view)[dim], _stride(view)[dim]
    found = [at for at in _same_stride(base, view, dim) if _shape(base)[at] > size]
    if not found:
        found = [
            at
            for at, (whole, stride) in enumerate(zip(_shape(base), _stride(base), strict=True))
            if stride and step > stride and step % stride == 0
            and 0 <= whole - size * (step // stride) + step // stride - 1 < step // stride
        ]  # fmt: skip
    return _the_one(found, dim, len(_shape(base)) == len(_shape(view)))


def grouped(before: Shape, after: Shape) -> Iterator[Group]:
    """Yield which dimensions of a reshape hold the same elements, in order; those of 1 in none."""
    here = [at for at, size in enumerate(before) if size != 1]
    there = [at for at, size in enumerate(after) if size != 1]
    if 0 in before or prod(before) != prod(after):
        return
    while here and there:
        one, other = [here.pop(0)], [there.pop(0)]
        while (left := _of(before, one)) != (right := _of(after, other)):
            if left < right:
                one.append(here.pop(0))
            else:
                other.append(there.pop(0))
        yield tuple(one), tuple(other)


def located(shape: Shape, among: tuple[int, ...], part: Part) -> tuple[int, Part] | None:
    """Return which of several axes, merged in order, a part of them is in, and where in it.

    None where it is of more than one.
    """
    size, step = part
    inner = 1
    for at in reversed(among):
        if step % inner == 0 and step * size <= inner * shape[at]:
            return at, (size, step // inner)
        inner *= shape[at]
    return None


def kept(before: Shape, after: Shape, dim: int) -> int | None:
    """Return which dimension of `before` is `dim` of `after`, which lacks some; None if several."""
    found = {places[dim] for places in _places(before, after, 0)}
    return found.pop() if len(found) == 1 else None


def aligned(one: Shape, out: Shape, dim: int) -> int | None:
    """Return the dimension of an operand that broadcasting lays at `dim`; None if it has none.

    From the right: https://docs.pytorch.org/docs/stable/notes/broadcasting.html
    """
    at = dim - len(out) + len(one)
    return at if at >= 0 and one[at] == out[dim] else None


def broadcasts(shapes: Sequence[Shape], out: Shape) -> bool:
    """Return whether operands of these shapes, and perhaps others, give `out` when broadcast."""
    return all(
        len(shape) <= len(out)
        and all(a in (1, b) for a, b in zip(reversed(shape), reversed(out), strict=False))
        for shape in shapes
    )


def _same_stride(base: TensorRecord, view: TensorRecord, dim: int) -> list[int]:
    if _shape(view)[dim] == 1 or base.dtype != view.dtype:
        return []
    step = _stride(view)[dim]
    return [
        at for at, stride in enumerate(_stride(base)) if stride == step and _shape(base)[at] > 1
    ]


def _the_one(found: list[int], dim: int, stays: bool) -> int | None:
    if len(found) > 1 and stays and dim in found:
        return dim
    return found[0] if len(found) == 1 else None


def _places(before: Shape, after: Shape, start: int) -> Iterator[tuple[int, ...]]:
    """Yield the ways to find the sizes of `after` in `before`, in order."""
    if not after:
        yield ()
        return
    for at in range(start, len(before) - len(after) + 1):
        if before[at] == after[0]:
            yield from ((at, *rest) for rest in _places(before, after[1:], at + 1))


def _of(shape: Shape, dims: list[int]) -> int:
    return prod(shape[at] for at in dims)


def _shape(row: TensorRecord) -> Shape:
    return row.shape or ()


def _stride(row: TensorRecord) -> Shape:
    return row.stride or ()
