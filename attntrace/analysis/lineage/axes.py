"""Where a tensor got its number of axes: the line that put some in, merged or left some out."""

from __future__ import annotations

from collections.abc import Sequence

from attntrace.analysis.lineage.hop import named, shape_of
from attntrace.record import Step, TensorRecord

_BY_INDEX = ("gather", "take_along_dim")
"""What gives its result the shape of an index, which is no rank that it was given by chance."""


def made(rows: Sequence[TensorRecord], index: int) -> Step:
    """Return the step at which a row, or what it was made of, got as many axes as it has."""
    row = rows[index]
    while True:
        given = [rows[place] for place in row.inputs if place < row.index]
        alike = [one for one in given if len(shape_of(one)) == len(shape_of(row))]
        if not alike or row.op in _BY_INDEX:
            return Step(said=_said(row, given), source=row.source, line=row.line)
        row = alike[0]


def _said(row: TensorRecord, given: list[TensorRecord]) -> str:
    if row.kind == "input":
        return f"`{row.name}` came in as {shape_of(row)}."
    of = " and ".join(f"{named(one)}, {shape_of(one)}" for one in given[:2])
    return f"`{row.op}` made {named(row)} {shape_of(row)}{' of ' * bool(of)}{of}."
