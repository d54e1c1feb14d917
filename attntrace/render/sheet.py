"""A trace as a sheet: columns, lines and a footer, before any format has its say."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from attntrace.record import ModuleRecord, OpOutput, OpRecord, TensorRecord, Trace
from attntrace.render.columns import COLUMNS, EMPTY, Cell, Column, kernel_cells, tensor_cells
from attntrace.render.summary import footer, heading

Level = Literal["module", "op", "kernel"]
Role = Literal["module", "tensor", "kernel"]
DEFAULT = ("#", "tensor", "op", "shape", "axes", "dtype", "memory", "from")


@dataclass(frozen=True, slots=True)
class View:
    """What of a trace to show: how deep, which columns, and the formulas or not."""

    level: Level = "op"
    columns: tuple[str, ...] = DEFAULT
    explain: bool = False

    @property
    def keys(self) -> tuple[str, ...]:
        """The columns, with the formula where explanations are wanted."""
        wanted = (*self.columns, "formula") if self.explain else self.columns
        return tuple(dict.fromkeys(wanted))


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the sheet: a module's heading, a tensor, or an op below a tensor."""

    role: Role
    depth: int
    cells: tuple[Cell, ...]
    is_peak: bool = False


@dataclass(frozen=True, slots=True)
class Sheet:
    """Everything that a format writes."""

    heading: str
    columns: tuple[Column, ...]
    lines: tuple[Line, ...]
    footer: tuple[tuple[str, str], ...]


def sheet_of(trace: Trace, view: View) -> Sheet:
    """Return the sheet of a trace."""
    columns = tuple(COLUMNS[key] for key in view.keys)
    report = footer(trace)
    lines = []
    shown: set[str] = set()
    for row in trace.tensors:
        if view.level == "module" and not _at_boundary(row, trace):
            continue
        lines += _module_headings(row, trace, columns, shown)
        is_peak = row.index == report.peak_at
        cells = tensor_cells(row, trace)
        depth = _depth(row.path) + (row.kind != "input") if trace.modules else 0
        lines.append(Line("tensor", depth, _pick(cells, columns), is_peak))
        if view.level == "kernel":
            lines += _kernel_lines(row.index, depth + 1, trace, columns)
    if view.level == "kernel":
        lines += _kernel_lines(None, 0, trace, columns)
    return Sheet(heading(trace), columns, tuple(lines), report.lines)


def _at_boundary(row: TensorRecord, trace: Trace) -> bool:
    """Return whether a module hook sees a row: what goes into the run, and what modules return."""
    return row.kind == "input" or any(row.index in visit.outputs for visit in trace.modules)


def _depth(path: str) -> int:
    return path.count(".") + 1 if path else 0


def _module_headings(
    row: TensorRecord, trace: Trace, columns: tuple[Column, ...], shown: set[str]
) -> list[Line]:
    """Return a heading for each module around a row that has none yet and shows several rows."""
    if row.kind == "input":
        return []
    parts = row.path.split(".") if row.path else []
    paths = [".".join(parts[:n]) for n in range(len(parts) + 1)]
    lines = []
    for path in paths:
        module = next((m for m in trace.modules if m.path == path), None)
        if module and path not in shown and _shows_several(path, trace):
            shown.add(path)
            lines.append(Line("module", _depth(path), _pick(_module_cells(module), columns)))
    return lines


def _shows_several(path: str, trace: Trace) -> bool:
    inside = (r for r in trace.tensors if r.path == path or r.path.startswith(f"{path}."))
    return not path or sum(1 for _ in inside) > 1


def _module_cells(module: ModuleRecord) -> dict[str, Cell]:
    name = f"{module.path}: {module.type}" if module.path else module.type
    return {"tensor": Cell(name), "module": Cell(module.path)}


def _kernel_lines(
    row: int | None, depth: int, trace: Trace, columns: tuple[Column, ...]
) -> list[Line]:
    pairs: list[tuple[OpRecord, OpOutput]] = [
        (op, output) for op in trace.ops if op.row == row for output in op.outputs
    ]
    return [
        Line("kernel", depth, _pick(kernel_cells(op, output, trace), columns))
        for op, output in pairs
    ]


def _pick(cells: dict[str, Cell], columns: tuple[Column, ...]) -> tuple[Cell, ...]:
    return tuple(cells.get(column.key, EMPTY) for column in columns)
