"""The line above the table and the lines below it."""

from __future__ import annotations

from dataclasses import dataclass

from attntrace.analysis.cache import CacheReport, cache_report
from attntrace.analysis.flops import CONVENTION, not_counted, total_flops
from attntrace.analysis.kernel import attention_kernel, fused_kernels, keeps_scores
from attntrace.analysis.memory import MemoryReport, memory_report
from attntrace.record import Environment, Trace
from attntrace.render.units import exact, nbytes_text


@dataclass(frozen=True, slots=True)
class Footer:
    """Labelled lines, and the row where the memory stood highest."""

    lines: tuple[tuple[str, str], ...]
    peak_at: int | None


def heading(trace: Trace) -> str:
    """Return the mode line: block, sizes, mode, implementation, kernel, device, dtype, torch."""
    where = trace.environment
    spec = trace.spec or {}
    sizes = " ".join(f"{name} {size}" for name, size in trace.sizes.items())
    attention = spec.get("attention", {})
    kernel = attention_kernel(trace)
    parts = [
        f"{spec.get('block', trace.subject)}{': ' if sizes else ''}{sizes}",
        ", ".join(_modes(where)),
        f"impl {attention['impl']}" if attention else "",
        f"kernel {kernel}" if kernel else "",
        where.device
        if where.device_name in ("", where.device)
        else f"{where.device} ({where.device_name})",
        where.dtype or "",
        f"torch {where.torch}",
    ]
    return " | ".join(part for part in parts if part)


def _modes(where: Environment) -> list[str]:
    modes = [] if where.training is None else ["train" if where.training else "eval"]
    modes.append("inference mode" if where.inference else "grad" if where.grad else "no grad")
    return [*modes, f"autocast {where.autocast}"] if where.autocast else modes


def footer(trace: Trace) -> Footer:
    """Return what the run cost, and what of that is not counted."""
    memory = memory_report(trace)
    uncounted = not_counted(trace.ops)
    lines = [
        ("parameters", f"{memory.parameters:,} = {exact(memory.parameters_nbytes)}"),
        ("inputs", exact(memory.inputs_nbytes)),
        ("allocated", _allocated(memory)),
        ("peak", _peak(memory, trace)),
        ("FLOPs", _flops(trace)),
        ("not counted", "; ".join([*_uncounted_flops(uncounted), *memory.not_counted])),
    ]
    if memory.buffers_nbytes:
        lines.insert(1, ("buffers", exact(memory.buffers_nbytes)))
    if memory.saved_for_backward_nbytes is not None:
        saved = f"{exact(memory.saved_for_backward_nbytes)} kept by autograd, parameters apart"
        lines.insert(-2, ("for backward", saved))
    cache = cache_report(trace)
    if cache is not None:
        lines.insert(-2, ("cache", _cache(cache)))
    notes = (*_kernel_notes(trace), *_module_notes(trace), *trace.notes)
    lines += [("note", note) for note in notes]
    return Footer(tuple(lines), memory.peak_at)


def _cache(cache: CacheReport) -> str:
    layers = "1 layer" if cache.layers == 1 else f"{cache.layers} layers"
    kept = f", of which a sliding window keeps {cache.kept}" if cache.kept < cache.tokens else ""
    return (
        f"{cache.token_nbytes:,} B a token over {layers}; {exact(cache.nbytes)} for the "
        f"{cache.tokens} tokens of each sequence{kept}"
    )


def _kernel_notes(trace: Trace) -> list[str]:
    """Return what a fused kernel keeps to itself."""
    return [
        f"{kernel} holds q, k, v and all scores in scratch of its own: the peak is above this one"
        if keeps_scores(kernel)
        else f"the scores were never a tensor: {kernel} computes them piece by piece inside"
        for kernel in fused_kernels(trace)
    ]


def _module_notes(trace: Trace) -> list[str]:
    """Return what is to be said of modules, once for all that it is true of."""
    places: dict[str, list[str]] = {}
    for module in trace.modules:
        if module.note:
            places.setdefault(module.note, []).append(module.path or module.type)
    return [f"{', '.join(dict.fromkeys(where))}: {note}" for note, where in places.items()]


def _allocated(memory: MemoryReport) -> str:
    rows, hidden = memory.allocated_nbytes, memory.hidden_nbytes
    total = f" = {exact(rows + hidden)}" if hidden else ""
    return f"{exact(rows)} new in rows + {nbytes_text(hidden)} hidden inside ops{total}"


def _peak(memory: MemoryReport, trace: Trace) -> str:
    at = memory.peak_at
    place = f", at #{at} {trace.tensors[at].name}" if at is not None else ""
    least = "at least " if any(keeps_scores(kernel) for kernel in fused_kernels(trace)) else ""
    return f"{least}{exact(memory.peak_nbytes)} at once above parameters and inputs{place}"


def _flops(trace: Trace) -> str:
    if all(op.flops is None for op in trace.ops) and not_counted(trace.ops):
        return "not counted: no op of this run has a formula"
    return f"{total_flops(trace.ops):,} ({CONVENTION})"


def _uncounted_flops(names: tuple[str, ...]) -> list[str]:
    return [f"FLOPs of {', '.join(names)}"] if names else []
