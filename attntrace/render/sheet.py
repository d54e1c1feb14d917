"""A trace as a sheet: columns, lines and a footer, before any format has its say."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Literal

from attntrace.analysis.copies import copies
from attntrace.analysis.costs import row_costs
from attntrace.analysis.kernel import absent_scores
from attntrace.record import ModuleRecord, OpRecord, Phase, TensorRecord, Trace
from attntrace.render.cells import EMPTY, Cell, absent_cells, kernel_cells, tensor_cells
from attntrace.render.columns import COLUMNS, Column
from attntrace.render.folded import Folded
from attntrace.render.summary import footer, heading

Level = Literal["module", "op", "kernel"]
Role = Literal["phase", "module", "tensor", "kernel"]
DEFAULT = ("#", "tensor", "op", "shape", "axes", "dtype", "memory", "from")
TRAINING = ("saved", "grad")
"""The columns that the default has besides where backward was followed."""


@dataclass(frozen=True, slots=True)
class View:
    """What of a trace to show: how deep, which columns, formulas and the timeline or not."""

    level: Level = "op"
    columns: tuple[str, ...] = DEFAULT
    explain: bool = False
    more: tuple[tuple[str, str], ...] = ()
    """Lines that the footer ends with."""
    timeline: bool = False
    fold: bool = True
    """Whether layers that repeat are shown once."""

    @property
    def keys(self) -> tuple[str, ...]:
        """The columns, with the formula where explanations are wanted."""
        wanted = (*self.columns, "formula") if self.explain else self.columns
        return tuple(dict.fromkeys(wanted))


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the sheet: the heading of a phase or a module, a tensor, or an op below it."""

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
    folded = Folded(trace, view.fold)
    lines = tuple(_Lines(trace, view.level, report.peaks, folded).all())
    return Sheet(
        heading(trace), columns, lines, (*folded.lines(report.peaks), *report.lines, *view.more)
    )


def _columns(trace: Trace, view: View) -> tuple[Column, ...]:
    """Return the columns; those that were asked for, and the ops at kernel level, never go."""
    plain = view.columns == DEFAULT
    keys = [*view.keys]
    if plain and "backward" in trace.began:
        at = keys.index("memory") + 1
        keys[at:at] = TRAINING
    if plain and any(op.scratch_nbytes is not None for op in trace.ops):
        keys.insert(keys.index("from"), "scratch")
    if plain and all(row.axes is None for row in trace.tensors):
        keys.remove("axes")
    asked = {"formula"} if plain else set(keys)
    if view.level == "kernel":
        asked.add("op")
    return tuple(replace(COLUMNS[k], drop=0) if k in asked else COLUMNS[k] for k in keys)


class _Lines:
    """The lines of a sheet in order, over what they look up again and again."""

    def __init__(
        self, trace: Trace, level: Level, peaks: tuple[int | None, ...], folded: Folded
    ) -> None:
        self.trace, self.level, self.folded = trace, level, folded
        self.peaks = {folded.row_for(index) for index in peaks if index is not None}
        self.costs = row_costs(trace)
        self.headed: set[str] = set()
        self.modules = {module.path: module for module in reversed(trace.modules)}
        self.returned = {index for module in trace.modules for index in module.outputs}
        self.rows_below: Counter[str] = Counter()
        self.absent = absent_scores(trace) if level != "module" else {}
        self.storages_shown = {row.storage_id for row in trace.tensors}
        self.ops: dict[int | None, list[OpRecord]] = {}
        for op in trace.ops if level == "kernel" else ():
            self.ops.setdefault(op.row, []).append(op)
        self.copies = {copy.op: copy for copy in copies(trace)} if level == "kernel" else {}

    def all(self) -> Iterator[Line]:
        """Yield phase after phase, then the ops that no row came of."""
        for phase, rows in groupby(self.trace.tensors, key=lambda row: row.phase):
            yield from self.section(phase, list(rows))
        yield from self.kernels(None, 0)

    def section(self, phase: Phase, rows: list[TensorRecord]) -> Iterator[Line]:
        """Yield the rows of one phase below their headings, and the ops below each row."""
        self.headed = set()
        rows = [row for row in rows if self.folded.shows(row)]
        self.rows_below = Counter(path for row in rows for path in _around(row.path))
        shown = [row for row in rows if self.level != "module" or self.is_boundary(row)]
        if phase != "forward" and shown:
            yield Line("phase", 0, {"tensor": Cell(phase)})
        for row in shown:
            depth = 0
            if row.kind != "input" and self.trace.modules:
                yield from self.headings(row)
                depth = _depth(row.path) + 1
            cells = tensor_cells(row, self.trace, self.costs[row.index])
            yield Line("tensor", depth, cells, row.index in self.peaks)
            if row.index in self.absent:
                yield Line("kernel", depth + 1, absent_cells(self.absent[row.index]))
            yield from self.kernels(row.index, depth + 1)

    def is_boundary(self, row: TensorRecord) -> bool:
        """Return whether a row goes into the run or comes out of a module, or is a gradient of such."""
        of = row.index if row.gradient_of is None else row.gradient_of
        return self.trace.tensors[of].kind == "input" or of in self.returned

    def headings(self, row: TensorRecord) -> Iterator[Line]:
        """Yield a heading for each module around a row that has none yet and shows several rows.

        Backward goes to and fro between modules, so there a module that was left is headed anew.
        """
        if row.phase == "backward":
            self.headed &= set(_around(row.path))
        is_parameters = row.kind == "gradient" and row.gradient_of is None
        for path in _around(row.path):
            module = self.modules.get(path)
            all_alike = self.folded.title(path, row)
            several = not path or is_parameters or all_alike or self.rows_below[path] > 1
            if module is not None and several and path not in self.headed:
                self.headed.add(path)
                yield Line("module", _depth(path), _module_cells(module, all_alike or path))

    def kernels(self, row: int | None, depth: int) -> Iterator[Line]:
        """Yield the outputs of the ops that ran below a row."""
        for op in self.ops.get(row, ()):
            copy = self.copies.get(op.index)
            for output in op.outputs:
                hidden = output.storage_id not in self.storages_shown
                yield Line("kernel", depth, kernel_cells(op, output, self.trace, hidden, copy))


def _around(path: str) -> list[str]:
    """Return the paths of the modules around a path, itself included, outermost first."""
    parts = path.split(".") if path else []
    return [".".join(parts[:n]) for n in range(len(parts) + 1)]


def _depth(path: str) -> int:
    return path.count(".") + 1 if path else 0


def _module_cells(module: ModuleRecord, title: str) -> dict[str, Cell]:
    name = f"{title}: {module.type}" if title else module.type
    return {"tensor": Cell(name), "module": Cell(module.path)}
