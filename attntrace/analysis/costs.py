"""What each row costs beyond its own bytes: what autograd keeps of it, its gradient, scratch."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass

from attntrace.analysis.memory import is_kept
from attntrace.record import StorageRecord, Trace


@dataclass(slots=True)
class RowCost:
    """Bytes are None where they were not measured or there is nothing to measure."""

    saved_nbytes: int | None = None
    """What autograd keeps of the storages that the row shows first or hides, parameters apart."""
    gradient_nbytes: int | None = None
    scratch_nbytes: int | None = None
    """Sum over the row's ops of what their kernels took for themselves."""
    storage: StorageRecord | None = None
    """The memory of the run's own that the row shows first."""


def row_costs(trace: Trace) -> defaultdict[int, RowCost]:
    """Return what each row costs, by its number; a row without an entry costs nothing more."""
    costs: defaultdict[int, RowCost] = defaultdict(RowCost)
    for life in trace.storages:
        if life.row is None:
            continue
        cost = costs[life.row]
        if is_kept(life):
            cost.saved_nbytes = (cost.saved_nbytes or 0) + life.nbytes
        if life.born is not None and trace.tensors[life.row].storage_id == life.id:
            cost.storage = life
    for row in trace.tensors:
        if row.gradient_of is not None:
            costs[row.gradient_of].gradient_nbytes = row.nbytes
    for op in trace.ops:
        if op.row is not None and op.scratch_nbytes is not None:
            cost = costs[op.row]
            cost.scratch_nbytes = (cost.scratch_nbytes or 0) + op.scratch_nbytes
    return costs
