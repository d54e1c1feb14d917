"""What became of a shape, axis by axis: "(batch, 8 -> 32 heads, tokens, head_dim)"."""

from __future__ import annotations

from attntrace.record.snapshot import SnapshotRow
from attntrace.render.units import shape_text, tuple_text

_Axis = tuple[str | None, int]
"""What an axis is called, None where it has no name, and its size."""


def shape_of(row: SnapshotRow) -> str:
    """Return the axes and sizes of a row: "(batch, tokens) = (13, 100)"; sizes without axes."""
    sizes = shape_text(row.shape)
    return f"{tuple_text(row.axes)} = {sizes}" if row.axes else sizes


def shape_change(before: SnapshotRow, after: SnapshotRow) -> str:
    """Return how the shape or the axes changed; "" where they did not.

    Axes are told one by one, those that came in another order as such, and another number of axes
    whole. Axes are numbered from 0, as torch does.
    """
    if (before.shape, before.axes) == (after.shape, after.axes):
        return ""
    first, second = _axes(before), _axes(after)
    if first is None or second is None or len(first) != len(second):
        return f"{shape_of(before)} -> {shape_of(after)}"
    return (
        _swapped(before, after)
        or _named_alone(first, second)
        or tuple_text(tuple(map(_axis, first, second)))
    )


def _named_alone(first: list[_Axis], second: list[_Axis]) -> str:
    """Return which axes have a name now, or no longer, where nothing else changed; else ""."""
    others = [(was, now) for was, now in zip(first, second, strict=True) if was != now]
    if any(was[1] != now[1] for was, now in others):
        return ""
    for side, other, said in ((0, second, "axes named"), (1, first, "axes no longer named")):
        if all(both[side][0] is None for both in others):
            return f"{said}: {tuple_text(tuple(name or str(size) for name, size in other))}"
    return ""


def _axes(row: SnapshotRow) -> list[_Axis] | None:
    if row.shape is None:
        return None
    names = row.axes or [None] * len(row.shape)
    named = [None if name is None or name.isdecimal() else name for name in names]
    return list(zip(named, row.shape, strict=True))


def _swapped(before: SnapshotRow, after: SnapshotRow) -> str:
    """Return which axes changed places; "" where none did, or where nobody can tell."""
    named = before.axes is not None and after.axes is not None
    first, second = (before.axes, after.axes) if named else (before.shape, after.shape)
    if (
        not first
        or not second
        or first == second
        or sorted(map(str, first)) != sorted(map(str, second))
    ):
        return ""
    if not named and len(set(first)) < len(first):  # equal sizes are not told apart
        return ""
    places = [
        str(at) for at, both in enumerate(zip(first, second, strict=True)) if len(set(both)) > 1
    ]
    how = f"axes {' and '.join(places)} swapped" if len(places) == 2 else "axes in another order"
    return f"{how}: {shape_of(before)} -> {shape_of(after)}"


def _axis(before: _Axis, after: _Axis) -> str:
    (name, size), (name_after, size_after) = before, after
    if size == size_after:
        names = [str(size) if of is None else of for of in (name, name_after)]
        return names[0] if name == name_after else " -> ".join(names)
    if name != name_after:
        return f"{_named(before)} -> {_named(after)}"
    if name is None or name.isidentifier():
        return f"{size} -> {size_after}" + (f" {name}" if name else "")
    return f"{name} {size} -> {size_after}"  # "64 -> 96 3*chan" would be read as a product


def _named(axis: _Axis) -> str:
    name, size = axis
    return str(size) if name is None else f"{name} {size}"
