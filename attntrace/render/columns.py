"""The columns of a table: what each holds, its unit, and which go first where room is short."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from attntrace.record import OpOutput, OpRecord, TensorRecord, Trace
from attntrace.render.units import nbytes_text, shape_text, tuple_text


@dataclass(frozen=True, slots=True)
class Column:
    """One column; `drop` says how early it goes on a narrow terminal, 0 never."""

    key: str
    meaning: str
    align: Literal["left", "right"] = "left"
    drop: int = 0


@dataclass(frozen=True, slots=True)
class Cell:
    """What a cell shows, and the value behind it where that is a number."""

    text: str = ""
    value: int | None = None

    @property
    def raw(self) -> str | int:
        """The number where there is one, for formats that machines read."""
        return self.text if self.value is None else self.value


EMPTY = Cell()

COLUMNS = {
    column.key: column
    for column in (
        Column("#", "number of the row, in execution order", "right", 1),
        Column("tensor", "name: the tap's in our blocks, the author's own elsewhere"),
        Column("op", "the call that returned it, as it stands in the code", drop=4),
        Column("shape", "size of each dimension"),
        Column("axes", "what each dimension is", drop=3),
        Column("dtype", "number format", drop=5),
        Column("memory", "elements times element size, whoever owns the bytes", "right", 1),
        Column("from", "where the bytes are: new, or a view of an earlier row", drop=2),
        Column("formula", "what it is, in terms of the rows above", drop=6),
        Column("bytes", "memory, to the byte", "right", 7),
        Column("new", "bytes of the storage that the row is the first to show", "right", 7),
        Column("hidden", "bytes inside the call that no row shows, such as copies", "right", 7),
        Column("flops", "2 per multiply-add of matrix products", "right", 7),
        Column("stride", "distance between neighbours along each dimension, in elements", drop=8),
        Column("device", "where the tensor lives", drop=8),
        Column("module", "path of the module whose forward made it", drop=8),
        Column("source", "file and line of the call", drop=8),
        Column("inputs", "the rows that the call took", drop=8),
        Column("seen_by", "hook, function mode, dispatch mode", drop=9),
    )
}


def tensor_cells(row: TensorRecord, trace: Trace) -> dict[str, Cell]:
    """Return what a tensor shows in each column."""
    return {
        "#": Cell(str(row.index), row.index),
        "tensor": Cell(row.name),
        "op": Cell(row.op),
        "shape": Cell(shape_text(row.shape)),
        "axes": Cell(tuple_text(row.axes) if row.axes else ""),
        "dtype": Cell(row.dtype),
        "memory": _size(row.nbytes),
        "from": Cell(_origin(row, trace) + _hidden(row)),
        "formula": Cell(f"{row.name} = {row.formula}" if row.formula else ""),
        "bytes": _count(row.nbytes),
        "new": _count(row.allocated_nbytes),
        "hidden": _count(row.hidden_nbytes),
        "flops": _count(row.flops),
        "stride": Cell(tuple_text(row.stride) if row.stride is not None else ""),
        "device": Cell(row.device),
        "module": Cell(row.path),
        "source": Cell(row.source or ""),
        "inputs": Cell(", ".join(f"#{index}" for index in row.inputs)),
        "seen_by": Cell(", ".join(row.seen_by)),
    }


def kernel_cells(op: OpRecord, output: OpOutput, trace: Trace, hidden: bool) -> dict[str, Cell]:
    """Return what one output of a dispatched op shows; `hidden` if no row shows its storage."""
    return {
        "tensor": Cell("·"),
        "op": Cell(op.op.removesuffix(".default")),
        "shape": Cell(shape_text(output.shape)),
        "dtype": Cell(output.dtype),
        "memory": _size(output.nbytes),
        "from": Cell(_kernel_origin(output, trace, hidden)),
        "bytes": _count(output.nbytes),
        "new": _count(output.allocated_nbytes),
        "flops": _count(op.flops),
        "module": Cell(op.path),
    }


def _size(nbytes: int | None) -> Cell:
    return EMPTY if nbytes is None else Cell(nbytes_text(nbytes), nbytes)


def _count(number: int | None) -> Cell:
    return EMPTY if number is None else Cell(f"{number:,}", number)


def _origin(row: TensorRecord, trace: Trace) -> str:
    match row.origin:
        case "input" | "new":
            return row.origin
        case "outside":
            return f"view of {_owner(row.storage_id, trace)}"
        case "view":
            return f"view of #{row.alias_of}"
        case "in place":
            return f"in place on {_row_or_owner(row, trace)}"
        case "same":
            return f"same as {_row_or_owner(row, trace)}"


def _hidden(row: TensorRecord) -> str:
    return f" + {nbytes_text(row.hidden_nbytes)} hidden" if row.hidden_nbytes else ""


def _row_or_owner(row: TensorRecord, trace: Trace) -> str:
    return f"#{row.alias_of}" if row.alias_of is not None else _owner(row.storage_id, trace)


def _kernel_origin(output: OpOutput, trace: Trace, hidden: bool) -> str:
    if output.origin == "new":
        return "new, hidden" if hidden else "new"
    storage = trace.storages[output.storage_id] if output.storage_id is not None else None
    shown = storage is not None and storage.row is not None and not hidden
    of = f"#{storage.row}" if storage and shown else _owner(output.storage_id, trace)
    return f"in place on {of}" if output.origin == "in place" else f"view of {of}"


def _owner(storage: int | None, trace: Trace) -> str:
    known = trace.storages[storage] if storage is not None else None
    if known is None:
        return "an opaque tensor"
    if known.owner == "run":
        return "a hidden tensor"
    return f"{known.owner} {known.name}" if known.name else "a tensor from outside"
