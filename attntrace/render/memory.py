"""The lines below the table that say what memory a run took."""

from __future__ import annotations

from collections.abc import Iterator

from attntrace.analysis.kernel import fused_kernels, keeps_scores
from attntrace.analysis.memory import MemoryReport, kinds_at, peak_of
from attntrace.record import Trace
from attntrace.render.copies import hidden_copies
from attntrace.render.units import exact, nbytes_text


def memory_lines(memory: MemoryReport, trace: Trace) -> Iterator[tuple[str, str]]:
    """Yield the labelled lines of a report, those of training where backward was followed."""
    yield "parameters", f"{memory.parameters:,} = {exact(memory.parameters_nbytes)}"
    if memory.buffers_nbytes:
        yield "buffers", exact(memory.buffers_nbytes)
    yield "inputs", exact(memory.inputs_nbytes)
    yield "allocated", _allocated(memory)
    hidden = hidden_copies(trace)
    if hidden is not None:
        yield "copies", hidden
    yield "peak", _peak(memory, trace)
    if memory.training_peak_nbytes is not None:
        yield "training peak", _training_peak(memory.training_peak_nbytes, trace)
        yield "alive there", _kinds(trace)
    if memory.saved_for_backward_nbytes is not None:
        saved = exact(memory.saved_for_backward_nbytes)
        yield "for backward", f"{saved} kept by autograd, parameters apart"
    if memory.gradients_nbytes is not None:
        yield "gradients", f"{exact(memory.gradients_nbytes)} of parameters"
    if memory.optimizer_nbytes is not None:
        yield "optimizer", f"{exact(memory.optimizer_nbytes)} of state"


def _allocated(memory: MemoryReport) -> str:
    rows, hidden = memory.allocated_nbytes, memory.hidden_nbytes
    total = f" = {exact(rows + hidden)}" if hidden else ""
    return f"{exact(rows)} new in rows + {nbytes_text(hidden)} hidden inside ops{total}"


def _peak(memory: MemoryReport, trace: Trace) -> str:
    hides_scores = any(keeps_scores(kernel) for kernel in fused_kernels(trace.ops))
    least = "at least " if memory.not_counted and hides_scores else ""
    place = _place(memory.peak_at, trace)
    return f"{least}{exact(memory.peak_nbytes)} at once above parameters and inputs{place}"


def _training_peak(nbytes: int, trace: Trace) -> str:
    peak = peak_of(trace)
    row = peak.row if peak else None
    where = f", in {peak.phase}" if peak and row is None else _place(row, trace)
    state = ", optimizer" if "optimizer" in trace.began else ""
    return f"{exact(nbytes)} at once above parameters{state} and inputs{where}"


def _place(row: int | None, trace: Trace) -> str:
    return f", at #{row} {trace.tensors[row].name}" if row is not None else ""


def _kinds(trace: Trace) -> str:
    peak = peak_of(trace)
    kinds = kinds_at(trace, peak) if peak else {}
    return ", ".join(f"{kind} {nbytes_text(nbytes)}" for kind, nbytes in kinds.items())
