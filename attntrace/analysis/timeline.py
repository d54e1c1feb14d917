"""Live bytes over the rows of a run, and what is alive where they stand highest."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from attntrace.analysis.copies import Copy, copies
from attntrace.analysis.memory import Kind, Moment, alive_at, curve, kind_of, peak_of, size_of
from attntrace.record import Phase, StorageRecord, Trace


@dataclass(frozen=True, slots=True)
class Span:
    """Neighbouring rows of one phase, and the most that was alive while they ran."""

    first: int
    last: int
    phase: Phase
    nbytes: int


@dataclass(frozen=True, slots=True)
class Alive:
    """A storage at the peak; scratch, which is no storage, has no number."""

    storage_id: int | None
    name: str
    row: int | None
    """The row that shows it first, or whose call hid it."""
    kind: Kind
    nbytes: int


def spans(trace: Trace, most: int) -> list[Span]:
    """Return the rows in order, neighbours put together so that about `most` spans are left.

    The row of the peak, and rows at the edge of a phase, are never put together with others.
    """
    single = [
        Span(row.index, row.index, row.phase, nbytes)
        for row, nbytes in zip(trace.tensors, _heights(trace), strict=True)
    ]
    peak = peak_of(trace)
    width = -(-len(single) // most)
    found: list[Span] = []
    for span in single:
        before = found[-1] if found else None
        if before is None or span.first - before.first >= width or not _alike(before, span, peak):
            found.append(span)
        else:
            highest = max(before.nbytes, span.nbytes)
            found[-1] = Span(before.first, span.last, span.phase, highest)
    return found


def _alike(one: Span, other: Span, peak: Moment | None) -> bool:
    at_peak = peak is not None and peak.row in (one.first, other.first)
    return one.phase == other.phase and not at_peak


def _heights(trace: Trace) -> Iterator[int]:
    """Yield for each row the most that was alive while its call ran.

    What ran and gave no row, such as a step of the optimizer, counts to the row before.
    """
    moments: dict[int, list[Moment]] = {}
    row = 0
    for moment in curve(trace):
        row = row if moment.row is None else moment.row
        moments.setdefault(row, []).append(moment)
    alive = 0
    for number in range(len(trace.tensors)):
        mine = moments.get(number, [])
        yield max([alive, *(moment.nbytes for moment in mine)])
        alive = mine[-1].nbytes - mine[-1].scratch_nbytes if mine else alive


def alive_at_peak(trace: Trace) -> list[Alive]:
    """Return what was alive when the whole run's memory stood highest, largest first."""
    peak = peak_of(trace)
    if peak is None:
        return []
    by_op = {copy.op: copy for copy in copies(trace)}
    found = [
        Alive(
            life.id, _name(trace, life, by_op), life.row, kind_of(trace, life), size_of(trace, life)
        )
        for life in alive_at(trace, peak.clock)
    ]
    if peak.scratch_nbytes:
        name = "scratch" if peak.row is None else f"scratch of {trace.tensors[peak.row].op}"
        found.append(Alive(None, name, peak.row, "temporaries", peak.scratch_nbytes))
    return sorted(found, key=lambda one: -one.nbytes)


def _name(trace: Trace, life: StorageRecord, by_op: dict[int, Copy]) -> str:
    """Return the name of a parameter or an input, that of a row, or what a call hid."""
    row = trace.tensors[life.row] if life.row is not None else None
    if life.name is not None:
        return life.name
    if row is not None and row.storage_id == life.id:
        return row.name
    copy = by_op.get(life.op) if life.op is not None else None
    if copy is not None:
        return f"copy of {copy.source}"
    return f"hidden in {row.op}" if row is not None else "no row's"
