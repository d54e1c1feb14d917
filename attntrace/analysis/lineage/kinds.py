"""Where a tensor got its number format or its device: the line that cast, promoted or made it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Literal

from attntrace.record import Step, TensorRecord

Kind = Literal["dtype", "device"]
_WHOLE = ("int", "uint", "bool")


def became(rows: Sequence[TensorRecord], index: int, kind: Kind) -> Iterator[Step]:
    """Yield the step at which a row, or what it was made of, got its dtype or its device.

    Where one operand brought it, that operand's step too. None where it came in so: then it is
    nobody's doing.
    """
    row = rows[index]
    while True:
        given = [rows[place] for place in row.inputs if place < row.index]
        alike = [one for one in given if getattr(one, kind) == getattr(row, kind)]
        others = [one for one in given if _differs(one, row, kind)]
        if others or not alike:
            break
        row = alike[0]
    if row.kind != "input":
        yield _step(row, alike, others, kind)
        if alike:
            yield from became(rows, alike[0].index, kind)


def _differs(one: TensorRecord, row: TensorRecord, kind: Kind) -> bool:
    """Whether an input has another dtype or device, of numbers that could have stayed so."""
    if kind == "dtype" and one.dtype.startswith(_WHOLE):
        return False
    return bool(getattr(one, kind) != getattr(row, kind)) and one.shape != ()


def _step(
    row: TensorRecord, alike: list[TensorRecord], others: list[TensorRecord], kind: Kind
) -> Step:
    now = getattr(row, kind)
    if alike and others:
        said = (
            f"`{row.name}` became {now} here: {alike[0].name} is {now}, "
            f"{others[0].name} is {getattr(others[0], kind)}."
        )
    elif others:
        said = f"`{row.op}` made {row.name} {now} of {others[0].name}, {getattr(others[0], kind)}."
    else:
        said = f"`{row.op}` made {row.name} {'on ' if kind == 'device' else 'as '}{now}."
    return Step(said=said, source=row.source, line=row.line)
