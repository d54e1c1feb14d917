"""Whether what changed in the rows follows from the sizes that changed."""

from __future__ import annotations

from collections.abc import Mapping

from attntrace.notation.arithmetic import evaluate
from attntrace.record.difference import Difference, RowChange
from attntrace.record.snapshot import SnapshotRow

_Sizes = Mapping[str, int]


def follows_from_sizes(difference: Difference) -> bool:
    """Return whether all that changed in rows is what their axes are worth with the new sizes.

    False where a row came or went, unless its module did, and where a row has no axes.
    """
    sizes = [figure for figure in difference.figures if figure.name.startswith("size ")]
    names = [figure.name.removeprefix("size ") for figure in sizes]
    before = {
        name: of.before for name, of in zip(names, sizes, strict=True) if of.before is not None
    }
    after = {name: of.after for name, of in zip(names, sizes, strict=True) if of.after is not None}
    changes = [change for change in difference.rows if not change.implied]
    return bool(changes) and all(_follows(change, before, after) for change in changes)


def _follows(change: RowChange, sizes: _Sizes, sizes_after: _Sizes) -> bool:
    before, after = change.before, change.after
    if change.what != "changed" or change.moved or before is None or after is None:
        return False
    resized = before.shape != after.shape
    same = all(
        getattr(before, field) == getattr(after, field)
        for field in ("axes", "dtype", "op", "kind", "phase")
    )
    return resized and same and _is_worth(before, sizes) and _is_worth(after, sizes_after)


def _is_worth(row: SnapshotRow, sizes: _Sizes) -> bool:
    return bool(row.axes) and row.shape == tuple(evaluate(axis, sizes) for axis in row.axes or ())
