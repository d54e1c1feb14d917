"""How a trap is put together: the row that it is about, its operands by name, the fixes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from attntrace.analysis.traps.spoken import code, sentence, spoken
from attntrace.record import Fix, Operand, TensorRecord, Trap


def trap(
    name: str,
    row: TensorRecord,
    operands: Sequence[TensorRecord],
    rule: str,
    fixes: Sequence[Fix],
) -> Trap:
    """Return the warning that the call of a row deserves, in the words of its line."""
    names = spoken(row, list({one.index: one for one in operands}.values()))
    fixes = [
        replace(fix, said=sentence(fix.said, names), code=code(fix.code, names)) for fix in fixes
    ]
    given = [operand(one) for one in {one.index: one for one in operands}.values()]
    return Trap(
        name=name,
        row=row.index,
        op=row.op,
        path=row.path,
        source=row.source,
        line=row.line,
        operands=tuple(replace(one, name=names.get(one.name, one.name)) for one in given),
        rule=sentence(rule, names),
        fixes=tuple(fixes),
    )


def operand(row: TensorRecord) -> Operand:
    """Return a row as what a call was given."""
    return Operand(
        name=row.name,
        shape=row.shape,
        axes=row.axes,
        dtype=row.dtype,
        device=row.device,
        row=row.index,
        source=row.source,
    )


def sizes(row: TensorRecord) -> str:
    """Return "(2, 14, 48)"."""
    return str(tuple(row.shape or ()))


def called(row: TensorRecord) -> str:
    """Return a tensor with its shape, "`q` (2, 3, 14, 16)"."""
    return f"`{row.name}` {sizes(row)}"
