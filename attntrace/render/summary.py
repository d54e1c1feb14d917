"""The line above the table and the lines below it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import get_args

from attntrace.analysis.cache import CacheReport, cache_report
from attntrace.analysis.flops import CONVENTION, not_counted, total_flops
from attntrace.analysis.kernel import attention_kernel
from attntrace.analysis.memory import memory_report
from attntrace.record import Environment, Phase, Trace
from attntrace.render.memory import memory_lines
from attntrace.render.notes import notes
from attntrace.render.units import exact


@dataclass(frozen=True, slots=True)
class Footer:
    """Labelled lines, and the rows where memory stood highest: of the forward, and of training."""

    lines: tuple[tuple[str, str], ...]
    peaks: tuple[int | None, ...]


def heading(trace: Trace) -> str:
    """Return the mode line: block, sizes, mode, implementation, kernel, device, dtype, torch."""
    where = trace.environment
    spec = trace.spec or {}
    sizes = " ".join(f"{name} {size}" for name, size in trace.sizes.items())
    attention = spec.get("attention", {})
    kernel = attention_kernel(trace)
    parts = [
        f"{spec.get('block', trace.subject)}{': ' if sizes else ''}{sizes}",
        ", ".join(modes(where)),
        f"impl {attention['impl']}" if attention else "",
        f"kernel {kernel}" if kernel else "",
        _device(where),
        where.dtype or "",
        f"torch {where.torch}",
    ]
    return " | ".join(part for part in parts if part)


def _device(where: Environment) -> str:
    """Return the device, with its chip, or with what a run on meta speaks for."""
    if where.as_device is not None:
        return f"{where.device} as {where.as_device}"
    named = where.device_name not in ("", where.device)
    return f"{where.device} ({where.device_name})" if named else where.device


def modes(where: Environment) -> list[str]:
    """Return how modules ran, in a word each: train or eval, grad or not, autocast."""
    modes = [] if where.training is None else ["train" if where.training else "eval"]
    modes.append("inference mode" if where.inference else "grad" if where.grad else "no grad")
    return [*modes, f"autocast {where.autocast}"] if where.autocast else modes


def footer(trace: Trace) -> Footer:
    """Return what the run cost, and what of that is not counted."""
    memory = memory_report(trace)
    cache = cache_report(trace)
    uncounted = [*memory.not_counted]
    if names := not_counted(trace.ops):
        uncounted.insert(0, f"FLOPs of {', '.join(names)}")
    lines = (
        *memory_lines(memory, trace),
        *([("cache", _cache(cache))] if cache is not None else []),
        ("FLOPs", _flops(trace)),
        *([("not counted", "; ".join(uncounted))] if uncounted else []),
        *(("note", note) for note in notes(trace)),
    )
    return Footer(lines, (memory.peak_at, memory.training_peak_at))


def _cache(cache: CacheReport) -> str:
    layers = "1 layer" if cache.layers == 1 else f"{cache.layers} layers"
    kept = f", of which a sliding window keeps {cache.kept}" if cache.kept < cache.tokens else ""
    return (
        f"{cache.token_nbytes:,} B a token over {layers}; {exact(cache.nbytes)} for the "
        f"{cache.tokens} tokens of each sequence{kept}"
    )


def _flops(trace: Trace) -> str:
    if all(op.flops is None for op in trace.ops) and not_counted(trace.ops):
        return "not counted: no op of this run has a formula"
    if all(op.phase == "forward" for op in trace.ops):
        return f"{total_flops(trace.ops):,} ({CONVENTION})"
    sums = ((phase, total_flops(trace.ops, phase)) for phase in get_args(Phase))
    parts = [f"{flops:,} {phase}" for phase, flops in sums if flops]
    return f"{' + '.join(parts)} ({CONVENTION})"
