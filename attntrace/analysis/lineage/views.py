"""Following a size through views and reshapes, by what they do with the memory of their base."""

from __future__ import annotations

from math import prod

from attntrace.analysis.lineage.hop import Hop, carried, changed, named, shape_of, size, through
from attntrace.analysis.lineage.shapes import cut, grouped, moved
from attntrace.record import Shape, TensorRecord


def viewed(base: TensorRecord, row: TensorRecord, dim: int) -> Hop | None:
    """Follow a size through a view of any kind: strides first, then the order of the elements."""
    has_strides = base.stride is not None and row.stride is not None and base.dtype == row.dtype
    if has_strides:
        at = moved(base, row, dim)
        if at is not None:
            return carried(row, dim, base, at)
    if 0 not in shape_of(row) and prod(shape_of(base)) == prod(shape_of(row)):
        return regrouped(base, row, dim)
    return _cut(base, row, dim) if has_strides else None


def _cut(base: TensorRecord, row: TensorRecord, dim: int) -> Hop | None:
    """Follow a size that is a part of another; the bound of a short slice was set by itself."""
    if size(row, dim) > 1 and row.stride is not None and row.stride[dim] == 0:
        return Hop(said=f"`{row.op}` repeats {named(base)} to {size(row, dim)} at axis {dim}.")
    at = cut(base, row, dim)
    if at is None:
        return None
    found = changed(row, dim, base, at)
    is_short = row.op == "getitem" and 2 * size(row, dim) < size(base, at)
    return Hop(said=found.said) if is_short and row.stride == base.stride else found


def regrouped(base: TensorRecord, row: TensorRecord, dim: int) -> Hop | None:
    """Follow a size through a reshape: the size of its base that it is, is of, or is made of.

    Of several that were merged the largest is the likeliest, and of equal ones the last.
    """
    before, after = shape_of(base), shape_of(row)
    if after[dim] == 1:
        return _one(base, row, dim)
    here, there = next((pair for pair in grouped(before, after) if dim in pair[1]), ((), ()))
    if not here:
        return None
    if len(here) == len(there) == 1:
        return carried(row, dim, base, here[0])
    left, right = _product(before, here), _product(after, there)
    if len(there) == 1:
        said = f"`{row.op}` made {after[dim]} = {left} of {named(base)}."
    else:
        said = f"`{row.op}` made {after[dim]} of the {left} of {named(base)}: {left} = {right}."
    largest = max(here, key=lambda at: (before[at], at))
    inner = prod(after[at] for at in there if at > dim)
    return Hop(said=said, row=base.index, dim=largest, among=here, inner=inner)


def _one(base: TensorRecord, row: TensorRecord, dim: int) -> Hop | None:
    """Follow a size of 1, which neither strides nor products tell apart from others."""
    before, after = shape_of(base), shape_of(row)
    if before == after:
        return through(base, dim)
    if before.count(1) == after.count(1) == 1 and len(before) == len(after):
        return carried(row, dim, base, before.index(1))
    is_new = after.count(1) > before.count(1)
    return Hop(said=f"`{row.op}` put in the 1 at axis {dim}.") if is_new else None


def _product(shape: Shape, dims: tuple[int, ...]) -> str:
    return " * ".join(str(shape[at]) for at in dims)
