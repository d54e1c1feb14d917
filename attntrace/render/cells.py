"""What each row shows in each column."""

from __future__ import annotations

from dataclasses import dataclass

from attntrace.analysis.copies import Copy
from attntrace.analysis.costs import RowCost
from attntrace.analysis.kernel import Absent
from attntrace.analysis.memory import phase_of
from attntrace.record import OpOutput, OpRecord, StorageRecord, TensorRecord, Trace
from attntrace.render.copies import why
from attntrace.render.names import short_name
from attntrace.render.units import nbytes_text, shape_text, tuple_text


@dataclass(frozen=True, slots=True)
class Cell:
    """What a cell shows, and the value behind it: a number, or a name that is shown in short."""

    text: str = ""
    value: str | int | None = None

    @property
    def raw(self) -> str | int:
        """The value where there is one, for formats that machines read."""
        return self.text if self.value is None else self.value


EMPTY = Cell()


def tensor_cells(row: TensorRecord, trace: Trace, cost: RowCost) -> dict[str, Cell]:
    """Return what a tensor shows in each column."""
    return {
        "#": Cell(str(row.index), row.index),
        "tensor": Cell(short_name(row, trace), row.name),
        "op": Cell(row.op),
        "shape": Cell(row.layout or "nested" if row.shape is None else tuple_text(row.shape)),
        "axes": Cell(tuple_text(row.axes) if row.axes else ""),
        "dtype": Cell(row.dtype),
        "memory": _size(row.nbytes),
        "from": Cell(_origin(row, trace) + _hidden(row)),
        "formula": Cell(f"{row.name} = {row.formula}" if row.formula else ""),
        "bytes": _count(row.nbytes),
        "new": _count(row.allocated_nbytes),
        "hidden": _count(row.hidden_nbytes),
        "saved": _size(cost.saved_nbytes),
        "grad": _size(cost.gradient_nbytes),
        "alive": Cell(_until(cost.storage, trace)),
        "scratch": _size(cost.scratch_nbytes),
        "flops": _count(row.flops),
        "stride": Cell(tuple_text(row.stride) if row.stride is not None else ""),
        "device": Cell(row.device),
        "module": Cell(row.path),
        "source": Cell(row.source or ""),
        "line": Cell(row.line or ""),
        "inputs": Cell(", ".join(f"#{index}" for index in row.inputs)),
        "seen_by": Cell(", ".join(row.seen_by)),
    }


def kernel_cells(
    op: OpRecord, output: OpOutput, trace: Trace, hidden: bool, copy: Copy | None
) -> dict[str, Cell]:
    """Return what one output of a dispatched op shows; `hidden` if no row shows its storage.

    `copy` is what is to be said of an op that copied something.
    """
    origin = _kernel_origin(output, trace, hidden)
    return {
        "tensor": Cell("·"),
        "op": Cell(op.op.removesuffix(".default")),
        "shape": Cell(shape_text(output.shape)),
        "axes": Cell(_axes_of(op, output, trace)),
        "dtype": Cell(output.dtype),
        "memory": _size(output.nbytes),
        "from": Cell(f"{origin}: {why(copy)}" if copy and output.allocated_nbytes else origin),
        "bytes": _count(output.nbytes),
        "new": _count(output.allocated_nbytes),
        "scratch": _size(op.scratch_nbytes),
        "flops": _count(op.flops),
        "module": Cell(op.path),
    }


def _axes_of(op: OpRecord, output: OpOutput, trace: Trace) -> str:
    """Return the axes of what an op returned where that is the very tensor of its row."""
    row = trace.tensors[op.row] if op.row is not None else None
    if row is None or row.axes is None or output.storage_id is None:
        return ""
    same = (row.storage_id, row.shape) == (output.storage_id, output.shape)
    return tuple_text(row.axes) if same else ""


def absent_cells(scores: Absent) -> dict[str, Cell]:
    """Return what scores show that a fused kernel never made, or holds where nobody sees them."""
    would = "in the kernel's scratch:" if scores.kept else "no memory: would be"
    return {
        "tensor": Cell("(scores)"),
        "op": Cell("in scratch" if scores.kept else "never made"),
        "shape": Cell(shape_text(scores.shape)),
        "axes": Cell(tuple_text(scores.axes) if scores.axes else ""),
        "dtype": Cell(scores.dtype),
        "from": Cell(f"{would} {nbytes_text(scores.nbytes)}"),
    }


def _size(nbytes: int | None) -> Cell:
    return EMPTY if nbytes is None else Cell(nbytes_text(nbytes), nbytes)


def _count(number: int | None) -> Cell:
    return EMPTY if number is None else Cell(f"{number:,}", number)


def _until(life: StorageRecord | None, trace: Trace) -> str:
    """Return how long a storage lives: "#12", "until backward #31", "to the end"."""
    if life is None or life.died is None:
        return "" if life is None else "to the end"
    kept = "backward" in trace.began and life.died > trace.began["backward"]
    word = "until backward" if kept and phase_of(trace, life) == "forward" else ""
    return f"{word} {'' if life.died_row is None else f'#{life.died_row}'}".strip()


def _origin(row: TensorRecord, trace: Trace) -> str:
    if row.layout is not None and row.shape is not None:  # no storage tells where its values are
        return f"input, {row.layout}" if row.origin == "input" else row.layout
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
