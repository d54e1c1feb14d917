"""What of a trace is kept as a baseline: what the code decides, and not the machine or the kernel."""

from __future__ import annotations

import ast
import re
import warnings
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from itertools import accumulate, groupby

from attntrace.analysis.memory import memory_report
from attntrace.record import Environment, Phase, TensorRecord, Trace
from attntrace.record.snapshot import Measured, Snapshot, SnapshotModule, SnapshotRow

GRADIENT = "gradient"
"""The op of every gradient."""
_ADDRESS = re.compile(r" at 0x[0-9A-Fa-f]+")


def snapshot_of(trace: Trace) -> Snapshot:
    """Return what of a run is compared with other runs, of the same code anywhere.

    Left out is what the machine or the version of torch decides: storages, kernels and the ops of
    the dispatcher; which node of autograd made a gradient, in which order, and the parts that it
    is the sum of; what an optimizer does to a parameter within its step; notes and warnings, sources,
    versions and devices. The bytes that were measured are filed under the device.
    """
    memory = memory_report(trace)
    measured = Measured(
        peak_nbytes=memory.peak_nbytes,
        training_peak_nbytes=memory.training_peak_nbytes,
        saved_for_backward_nbytes=memory.saved_for_backward_nbytes,
    )
    return Snapshot(
        subject=_stable(trace.subject),
        sizes=dict(trace.sizes),
        parameters=trace.parameters,
        rows=tuple(_row(row) for row in _kept(trace)),
        modules=tuple(
            SnapshotModule(
                path=one.path,
                type=one.type,
                parameters=one.parameters,
                own=tuple(sorted(one.own.items())),
                settings=tuple(sorted(one.settings.items())),
            )
            for one in trace.modules
        ),
        measured={device_key(trace.environment): measured},
    )


def device_key(where: Environment) -> str:
    """Return what the bytes of a run are filed under: "cpu", "meta as cuda", "cuda NVIDIA H100"."""
    if where.as_device:
        return f"{where.device} as {where.as_device}"
    if where.device.startswith("cuda"):
        return f"cuda {where.device_name}"
    return where.device


def _row(row: TensorRecord) -> SnapshotRow:
    return SnapshotRow(
        path=row.path,
        name=_name(row),
        op=GRADIENT if row.kind == "gradient" else row.op,
        kind=row.kind,
        phase=row.phase,
        shape=row.shape,
        axes=row.axes,
        dtype=row.dtype,
        nbytes=row.nbytes,
    )


def _name(row: TensorRecord) -> str:
    """Return the name of a row in one spelling, whatever a formatter makes of it.

    Where a row has but the path of its module for a name, that is left out: the path says it. What
    could be a variable's name is one.
    """
    d = "d " if row.kind == "gradient" and row.name.startswith("d ") else ""
    name = row.name.removeprefix(d)
    return d if name == row.path and not name.isidentifier() else d + _spelled(_stable(name))


@lru_cache(maxsize=4096)
def _spelled(name: str) -> str:
    """Return an expression as Python writes it; what is none as it is."""
    if name.isidentifier():
        return name
    with warnings.catch_warnings(action="ignore"):  # of what Python is not sure is meant
        try:
            return ast.unparse(ast.parse(name, mode="eval"))
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            return name


def _stable(text: str) -> str:
    """Return a text without the addresses that Python shows of what has no better words."""
    return _ADDRESS.sub("", text)


def _kept(trace: Trace) -> Iterator[TensorRecord]:
    """Yield the rows in order, the gradients of each backward behind what else ran in it."""
    places: dict[str, int] = {}
    for place, module in enumerate(trace.modules):
        places.setdefault(module.path, place)
    for part, run in groupby(trace.tensors, key=_part):
        rows = list(run)
        if part == "backward":
            yield from (row for row in rows if row.kind != "gradient")
            yield from _gradients([row for row in rows if row.kind == "gradient"], places)
        else:
            yield from (row for row in rows if part == "forward" or "function" not in row.seen_by)


def _part(row: TensorRecord) -> Phase:
    return "backward" if row.phase == "recompute" else row.phase


def _gradients(rows: Iterable[TensorRecord], places: Mapping[str, int]) -> list[TensorRecord]:
    """Return the last gradient of each tensor in the order of the forward, then of parameters."""
    last = {(row.gradient_of, row.path, row.name, row.shape): row for row in rows}
    of_rows = (row for row in last.values() if row.gradient_of is not None)
    of_others = (row for row in last.values() if row.gradient_of is None)
    return [
        *sorted(of_rows, key=lambda row: row.gradient_of or 0),
        *sorted(of_others, key=lambda row: (_place(row.path, places), row.path, row.name)),
    ]


def _place(path: str, places: Mapping[str, int]) -> int:
    """Return the place of a module among the calls, of one that is not called that around it."""
    around = accumulate(path.split("."), "{}.{}".format)
    return max((places[way] for way in around if way in places), default=-1)
