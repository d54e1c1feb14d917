"""Two or more runs side by side: figures, and the tensors that the differences are made of.

Each figure in bytes is the sum of parts, and each part is a tensor by name and place. So the
difference of two figures is the sum of the differences of their parts, and nothing is left over.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Literal

from attntrace.analysis.flops import total_flops
from attntrace.analysis.kernel import attention_kernel
from attntrace.analysis.memory import (
    alive_at,
    is_kept,
    memory_report,
    peak_of,
    phase_of,
    size_of,
)
from attntrace.record import StorageRecord, TensorRecord, Trace

What = Literal["tensor", "inside", "scratch", "parameter"]


@dataclass(frozen=True, slots=True)
class Part:
    """A tensor by its name and the last step of its module's path: the same in every layer."""

    name: str
    place: str
    what: What = "tensor"
    """A row's tensor, memory that no row shows "inside" a row's call, scratch, or a parameter."""


Parts = Mapping[Part, int]


@dataclass(frozen=True, slots=True)
class Figures:
    """What is put side by side. None where it was not measured."""

    peak_nbytes: int
    """Of the forward, above parameters and inputs."""
    training_peak_nbytes: int | None
    saved_for_backward_nbytes: int | None
    hidden_nbytes: int
    """Of the forward: memory inside calls that no row shows."""
    kernel: str | None
    flops: int
    """Of the forward."""
    parameters: int
    device: str
    dtype: str | None


@dataclass(frozen=True, slots=True)
class PartDifference:
    """One part of a figure in two runs, in bytes; 0 where the run has none of it."""

    part: Part
    first: int
    second: int

    @property
    def more(self) -> int:
        """What the second run has more; below 0 where it has less."""
        return self.second - self.first


@dataclass(frozen=True, slots=True)
class Only:
    """A row of the forward that one run has and the other has not."""

    part: Part
    rows: int
    shapes: tuple[str, ...]
    new_nbytes: int
    """Of the storages that these rows are the first to show; 0 for views."""


def figures(trace: Trace) -> Figures:
    """Return the figures of one run."""
    memory, where = memory_report(trace), trace.environment
    device = f"{where.device} as {where.as_device}" if where.as_device else where.device
    return Figures(
        peak_nbytes=memory.peak_nbytes,
        training_peak_nbytes=memory.training_peak_nbytes,
        saved_for_backward_nbytes=memory.saved_for_backward_nbytes,
        hidden_nbytes=memory.hidden_nbytes,
        kernel=attention_kernel(trace),
        flops=total_flops(trace.ops),
        parameters=trace.parameters,
        device=device,
        dtype=where.dtype,
    )


def differences(first: Parts, second: Parts) -> tuple[PartDifference, ...]:
    """Return the parts in which two runs differ, the largest difference first."""
    parts = dict.fromkeys((*first, *second))
    found = (PartDifference(part, first.get(part, 0), second.get(part, 0)) for part in parts)
    return tuple(sorted((d for d in found if d.more), key=lambda d: -abs(d.more)))


def only_in(first: Trace, second: Trace) -> tuple[Only, ...]:
    """Return the rows of `first` that `second` has none of, by name and place; largest first."""
    others = {part_of_row(row) for row in _forward(second)}
    groups: dict[Part, list[TensorRecord]] = {}
    for row in _forward(first):
        if row.kind != "input" and part_of_row(row) not in others:
            groups.setdefault(part_of_row(row), []).append(row)
    found = (
        Only(
            part,
            len(rows),
            tuple(dict.fromkeys(str(row.shape) for row in rows)),
            sum(row.allocated_nbytes for row in rows),
        )
        for part, rows in groups.items()
    )
    return tuple(sorted(found, key=lambda only: -only.new_nbytes))


def part_of_row(row: TensorRecord) -> Part:
    """Return what a row is called in comparisons."""
    place = row.path.rpartition(".")[2]
    if place and row.kind == "gradient" and row.gradient_of is None:  # of a parameter
        return Part(f"d {place}.{row.name.removeprefix('d ')}", place)
    return Part(row.name, place)


def peak_parts(trace: Trace) -> Parts:
    """Return what was alive at the peak of the forward; the sum is `peak_nbytes`."""
    return _alive(trace, trace.began.get("backward"))


def training_peak_parts(trace: Trace) -> Parts:
    """Return what was alive at the peak of the whole run; the sum is `training_peak_nbytes`."""
    return _alive(trace, None) if "backward" in trace.began else {}


def saved_parts(trace: Trace) -> Parts:
    """Return what autograd kept; the sum is `saved_for_backward_nbytes`."""
    return _sum(trace, {life: life.nbytes for life in trace.storages if is_kept(life)})


def hidden_parts(trace: Trace) -> Parts:
    """Return the memory inside calls of the forward; the sum is `hidden_nbytes`."""
    born = [s for s in trace.storages if s.op is not None and phase_of(trace, s) == "forward"]
    parts = _sum(trace, {life: life.nbytes for life in born})
    return {part: nbytes for part, nbytes in parts.items() if part.what == "inside"}


def parameter_parts(trace: Trace) -> Parts:
    """Return the bytes of each parameter."""
    return _sum(trace, {s: s.nbytes for s in trace.storages if s.owner == "parameter"})


def flops_parts(trace: Trace) -> Parts:
    """Return the FLOPs of the forward by the row whose call took them; the sum is `flops`."""
    found: Counter[Part] = Counter()
    for op in trace.ops:
        if op.phase == "forward" and op.flops:
            row = trace.tensors[op.row] if op.row is not None else None
            found[part_of_row(row) if row else Part(op.op.split(".")[1], op.path)] += op.flops
    return found


FIGURES: dict[str, Callable[[Trace], Parts]] = {
    "peak_nbytes": peak_parts,
    "training_peak_nbytes": training_peak_parts,
    "saved_for_backward_nbytes": saved_parts,
    "hidden_nbytes": hidden_parts,
    "parameters": parameter_parts,
    "flops": flops_parts,
}
"""What each figure is made of; parameters in bytes."""


def _alive(trace: Trace, before: int | None) -> Parts:
    moment = peak_of(trace, before)
    if moment is None:
        return {}
    alive = [life for life in alive_at(trace, moment.clock) if life.born is not None]
    parts = dict(_sum(trace, {life: size_of(trace, life) for life in alive}))
    if moment.scratch_nbytes:
        name = trace.tensors[moment.row].name if moment.row is not None else ""
        parts[Part(name, "", "scratch")] = moment.scratch_nbytes
    return parts


def _sum(trace: Trace, sizes: Mapping[StorageRecord, int]) -> Parts:
    found: Counter[Part] = Counter()
    for life, nbytes in sizes.items():
        found[_part(trace, life)] += nbytes
    return found


def _part(trace: Trace, life: StorageRecord) -> Part:
    if life.row is not None:
        row = trace.tensors[life.row]
        part = part_of_row(row)
        return part if row.storage_id == life.id else replace(part, what="inside")
    if life.op is not None:
        op = trace.ops[life.op]
        name = op.op.split(".")[1].strip("_")
        return Part(name, op.path.rpartition(".")[2], "inside")
    if life.owner == "run":  # torch wraps a Python number before any op sees it
        return Part("a wrapped number", "")
    above, _, name = (life.name or life.owner).rpartition(".")
    what: What = "parameter" if life.owner == "parameter" else "tensor"
    return Part(name, above.rpartition(".")[2], what)


def _forward(trace: Trace) -> list[TensorRecord]:
    return [row for row in trace.tensors if row.phase == "forward"]
