"""The difference of two runs: what was inserted, removed, renamed, changed or moved.

Modules are paired first (`modules`), by their paths and by what they hold. Rows are then brought in
line (`rows`, over `align`) as if the modules of the first run were called as in the second. What
differs in a pair, and what has no partner, is told (`row_changes`, `module_changes`) in order, and
the same change in many layers once (`order`); `figures` are the numbers of both, and `sizes` says
which changes the sizes among them explain.
"""

from __future__ import annotations

from attntrace.analysis.difference.figures import figures
from attntrace.analysis.difference.module_changes import module_changes
from attntrace.analysis.difference.pairs import pairs_of
from attntrace.analysis.difference.row_changes import row_changes
from attntrace.analysis.difference.sizes import Resizing
from attntrace.record.difference import TOLERANCE, Difference
from attntrace.record.snapshot import Snapshot


def difference(before: Snapshot, after: Snapshot, *, tolerance: float = TOLERANCE) -> Difference:
    """Return everything in which two runs differ; false where that is nothing.

    `tolerance` is the part of a measured number by which it may differ: 0.01 for one hundredth. What
    one run measured on a device that the other did not run on is no difference. Takes well under a
    second for thousands of rows.
    """
    numbers, subjects = figures(before, after, tolerance), (before.subject, after.subject)
    if before.rows == after.rows and before.modules == after.modules:  # as in nearly every check
        return Difference(rows=(), modules=(), figures=numbers, subjects=subjects)
    pairs = pairs_of(before, after)
    rows = row_changes(before, after, pairs)
    resizing = Resizing(numbers, rows, (pairs.before, pairs.after))
    return Difference(
        rows=resizing.rows,
        modules=resizing.modules(module_changes(pairs)),
        figures=numbers,
        subjects=subjects,
    )
