"""A trace as a sheet: columns, lines and a footer, before any format has its say."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Literal

from attntrace.analysis.copies import copies
from attntrace.analysis.costs import row_costs
from attntrace.analysis.kernel import absent_scores
from attntrace.analysis.nesting import around
from attntrace.record import OpRecord, TensorRecord, Trace
from attntrace.render.cells import EMPTY, Cell, absent_cells, kernel_cells, tensor_cells
from attntrace.render.columns import COLUMNS, Column
from attntrace.render.folded import Shown
from attntrace.render.headings import Headings
from attntrace.render.summary import footer, heading

Level = Literal["module", "op", "kernel"]
Axes = Literal["names", "numbers", "both"]
Role = Literal["phase", "module", "tensor", "kernel"]
DEFAULT = ("#", "tensor", "op", "shape", "axes", "dtype", "memory", "from")
TRAINING = ("saved", "grad")
"""The columns that the default has besides where backward was followed."""


@dataclass(frozen=True, slots=True)
class View:
    """What of a trace to show: how deep, which columns, formulas and the timeline or not."""

    level: Level = "op"
    axes: Axes = "both"
    """Whether dimensions are shown by name, by number, or by both."""
    columns: tuple[str, ...] = DEFAULT
    explain: bool = False
    source: bool = False
    """Whether to show where each call stands, and the text of its line."""
    more: tuple[tuple[str, str], ...] = ()
    """Lines that the footer ends with."""
    timeline: bool = False
    fold: bool = True
    """Whether modules that repeat are shown once."""
    depth: int | None = None
    """The deepest modules whose own rows are shown, the outermost is 0; below, what they return."""
    only: tuple[str, ...] = ()
    """Patterns of module paths and of names; a row that matches none is hidden."""
    min_nbytes: int | None = None
    """Rows of a smaller logical size are hidden."""

    @property
    def keys(self) -> tuple[str, ...]:
        """The columns, with those that flags add."""
        return tuple(dict.fromkeys((*self.columns, *self.added)))

    @property
    def added(self) -> tuple[str, ...]:
        """The columns of `explain` and `source`."""
        return ("formula",) * self.explain + ("source", "line") * self.source


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
    shown = Shown(trace, view)
    lines = tuple(_Lines(trace, view, report.peaks, shown).all())
    left_out = shown.lines(report.peaks)
    return Sheet(heading(trace), columns, lines, (*left_out, *report.lines, *view.more))


def _columns(trace: Trace, view: View) -> tuple[Column, ...]:
    """Return the columns; those that were asked for, and the ops at kernel level, never go."""
    plain = view.columns == DEFAULT
    keys = [*view.keys]
    if plain and "backward" in trace.began:
        at = keys.index("memory") + 1
        keys[at:at] = TRAINING
    if plain and any(op.scratch_nbytes is not None for op in trace.ops):
        keys.insert(keys.index("from"), "scratch")
    if plain:
        unnamed = all(row.axes is None for row in trace.tensors)
        shown = "numbers" if unnamed else view.axes
        keys = [key for key in keys if key != {"names": "shape", "numbers": "axes"}.get(shown)]
    asked = {*view.added} if plain else set(keys)
    if view.level == "kernel":
        asked.add("op")
    return tuple(replace(COLUMNS[k], drop=0) if k in asked else COLUMNS[k] for k in keys)


class _Lines:
    """The lines of a sheet in order, over what they look up again and again."""

    def __init__(
        self, trace: Trace, view: View, peaks: tuple[int | None, ...], shown: Shown
    ) -> None:
        self.trace, self.shown, self.axes = trace, shown, view.axes
        self.peaks = {shown.row_for(index) for index in peaks if index is not None}
        self.costs = row_costs(trace)
        self.headings = Headings(trace, view.depth, shown.by_path)
        self.absent = absent_scores(trace) if view.level != "module" else {}
        self.storages_shown = {row.storage_id for row in trace.tensors}
        self.ops: dict[int | None, list[OpRecord]] = {}
        for op in trace.ops if view.level == "kernel" else ():
            self.ops.setdefault(op.row, []).append(op)
        self.copies = {copy.op: copy for copy in copies(trace)} if view.level == "kernel" else {}

    def all(self) -> Iterator[Line]:
        """Yield phase after phase, then the ops that no row came of."""
        for phase, rows in groupby(self.shown.rows(), key=lambda row: row.phase):
            if phase != "forward":
                yield Line("phase", 0, {"tensor": Cell(phase)})
            for row in rows:
                yield from self.row(row)
        yield from self.kernels(None, 0)

    def row(self, row: TensorRecord) -> Iterator[Line]:
        """Yield a row below the headings that it needs, and the ops below it."""
        depth = 0
        if row.kind != "input" and self.trace.modules:
            ways = ((way, self.shown.title(way, row)) for way in around(row.path))
            titles = {way: title for way, title in ways if title is not None}
            for path, name in self.headings.above(row, titles):
                heading_cells = {"tensor": Cell(name), "module": Cell(path)}
                yield Line("module", self.headings.depth(path), heading_cells)
            depth = self.headings.depth(row.path) + 1
        cells = tensor_cells(row, self.trace, self.costs[row.index])
        if row.axes is None and self.axes == "names":
            cells["axes"] = cells["shape"]
        yield Line("tensor", depth, cells, row.index in self.peaks)
        if row.index in self.absent:
            yield Line("kernel", depth + 1, absent_cells(self.absent[row.index]))
        yield from self.kernels(row.index, depth + 1)

    def kernels(self, row: int | None, depth: int) -> Iterator[Line]:
        """Yield the outputs of the ops that ran below a row."""
        for op in self.ops.get(row, ()):
            copy = self.copies.get(op.index)
            for output in op.outputs:
                hidden = output.storage_id not in self.storages_shown
                yield Line("kernel", depth, kernel_cells(op, output, self.trace, hidden, copy))
