"""A row that is not as it was, on one line."""

from __future__ import annotations

from collections.abc import Iterator

from attntrace.record.difference import RowChange, What
from attntrace.record.snapshot import SnapshotRow
from attntrace.render.difference.axes import shape_change, shape_of
from attntrace.render.difference.names import row_name
from attntrace.render.units import nbytes_text

MARKS: dict[What, str] = {
    "inserted": "+", "removed": "-", "renamed": "~", "changed": "!", "moved": "!",
}  # fmt: skip
"""What a line begins with; of a fence in Markdown, `diff` paints all but the third."""


def row_line(change: RowChange) -> str:
    """Return "! layers.0-31.attend.k x32: (batch, 8 -> 32 heads, tokens, head_dim)"."""
    said = row_details(change)
    return f"{MARKS[change.what]} {row_name(change)}{': ' if said else ''}{said}"


def row_details(change: RowChange) -> str:
    """Return what a row is that came or went, or what of it changed; "" of a new name alone."""
    before, after = change.before, change.after
    if before is None or after is None:
        row = after or before
        assert row is not None, "a change is of a row"
        return ", ".join((row.op, shape_of(row), row.dtype, _nbytes(row)))
    return ", ".join(filter(None, _changes(before, after, moved=change.moved)))


def _changes(before: SnapshotRow, after: SnapshotRow, *, moved: bool) -> Iterator[str]:
    if moved:
        yield "at another place in the order"
    yield shape_change(before, after)
    for field in ("dtype", "op", "kind", "phase"):
        was, now = getattr(before, field), getattr(after, field)
        yield f"{field} {was} -> {now}" if was != now else ""
    if before.nbytes != after.nbytes:
        was, now = _nbytes(before), _nbytes(after)
        yield f"{before.nbytes:,} B -> {after.nbytes:,} B" if was == now else f"{was} -> {now}"


def _nbytes(row: SnapshotRow) -> str:
    return "no size in bytes" if row.nbytes is None else nbytes_text(row.nbytes)
