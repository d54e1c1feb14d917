"""One step back along a size, and the words for it."""

from __future__ import annotations

from dataclasses import dataclass

from attntrace.record import Shape, TensorRecord

_LONGEST_NAME = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class Hop:
    """What one row says of one of its sizes."""

    said: str | None = None
    """None where the call does nothing to the size."""
    row: int | None = None
    """Where the size was before; None where it was set here."""
    dim: int = 0
    setting: str | None = None
    """The argument of the module's constructor that sets it."""
    value: int | None = None
    """What that argument is, if not the size itself."""
    parameter: str | None = None
    """The path of the parameter that the call took it from."""
    is_move: bool = False
    """Whether the size was only carried to another axis."""
    among: tuple[int, ...] = ()
    """Of a reshape: the axes of `row` whose elements the size is a part of; `dim` is the likeliest."""
    inner: int = 1
    """Of a reshape: how many of those elements lie between two steps along the size."""


def shape_of(row: TensorRecord) -> Shape:
    """Return a row's shape; that of a nested tensor, which has none, is empty."""
    return row.shape or ()


def size(row: TensorRecord, dim: int) -> int:
    """Return one size of a row."""
    return shape_of(row)[dim]


def named(row: TensorRecord) -> str:
    """Return what a sentence calls a row: its name, if that is not a whole line."""
    return f"`{row.name}`" if len(row.name) <= _LONGEST_NAME else f"what `{row.op}` returned"


def came_in(row: TensorRecord, dim: int) -> Hop:
    """Return that the run was given it."""
    return Hop(said=f"`{row.name}` came in as {row.shape}, {_at(row, dim)}.")


def set_here(row: TensorRecord, dim: int) -> Hop:
    """Return that nothing is known before this row."""
    if len(row.name) > _LONGEST_NAME:
        return Hop(said=f"`{row.op}` made {row.shape}, {_at(row, dim)}.")
    return Hop(said=f"`{row.op}` gave `{row.name}` as {row.shape}, {_at(row, dim)}.")


def through(one: TensorRecord, dim: int) -> Hop:
    """Return that the call hands on a size of one of its operands."""
    return Hop(row=one.index, dim=dim)


def carried(row: TensorRecord, dim: int, one: TensorRecord, at: int) -> Hop:
    """Return that a call moved a size from one axis to another."""
    if at == dim:
        return through(one, at)
    said = f"`{row.op}` moved {size(row, dim)} from axis {at} of {named(one)} to axis {dim}."
    return Hop(said=said, row=one.index, dim=at, is_move=True)


def changed(row: TensorRecord, dim: int, one: TensorRecord, at: int) -> Hop:
    """Return that a call made one size of another."""
    before = f"the {size(one, at)} at axis {at} of {named(one)}"
    return Hop(said=f"`{row.op}` made {size(row, dim)} of {before}.", row=one.index, dim=at)


def same_axis(row: TensorRecord, dim: int, one: TensorRecord) -> Hop | None:
    """Return that a size comes of the same axis of an operand, counted from the left."""
    if dim >= len(shape_of(one)):
        return None
    return through(one, dim) if size(one, dim) == size(row, dim) else changed(row, dim, one, dim)


def built(row: TensorRecord, dim: int, setting: str, value: int | None = None) -> Hop:
    """Return that the constructor of a module set a size; the weight of a function did else.

    `value` is the argument, where the size is a multiple of it.
    """
    here = size(row, dim)
    if "hook" not in row.seen_by:
        return Hop(said=f"`{row.op}` made {_at(row, dim)}: its weight has {here}.")
    of = f"{setting}={here}"
    if value not in (None, here):
        of = f"{here} = {here // value} * {value}, both directions of {setting}={value}"
    return Hop(said=f"`{row.path}` made it: {of}.", setting=setting, value=value)


def _at(row: TensorRecord, dim: int) -> str:
    return f"{size(row, dim)} at axis {dim}"
