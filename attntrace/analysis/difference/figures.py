"""The numbers of two runs: sizes, totals, and what both measured on the same device."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields

from attntrace.record.difference import Figure
from attntrace.record.snapshot import Measured, Snapshot


def figures(before: Snapshot, after: Snapshot, tolerance: float) -> tuple[Figure, ...]:
    """Return each number that either run has, of measured ones those of a device that both have."""
    return (*_sizes(before, after), *_totals(before, after), *_measured(before, after, tolerance))


def _sizes(before: Snapshot, after: Snapshot) -> Iterator[Figure]:
    for name in dict.fromkeys((*after.sizes, *before.sizes)):
        sizes = before.sizes.get(name), after.sizes.get(name)
        yield Figure(name=f"size {name}", before=sizes[0], after=sizes[1])


def _totals(before: Snapshot, after: Snapshot) -> Iterator[Figure]:
    yield Figure(name="parameters", before=before.parameters, after=after.parameters)
    yield Figure(name="rows", before=len(before.rows), after=len(after.rows))
    yield Figure(name="nbytes", before=_nbytes(before), after=_nbytes(after))


def _nbytes(snapshot: Snapshot) -> int:
    return sum(row.nbytes or 0 for row in snapshot.rows)


def _measured(before: Snapshot, after: Snapshot, tolerance: float) -> Iterator[Figure]:
    for device, second in after.measured.items():
        first = before.measured.get(device)
        if first is not None:
            for item in fields(Measured):
                pair = getattr(first, item.name), getattr(second, item.name)
                if pair != (None, None):
                    yield Figure(
                        name=item.name,
                        before=pair[0],
                        after=pair[1],
                        device=device,
                        tolerance=tolerance,
                    )
