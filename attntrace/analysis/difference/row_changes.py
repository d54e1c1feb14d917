"""What became of each row: nothing, or one change."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from attntrace.analysis.difference.order import in_order, together
from attntrace.analysis.difference.pairs import Pairs
from attntrace.record.difference import RowChange, What
from attntrace.record.snapshot import Snapshot, SnapshotRow


def row_changes(before: Snapshot, after: Snapshot, pairs: Pairs) -> tuple[RowChange, ...]:
    """Return which rows were inserted, removed, renamed, changed or moved."""
    return together(_each(before, after, pairs))


def _each(before: Snapshot, after: Snapshot, pairs: Pairs) -> Iterator[RowChange]:
    moved, gone, new = set(pairs.moved), pairs.gone, pairs.new
    for i, j in in_order((len(before.rows), len(after.rows)), pairs.rows, moved):
        if i is None or j is None:
            was = None if i is None else before.rows[i]
            now = None if j is None else after.rows[j]
            yield _alone(was, now, gone if now is None else new)
        else:
            was, now = before.rows[i], after.rows[j]
            what = _what(was, now, pairs.paths, moved=(i, j) in moved)
            if what:
                yield RowChange(
                    what=what,
                    before=was,
                    after=now,
                    places=(),
                    moved=(i, j) in moved,
                    implied=replace(was, path=now.path) == now
                    and what == "renamed"
                    and (was.path in gone or now.path in new),
                )


def _alone(was: SnapshotRow | None, now: SnapshotRow | None, lone: frozenset[str]) -> RowChange:
    row = now or was
    assert row is not None, "one of two is there"
    what: What = "removed" if now is None else "inserted"
    return RowChange(what=what, before=was, after=now, places=(), implied=row.path in lone)


def _what(was: SnapshotRow, now: SnapshotRow, paths: dict[str, str], *, moved: bool) -> What | None:
    here = replace(was, path=paths.get(was.path, was.path))
    if (here.path, here.name) != (now.path, now.name):
        return "renamed"
    if here != now:
        return "changed"
    return "moved" if moved else None
