"""From what the witnesses noted to frozen records, once the run is over."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

from attntrace.analysis.flops import flops_of
from attntrace.capture.describe import device_name, dtype_name, nested_text, plain
from attntrace.capture.drafts import Op, Row
from attntrace.capture.hooks import Visit
from attntrace.capture.measure import Scratch
from attntrace.capture.source import line_of, place
from attntrace.capture.storages import Life
from attntrace.record import ModuleRecord, OpOutput, OpRecord, StorageRecord, TensorRecord


def op_record(index: int, op: Op, scratch: Scratch | None = None) -> OpRecord:
    """Return the facts of one op; `scratch` is what was measured of it."""
    name = _op_name(op.func)
    inputs = tuple([plain(shape) for shape in op.inputs])
    outputs = tuple(
        [
            OpOutput(
                shape=plain(shape),
                dtype=dtype_name(dtype),
                nbytes=nbytes,
                storage_id=None if life is None else life.id,
                origin=origin,
                allocated_nbytes=life.nbytes if life is not None and life.op == index else 0,
            )
            for shape, dtype, nbytes, life, origin in op.outputs
        ]
    )
    return OpRecord(
        index=index,
        op=name,
        path=op.path,
        row=op.row,
        inputs=inputs,
        outputs=outputs,
        transposed=op.transposed,
        flops=flops_of(
            "transposed_convolution" if op.transposed else name,
            inputs,
            [output.shape for output in outputs],
        ),
        phase=op.phase,
        copied=op.copied.life.id if op.copied else None,
        copied_dtype=dtype_name(op.copied.dtype) if op.copied else None,
        copied_stride=op.copied.stride if op.copied else None,
        scratch_nbytes=scratch.nbytes if scratch else None,
        clock=scratch.clock if scratch else None,
    )


@lru_cache(maxsize=1024)
def _op_name(func: object) -> str:
    name = str(func)
    return name if "." in name else f"higher_order.{name}"


def tensor_record(row: Row, flops: int | None) -> TensorRecord:
    """Return the facts of one row; `flops` is the sum over its ops."""
    of = row.gradient_of if isinstance(row.gradient_of, Row) else None
    tap = row.tap or (of.tap if of else None)
    shape, layout = plain(row.shape), row.layout
    if shape is None and row.shape is not None:
        layout = nested_text("jagged", row.shape)
    return TensorRecord(
        index=row.index,
        name=row.title(),
        path=row.path,
        op=row.op,
        kind=row.kind,
        shape=shape,
        layout=layout,
        arguments=row.arguments,
        stride=plain(row.stride),
        axes=tap.axes if tap else None,
        dtype=dtype_name(row.dtype),
        device=device_name(row.device),
        nbytes=row.nbytes,
        storage_id=row.life.id if row.life else None,
        origin=row.origin,
        alias_of=row.alias_of,
        allocated_nbytes=row.allocated,
        hidden_nbytes=row.hidden,
        inputs=tuple(row.inputs),
        seen_by=row.seen_by,
        source=place(row.site) if row.site else None,
        line=line_of(row.site) if row.site else None,
        formula=row.tap.formula if row.tap else None,
        flops=flops,
        phase=row.phase,
        gradient_of=of.index if of else None,
    )


def storage_record(life: Life, ops: Sequence[Op]) -> StorageRecord:
    """Return the facts of one storage."""
    return StorageRecord(
        id=life.id,
        nbytes=life.nbytes,
        owner=life.owner,
        name=life.name,
        device=device_name(life.device) if life.device else "",
        born=life.born,
        died=life.died,
        op=life.op,
        row=life.row,
        saved_for_backward=life.saved,
        died_row=ops[life.died_op].row if life.died_op is not None and ops else None,
    )


def module_record(visit: Visit) -> ModuleRecord:
    """Return the facts of one module call."""
    return ModuleRecord(
        path=visit.path,
        type=visit.kind.name,
        depth=visit.depth,
        parameters=visit.below.scalars[visit.path],
        own=visit.below.own.get(visit.path, {}),
        settings=visit.below.settings.get(visit.path, {}),
        outputs=visit.outputs,
        note=visit.note,
        batch_first=visit.batch_first,
        inputs=visit.inputs,
    )
