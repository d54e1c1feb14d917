"""The axes of every row, from the same run with other sizes."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from attntrace.analysis.formulas import Formulas
from attntrace.analysis.probing import Probe, Probes, alike, parted
from attntrace.notation.arithmetic import evaluate, names_in
from attntrace.record import Operand, Shape, TensorRecord, Trace

Axes = tuple[str, ...]
_BRACKETS = re.compile(r"\([^()]*\)")


@dataclass(frozen=True, slots=True)
class Derived:
    """The axes of the forward's rows in order, and of the parameters by path."""

    rows: tuple[Axes | None, ...] = ()
    parameters: Mapping[str, Axes] = field(default_factory=dict)
    sizes: Mapping[str, int] = field(default_factory=dict)
    """What the names may stand for."""
    unknown: int = 0
    """Dimensions that moved as no formula does."""
    notes: tuple[str, ...] = ()


class Deriver:
    """Finds the axes that the probes of a run show. `order` has the names, the preferred first."""

    def __init__(self, probes: Probes, order: Sequence[str]) -> None:
        self.probes, self.order = probes, order
        base = probes.base
        self.whole = [base, *probes.whole]
        self.rows = len(base.sketch.strokes)
        self.formulas = self._formulas(self.whole, self.rows)
        self.covered, self.some = 0, self.formulas
        if probes.part is not None:
            self.covered = alike(base.sketch, probes.part.sketch)
            self.some = self._formulas([*self.whole, probes.part], self.covered)

    def _formulas(self, runs: Sequence[Probe], rows: int) -> Formulas:
        """Return the formulas over some runs, whose first rows are alike."""
        known = [name for name in self.order if all(name in run.sizes for run in runs)]
        formulas = Formulas([{name: run.sizes[name] for name in known} for run in runs])
        sketch = self.probes.base.sketch
        for index, axes in enumerate(sketch.declared[:rows]):
            if axes is not None:
                shapes = [run.sketch.strokes[index].shape or () for run in runs]
                for word, *values in zip(axes, *shapes, strict=True):
                    formulas.prefer(word, tuple(values))
        return formulas

    def unknown(self) -> int:
        """Return how many dimensions move as no formula does."""
        for formulas, values in self._dimensions():
            found = formulas.of(values)
            if found is not None and _is_compound(found):
                formulas.learn(found, values)
        return sum(formulas.of(values) is None for formulas, values in self._dimensions())

    def _dimensions(self) -> Iterator[tuple[Formulas, tuple[int, ...]]]:
        """Yield how dimensions move, each way once."""
        seen = dict.fromkeys(found for index in range(self.rows) for found in self._row(index))
        yield from ((formulas, values) for values, formulas in seen)

    def _row(self, index: int) -> Iterator[tuple[tuple[int, ...], Formulas]]:
        """Yield how each dimension of a row moves, and over which runs.

        The probe with more sizes changed has its say where the others show nothing.
        """
        whole = [run.sketch.strokes[index].shape or () for run in self.whole]
        part = self._part(index) if index < self.covered else ()
        for place, values in enumerate(zip(*whole, strict=True)):
            if part and len(set(values)) == 1 and part[place] != values[0]:
                yield (*values, part[place]), self.some
            else:
                yield values, self.formulas

    def _part(self, index: int) -> Shape:
        assert self.probes.part is not None, "it covers rows"
        return self.probes.part.sketch.strokes[index].shape or ()

    def deciding(self) -> dict[str, int]:
        """Return values of sizes at which rounded quotients would come apart that fit as well."""
        self.unknown()
        values: dict[str, int] = {}
        for formulas, moved in self._dimensions():
            found = formulas.floor(moved) if len(set(moved)) > 1 else None
            if found is None or len(found.pairs) == 1 or formulas.of(moved) != found.text:
                continue
            size = self.probes.base.sizes.get(found.name)
            if size is not None:
                values.setdefault(found.name, found.deciding(size))
        return values

    def derived(self) -> Derived:
        """Return the axes of all rows and parameters; a number where no formula is known."""
        unknown = self.unknown()
        rows = [
            tuple([formulas.of(values) or str(values[0]) for values, formulas in self._row(index)])
            for index in range(self.rows)
        ]
        shaped = [stroke.shape is not None for stroke in self.probes.base.sketch.strokes]
        axes = tuple(row if has else None for row, has in zip(rows, shaped, strict=True))
        sizes, notes = dict(self.probes.base.sizes), tuple(parted(self.probes))
        return Derived(axes, dict(self._parameters()), sizes, unknown, notes)

    def _parameters(self) -> Iterator[tuple[str, Axes]]:
        for path in self.probes.base.sketch.parameters:
            shapes = [run.sketch.parameters.get(path) for run in self.whole]
            known = [shape for shape in shapes if shape is not None]
            if len(known) == len(shapes) and len({len(shape) for shape in known}) == 1:
                moved = zip(*known, strict=True)
                yield path, tuple([self.formulas.of(v) or str(v[0]) for v in moved])


def _is_compound(formula: str) -> bool:
    """Return whether a formula is more than a product, what is in brackets apart."""
    while "(" in formula and (shorter := _BRACKETS.sub("", formula)) != formula:
        formula = shorter
    return bool(set(formula) & set("+-/"))


def with_axes(trace: Trace, derived: Derived) -> Trace:
    """Return a trace whose rows have axes, also those of backward; what was declared stays.

    Operands of a failure have the axes of their rows.
    """
    known: dict[int, Axes] = {}
    forward = iter(derived.rows)
    again = _Again()
    for row in trace.tensors:
        axes: Axes | None = None
        if row.phase == "forward":
            found = next(forward, None)
            axes = _merged(row.axes, found)
            again.note(row, axes)
        elif row.gradient_of is not None:
            axes = known.get(row.gradient_of)
        elif row.phase == "recompute":
            axes = again.axes(row)
        else:
            axes = derived.parameters.get(_parameter(row))
        if row.shape is not None and axes is not None and len(axes) == len(row.shape):
            known[row.index] = axes
    rows = tuple(
        [
            row if row.axes == known.get(row.index) else replace(row, axes=known.get(row.index))
            for row in trace.tensors
        ]
    )
    diagnosis = trace.diagnosis
    if diagnosis is not None:
        operands = tuple(_named(one, known, derived) for one in diagnosis.operands)
        diagnosis = replace(diagnosis, operands=operands)
    used = {name for axes in known.values() for axis in axes for name in names_in(axis)}
    sizes = {name: size for name, size in derived.sizes.items() if name in used}
    return replace(
        trace,
        tensors=rows,
        diagnosis=diagnosis,
        sizes={**trace.sizes, **sizes},
        notes=(*trace.notes, *derived.notes),
    )


def _merged(declared: Axes | None, found: Axes | None) -> Axes | None:
    """Return the declared axes, with what was found in place of plain numbers."""
    if declared is None or found is None:
        return declared or found
    return tuple(
        [new if old.isdecimal() else old for old, new in zip(declared, found, strict=True)]
    )


def _parameter(row: TensorRecord) -> str:
    name = row.name.removeprefix("d ")
    return f"{row.path}.{name}" if row.path else name


def _named(operand: Operand, known: Mapping[int, Axes], derived: Derived) -> Operand:
    if operand.row is not None:
        return replace(operand, axes=known.get(operand.row))
    axes = derived.parameters.get(operand.name.removeprefix("self."))
    return replace(operand, axes=axes) if axes else operand


class _Again:
    """The rows of the forward by place, for those of a layer that backward runs again."""

    def __init__(self) -> None:
        self.rows: dict[str, list[tuple[TensorRecord, Axes | None]]] = {}
        self.taken: dict[str, int] = {}

    def note(self, row: TensorRecord, axes: Axes | None) -> None:
        """Remember a row of the forward."""
        self.rows.setdefault(row.path, []).append((row, axes))

    def axes(self, row: TensorRecord) -> Axes | None:
        """Return the axes of the forward's row that this one repeats."""
        place = self.taken.get(row.path, 0)
        self.taken[row.path] = place + 1
        rows = self.rows.get(row.path, [])
        for first, axes in (*rows[place:], *rows[:place]):
            if (first.op, first.shape) == (row.op, row.shape):
                return axes
        return None


def misdeclared(trace: Trace, sizes: Mapping[str, int]) -> str | None:
    """Return what is wrong with the first row whose declared axes do not fit its shape."""
    worth: dict[str, int | None] = {}
    for row in trace.tensors:
        if row.axes is None or row.shape is None:
            continue
        for axis in row.axes:
            if axis not in worth:
                worth[axis] = evaluate(axis, sizes)
        if tuple([worth[axis] for axis in row.axes]) != row.shape:
            return f"tap {row.name} in {row.path} has axes {row.axes}, but is {row.shape}: {sizes}"
    return None
