"""Bytes of a run, from the births and deaths of its storages."""

from __future__ import annotations

from collections.abc import Iterable

from attntrace.record import MemoryReport, OpRecord, StorageRecord, Trace

_FUSED = ("scaled_dot_product", "native_multi_head_attention", "transformer_encoder_layer_fwd")


def memory_report(trace: Trace) -> MemoryReport:
    """Return what a trace needed. Parameters, buffers and inputs are counted apart from the rest.

    The peak is the most that was alive at once of what the run allocated itself.
    """
    peak, at = _peak(trace.storages)
    return MemoryReport(
        parameters=trace.parameters,
        parameters_nbytes=_owned(trace, "parameter"),
        buffers_nbytes=_owned(trace, "buffer"),
        inputs_nbytes=_owned(trace, "input"),
        allocated_nbytes=sum(row.allocated_nbytes for row in trace.tensors),
        hidden_nbytes=_owned(trace, "run") - sum(row.allocated_nbytes for row in trace.tensors),
        peak_nbytes=peak,
        peak_at=None if at is None or at.op is None else trace.ops[at.op].row,
        saved_for_backward_nbytes=_saved(trace.storages),
        not_counted=_not_counted(trace.ops),
    )


def _owned(trace: Trace, owner: str) -> int:
    return sum(life.nbytes for life in trace.storages if life.owner == owner)


def _peak(storages: Iterable[StorageRecord]) -> tuple[int, StorageRecord | None]:
    """Return the highest sum of living bytes, and the storage whose birth made it."""
    births = {life.born: life for life in storages if life.born is not None}
    deaths = {life.died: life for life in births.values() if life.died is not None}
    alive = peak = 0
    at = None
    for moment in sorted({*births, *deaths}):
        if moment in births:
            alive += births[moment].nbytes
            if alive > peak:
                peak, at = alive, births[moment]
        else:
            alive -= deaths[moment].nbytes
    return peak, at


def _saved(storages: Iterable[StorageRecord]) -> int | None:
    marks = [life for life in storages if life.saved_for_backward is not None]
    if not marks:
        return None
    return sum(m.nbytes for m in marks if m.saved_for_backward and m.owner != "parameter")


def _not_counted(ops: Iterable[OpRecord]) -> tuple[str, ...]:
    """Return what no witness can see: scratch that kernels allocate for themselves."""
    names = dict.fromkeys(op.op.split(".")[1] for op in ops if any(f in op.op for f in _FUSED))
    fused = f", above all {', '.join(names)}" if names else ""
    return (f"scratch inside kernels{fused}",)
