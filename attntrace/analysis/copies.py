"""Copies that a call made without being asked by name: which tensor, how much, and why.

`matmul` wants whole rows and copies an operand that is not contiguous; autocast and `softmax(dtype=)`
copy into another number format; attention turns a bool mask into numbers.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

from attntrace.record import OpRecord, Phase, Shape, TensorRecord, Trace

Reason = Literal["not contiguous", "expanded", "dtype", "mask", "device"]
_ASKED = ("clone", "copy", "deepcopy", "where")
"""Calls that say by their name that they copy."""


@dataclass(frozen=True, slots=True)
class Copy:
    """A copy that an op made of one tensor."""

    op: int
    row: int | None
    call: str
    """As the author wrote it, such as "matmul"."""
    phase: Phase
    source: str
    """Name of the tensor that was read."""
    dtype: str
    """Of the copy."""
    nbytes: int
    shown: bool
    """Whether a row shows the copy, as that of a reshape; else it is hidden in its call."""
    reason: Reason | None
    """None where neither layout nor number format tells."""


def copies(trace: Trace) -> Iterator[Copy]:
    """Yield each copy of a run in order, save those that the author asked for by name."""
    by_storage: dict[int, list[TensorRecord]] = {}
    for holder in trace.tensors:
        if holder.storage_id is not None:
            by_storage.setdefault(holder.storage_id, []).append(holder)
    for op in trace.ops:
        if op.copied is None or not op.outputs or not op.outputs[0].allocated_nbytes:
            continue
        made = op.outputs[0]
        row = trace.tensors[op.row] if op.row is not None else None
        shown = made.storage_id in by_storage
        if shown and row is not None and row.op in _ASKED:
            continue
        yield Copy(
            op=op.index,
            row=op.row,
            call=row.op if row else op.op,
            phase=op.phase,
            source=_source(trace, op, by_storage.get(op.copied, [])),
            dtype=made.dtype,
            nbytes=made.allocated_nbytes,
            shown=shown,
            reason=_reason(trace, op),
        )


def _source(trace: Trace, op: OpRecord, rows: list[TensorRecord]) -> str:
    """Return the name of what an op read: of the rows of that storage the one that fits best."""
    inputs = trace.tensors[op.row].inputs if op.row is not None else ()
    shape = op.inputs[0] if op.inputs else None

    def fit(row: TensorRecord) -> tuple[bool, bool, bool, int]:
        given = row.index in inputs
        return given, row.shape == shape, row.stride == op.copied_stride, row.index

    earlier = [row for row in rows if op.row is None or row.index < op.row]
    if earlier:
        return max(earlier, key=fit).name
    assert op.copied is not None, "only copies are asked for"
    return trace.storages[op.copied].name or "a hidden tensor"


def _reason(trace: Trace, op: OpRecord) -> Reason | None:
    made = op.outputs[0]
    read, written = op.copied, made.storage_id
    if op.copied_dtype not in (None, made.dtype):
        return "mask" if op.copied_dtype == "bool" and "float" in made.dtype else "dtype"
    if read is not None and written is not None:
        devices = {trace.storages[read].device, trace.storages[written].device}
        if len(devices) == 2:
            return "device"
    shape, stride = op.inputs[0] if op.inputs else None, op.copied_stride
    if shape is None or stride is None:
        return None
    if any(size > 1 and step == 0 for size, step in zip(shape, stride, strict=True)):
        return "expanded"
    return None if is_contiguous(shape, stride) else "not contiguous"


def is_contiguous(shape: Shape, stride: Shape) -> bool:
    """Return whether a layout, in elements, is row after row without gaps."""
    kept = [(size, step) for size, step in zip(shape, stride, strict=True) if size != 1]
    if not kept or 0 in shape:
        return True
    whole = all(step == size * below for (_, step), (size, below) in pairwise(kept))
    return whole and kept[-1][1] == 1
