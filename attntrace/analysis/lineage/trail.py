"""Where a size came from: followed back, row by row, to the input, parameter or call that set it.

Shapes and strides tell, and the rule of the op; equal numbers alone never do. Where they do not
tell, the trail ends.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from attntrace.analysis.lineage.hop import Hop
from attntrace.analysis.lineage.rules import hop
from attntrace.analysis.lineage.shapes import Part, located
from attntrace.record import Step, StorageRecord, TensorRecord

MOST_STEPS = 5
_KEPT = ("parameter", "buffer")


@dataclass(frozen=True, slots=True, kw_only=True)
class Trail:
    """The lines that a size came by.

    Where it ends at what a module made, `module_path` and `setting` say which argument of its
    constructor sets it, for `constructors.set_by` to go on with; where it ends at a parameter or a
    buffer, `parameter` is its path from the outermost module, for `parameter_set_by`.
    """

    steps: tuple[Step, ...]
    """The nearest first, the line that set the size last."""
    module_path: str | None = None
    setting: str | None = None
    parameter: str | None = None
    dim: int = 0
    """Which axis of that it is."""
    path: str = ""
    """The module whose forward was running where it ends."""
    value: int
    """The size where the trail ends: of 50 = 1 + 49 followed to the 49, that is 49."""


@dataclass(frozen=True, slots=True)
class _Said:
    step: Step
    is_move: bool
    """It says only that the size was carried to another axis."""


def came_from(
    rows: Sequence[TensorRecord],
    index: int,
    dim: int,
    storages: Sequence[StorageRecord] = (),
) -> Trail:
    """Follow size `dim` of row `index` back through the rows before it.

    `storages` of the same trace name the parameters that rows are views of. Never raises for rows
    of a trace: what it cannot follow is where it ends.
    """
    row, said = rows[index], list[_Said]()
    part: Part | None = None
    if not row.shape:
        return Trail(steps=(), value=0)
    at = dim % len(row.shape)
    while True:
        given = [rows[one] for one in row.inputs if rows[one].shape is not None]
        found = hop(row, given, at)
        if found.said:
            step = Step(said=found.said, source=row.source, line=row.line)
            said.append(_Said(step, found.is_move))
        if found.row is None or not (0 <= found.row < row.index):
            return _ended(row, at, found, _few(said), storages)
        before = rows[found.row]
        at, part = _before(row, at, before, found, part)
        row = before


def _before(
    row: TensorRecord, dim: int, before: TensorRecord, found: Hop, part: Part | None
) -> tuple[int, Part | None]:
    """Return the axis to go on with, and which part of it the size is that is followed."""
    here, there = row.shape or (), before.shape or ()
    if not found.among:
        is_same = here[dim] == there[found.dim]
        return found.dim, part if is_same else None
    size, step = part or (here[dim], 1)
    place = located(there, found.among, (size, step * found.inner))
    return (found.dim, None) if place is None else place


def _ended(
    row: TensorRecord,
    dim: int,
    last: Hop,
    steps: tuple[Step, ...],
    storages: Sequence[StorageRecord],
) -> Trail:
    value = row.shape[dim] if row.shape else 0
    trail = Trail(steps=steps, dim=dim, path=row.path, value=last.value or value)
    if last.setting:
        return replace(trail, module_path=row.path, setting=last.setting)
    if last.parameter:
        return replace(trail, parameter=last.parameter, dim=-1)
    owner = next((kept for kept in storages if kept.id == row.storage_id), None)
    is_repeated = row.stride is not None and row.stride[dim] == 0 and value > 1
    if row.inputs or is_repeated or owner is None or owner.owner not in _KEPT:
        return trail
    return replace(trail, parameter=owner.name)


def _few(said: list[_Said]) -> tuple[Step, ...]:
    """Return the steps that say most: of one line one, of too many the nearest and the last."""
    told = [one for at, one in enumerate(said) if not (one.is_move and _is_told_of(said, at))]
    if len(told) > MOST_STEPS:
        told = [one for one in told[:-1] if not one.is_move] + told[-1:]
    steps = [one.step for one in told]
    half = MOST_STEPS // 2
    return tuple(steps if len(steps) <= MOST_STEPS else steps[:half] + steps[half - MOST_STEPS :])


def _is_told_of(said: list[_Said], at: int) -> bool:
    """Return whether the same line says more than that it moved the size, or said so just now."""
    place = said[at].step.source
    same = [one for one in said if one.step.source == place]
    return any(not one.is_move for one in same) or same[0] is not said[at]
