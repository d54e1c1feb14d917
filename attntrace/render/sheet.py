"""A trace as a sheet: columns, lines and a footer, before any format has its say."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Literal

from attntrace.record import ModuleRecord, OpRecord, TensorRecord, Trace
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
    cells: Mapping[str, Cell]
    """By column; what is not there is empty."""
    is_peak: bool = False

    def __getitem__(self, column: Column) -> Cell:
        return self.cells.get(column.key, EMPTY)


@dataclass(frozen=True, slots=True)
class Sheet:
    """Everything that a format writes."""

    heading: str
    columns: tuple[Column, ...]
    lines: tuple[Line, ...]
    footer: tuple[tuple[str, str], ...]


def sheet_of(trace: Trace, view: View) -> Sheet:
    """Return the sheet of a trace."""
    columns = _columns(trace, view)
    report = footer(trace)
    lines = tuple(_Lines(trace, view.level, report.peak_at).all())
    return Sheet(heading(trace), columns, lines, report.lines)


def _columns(trace: Trace, view: View) -> tuple[Column, ...]:
    """Return the columns; those that were asked for, and the ops at kernel level, never go."""
    plain = view.columns == DEFAULT
    keys = [*view.keys]
    if plain and all(row.axes is None for row in trace.tensors):
        keys.remove("axes")
    asked = {"formula"} if plain else set(keys)
    if view.level == "kernel":
        asked.add("op")
    return tuple(replace(COLUMNS[k], drop=0) if k in asked else COLUMNS[k] for k in keys)


class _Lines:
    """The lines of a sheet in order, over what they look up again and again."""

    def __init__(self, trace: Trace, level: Level, peak_at: int | None) -> None:
        self.trace, self.level, self.peak_at = trace, level, peak_at
        self.headed: set[str] = set()
        self.modules = {module.path: module for module in reversed(trace.modules)}
        self.returned = {index for module in trace.modules for index in module.outputs}
        self.rows_below = Counter(path for row in trace.tensors for path in _around(row.path))
        self.storages_shown = {row.storage_id for row in trace.tensors}
        self.ops: dict[int | None, list[OpRecord]] = {}
        for op in trace.ops if level == "kernel" else ():
            self.ops.setdefault(op.row, []).append(op)

    def all(self) -> Iterator[Line]:
        """Yield headings, rows, the ops below each row, and the ops that no row came of."""
        for row in self.trace.tensors:
            if self.level == "module" and row.kind != "input" and row.index not in self.returned:
                continue
            depth = 0
            if row.kind != "input" and self.trace.modules:
                yield from self.headings(row)
                depth = _depth(row.path) + 1
            cells = tensor_cells(row, self.trace)
            yield Line("tensor", depth, cells, row.index == self.peak_at)
            yield from self.kernels(row.index, depth + 1)
        yield from self.kernels(None, 0)

    def headings(self, row: TensorRecord) -> Iterator[Line]:
        """Yield a heading for each module around a row that has none yet and shows several rows."""
        for path in _around(row.path):
            module = self.modules.get(path)
            several = not path or self.rows_below[path] > 1
            if module is not None and several and path not in self.headed:
                self.headed.add(path)
                yield Line("module", _depth(path), _module_cells(module))

    def kernels(self, row: int | None, depth: int) -> Iterator[Line]:
        """Yield the outputs of the ops that ran below a row."""
        for op in self.ops.get(row, ()):
            for output in op.outputs:
                hidden = output.storage_id not in self.storages_shown
                yield Line("kernel", depth, kernel_cells(op, output, self.trace, hidden))


def _around(path: str) -> list[str]:
    """Return the paths of the modules around a path, itself included, outermost first."""
    parts = path.split(".") if path else []
    return [".".join(parts[:n]) for n in range(len(parts) + 1)]


def _depth(path: str) -> int:
    return path.count(".") + 1 if path else 0


def _module_cells(module: ModuleRecord) -> dict[str, Cell]:
    name = f"{module.path}: {module.type}" if module.path else module.type
    return {"tensor": Cell(name), "module": Cell(module.path)}
