"""Bytes of a run, from the births and deaths of its storages."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from attntrace.analysis.kernel import KERNELS
from attntrace.record import OpRecord, Owner, Phase, StorageRecord, Trace

Kind = Literal[
    "parameters", "buffers", "optimizer", "inputs", "outside", "gradients", "saved", "activations",
    "temporaries",
]  # fmt: skip
BEFORE: dict[Owner, Kind] = {
    "parameter": "parameters", "buffer": "buffers", "optimizer": "optimizer", "input": "inputs",
    "outside": "outside",
}  # fmt: skip
"""What was there before the run, by owner."""
CUDA_BLOCK = 512
"""Bytes that CUDA's allocator rounds up to (`kMinBlockSize` in c10's CUDACachingAllocator)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryReport:
    """Bytes of one run. Peaks are above what was there before: parameters, optimizer, inputs."""

    parameters: int
    parameters_nbytes: int
    buffers_nbytes: int
    inputs_nbytes: int
    allocated_nbytes: int
    """New storages of the forward that rows show."""
    hidden_nbytes: int
    """New storages inside calls of the forward that no row shows."""
    peak_nbytes: int
    """The most that was alive at once in the forward."""
    peak_at: int | None
    """The row whose call was running then."""
    saved_for_backward_nbytes: int | None
    """What autograd kept, deduplicated by storage, parameters apart; None without grad."""
    gradients_nbytes: int | None
    """Gradients of parameters, after backward; None where backward was not followed."""
    optimizer_nbytes: int | None
    """The optimizer's state; None without an optimizer."""
    training_peak_nbytes: int | None
    """The most that was alive at once in forward, backward and the optimizer's step."""
    training_peak_at: int | None
    not_counted: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Moment:
    """A birth, a death or a kernel with scratch, on the clock of a run."""

    clock: int
    row: int | None
    """The row whose call was running."""
    phase: Phase
    nbytes: int
    """Bytes alive after it, scratch included."""
    scratch_nbytes: int = 0


def memory_report(trace: Trace) -> MemoryReport:
    """Return what a trace needed. Parameters, buffers and inputs are counted apart from the rest."""
    moments = list(curve(trace))
    forward, whole = _highest(moments, trace.began.get("backward")), _highest(moments)
    shown = sum(row.allocated_nbytes for row in trace.tensors if row.phase == "forward")
    born = (life for life in trace.storages if life.op is not None)
    new = sum(life.nbytes for life in born if phase_of(trace, life) == "forward")
    trained = "backward" in trace.began
    has_optimizer = "optimizer" in trace.began
    return MemoryReport(
        parameters=trace.parameters,
        parameters_nbytes=_owned(trace, "parameter"),
        buffers_nbytes=_owned(trace, "buffer"),
        inputs_nbytes=_owned(trace, "input"),
        allocated_nbytes=shown,
        hidden_nbytes=new - shown,
        peak_nbytes=forward.nbytes if forward else 0,
        peak_at=forward.row if forward else None,
        saved_for_backward_nbytes=_saved(trace.storages),
        gradients_nbytes=_parameter_gradients(trace) if trained else None,
        optimizer_nbytes=_optimizer_state(trace) if has_optimizer else None,
        training_peak_nbytes=(whole.nbytes if whole else 0) if trained else None,
        training_peak_at=whole.row if whole and trained else None,
        not_counted=_not_counted(trace.ops),
    )


def curve(trace: Trace) -> Iterator[Moment]:
    """Yield each birth and death of the run's own storages in order, with the bytes then alive.

    Where scratch was measured, a kernel that took some has a moment of its own after its births.
    """
    alive = 0
    for change in sorted(_changes(trace), key=lambda one: (one.clock, one.scratch_nbytes)):
        alive += change.nbytes
        yield replace(change, nbytes=alive + change.scratch_nbytes)


def _changes(trace: Trace) -> Iterator[Moment]:
    """Yield what `curve` adds up: moments whose bytes are those that come or go."""
    last: dict[int, int] = {}
    row: int | None = None
    for life in sorted(trace.storages, key=lambda one: one.born or 0):
        if life.born is None:
            continue
        if life.op is not None:  # else a number that torch wrapped in the call before
            row = _row_of(trace, life.op)
        nbytes = size_of(trace, life)
        if life.op is not None:
            last[life.op] = max(life.born, last.get(life.op, 0))
        yield Moment(life.born, row, phase_of(trace, life), nbytes)
        if life.died is not None:
            yield Moment(life.died, life.died_row, _phase_of_death(trace, life), -nbytes)
    for op in trace.ops:
        at = last.get(op.index, op.clock)
        if op.scratch_nbytes and at is not None:
            yield Moment(at, op.row, op.phase, 0, op.scratch_nbytes)


def peak_of(trace: Trace, before: int | None = None) -> Moment | None:
    """Return the first moment at which the most was alive, up to a time on the clock."""
    return _highest(curve(trace), before)


def _highest(moments: Iterable[Moment], before: int | None = None) -> Moment | None:
    highest = None
    for moment in moments:
        if before is not None and moment.clock > before:
            break
        if moment.nbytes > (highest.nbytes if highest else 0):
            highest = moment
    return highest


def alive_at(trace: Trace, clock: int) -> list[StorageRecord]:
    """Return the storages that were alive at a time, those from before the run included."""
    return [
        life
        for life in trace.storages
        if (life.born is None or life.born <= clock) and (life.died is None or life.died > clock)
    ]


def kinds_at(trace: Trace, moment: Moment) -> dict[Kind, int]:
    """Return the bytes alive at a moment by kind, what was there before the run included.

    Largest first; scratch is among the temporaries.
    """
    found: Counter[Kind] = Counter()
    for life in alive_at(trace, moment.clock):
        found[kind_of(trace, life)] += size_of(trace, life)
    found["temporaries"] += moment.scratch_nbytes
    return {kind: nbytes for kind, nbytes in found.most_common() if nbytes}


def size_of(trace: Trace, life: StorageRecord) -> int:
    """Return the bytes that a storage takes of the run's device: on CUDA whole blocks.

    There what lies in the host's memory takes none, such as Adam's count of its steps.
    """
    where = trace.environment
    if where.as_device != "cuda" and not where.device.startswith("cuda"):
        return life.nbytes
    if life.device == "cpu":
        return 0
    return -(-life.nbytes // CUDA_BLOCK) * CUDA_BLOCK


def kind_of(trace: Trace, life: StorageRecord) -> Kind:
    """Return what a storage is there for.

    "saved" is what autograd keeps of the forward, "activations" are what rows of the forward show
    besides, "temporaries" what no row shows, "outside" what the code holds by itself.
    """
    if life.owner in BEFORE:
        return BEFORE[life.owner]
    if _is_state(trace, life):
        return "optimizer"
    row = trace.tensors[life.row] if life.row is not None else None
    if life.saved_for_backward and phase_of(trace, life) == "forward":
        return "saved"
    if row is None or life.id != row.storage_id:
        return "temporaries"
    return "gradients" if row.kind == "gradient" else "activations"


def is_kept(life: StorageRecord) -> bool:
    """Return whether autograd keeps a storage that would go otherwise: a parameter stays anyway."""
    return bool(life.saved_for_backward) and life.owner != "parameter"


def phase_of(trace: Trace, life: StorageRecord) -> Phase:
    """Return the phase that a storage was born in."""
    return trace.ops[life.op].phase if life.op is not None else "forward"


def _phase_of_death(trace: Trace, life: StorageRecord) -> Phase:
    if life.died_row is not None:
        return trace.tensors[life.died_row].phase
    begun = [phase for phase, clock in trace.began.items() if clock < (life.died or 0)]
    return begun[-1] if begun else "forward"


def _row_of(trace: Trace, op: int | None) -> int | None:
    return None if op is None else trace.ops[op].row


def _owned(trace: Trace, owner: str) -> int:
    return sum(life.nbytes for life in trace.storages if life.owner == owner)


def _optimizer_state(trace: Trace) -> int:
    return sum(life.nbytes for life in trace.storages if _is_state(trace, life))


def _is_state(trace: Trace, life: StorageRecord) -> bool:
    """Return whether an optimizer holds a storage: from before the run, or from its first step."""
    stays = life.born is not None and life.died is None
    return life.owner == "optimizer" or (stays and phase_of(trace, life) == "optimizer")


def _parameter_gradients(trace: Trace) -> int:
    """Return the gradients of parameters that are left when backward is over, each storage once."""
    rows = (row for row in trace.tensors if row.kind == "gradient" and row.gradient_of is None)
    lives = {
        row.storage_id: trace.storages[row.storage_id] for row in rows if row.storage_id is not None
    }
    over = trace.began.get("optimizer")
    return sum(
        life.nbytes
        for life in lives.values()
        if life.died is None or (over is not None and life.died > over)
    )


def _saved(storages: Iterable[StorageRecord]) -> int | None:
    marked = [life for life in storages if life.saved_for_backward is not None]
    return sum(life.nbytes for life in marked if is_kept(life)) if marked else None


def _not_counted(ops: Sequence[OpRecord]) -> tuple[str, ...]:
    """Return what no witness can see: scratch that kernels allocate for themselves."""
    if any(op.scratch_nbytes is not None for op in ops):
        return ()
    fused_ops = (op.op for op in ops if op.op.startswith(tuple(KERNELS)))  # and their backward
    names = dict.fromkeys(op.split(".")[1] for op in fused_ops)
    fused = f", above all {', '.join(names)}" if names else ""
    return (f"scratch inside kernels{fused}",)
