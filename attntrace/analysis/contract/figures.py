"""The numbers, the kernel and the warnings of a run against what is expected of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from attntrace.analysis.flops import not_counted, total_flops
from attntrace.analysis.kernel import KERNELS, MATH, STEPS, attention_kernel, fused_kernels
from attntrace.analysis.memory import memory_report
from attntrace.notation.units import counted, exact, nbytes_text
from attntrace.record import Trace
from attntrace.spec.expect.bounds import Bound
from attntrace.spec.expect.model import KernelIs, NoWarnings, Within
from attntrace.spec.expect.read import NBYTES

_WITH_GRAD = "{} was not measured, as nothing ran backward; set run.grad: true"
_NO_FORMULA = "{} were not counted: no op of this run has a formula"
_BY_HAND = "only scaled_dot_product_attention and nn.MultiheadAttention run a fused one"


class Figure(NamedTuple):
    """A number of a run, None where it was not measured, and the row that it stands at."""

    value: int | None
    row: int | None = None
    missing: str = ""


def _peak(trace: Trace) -> Figure:
    memory = memory_report(trace)
    return Figure(memory.peak_nbytes, memory.peak_at)


def _training_peak(trace: Trace) -> Figure:
    memory = memory_report(trace)
    return Figure(memory.training_peak_nbytes, memory.training_peak_at, _WITH_GRAD)


def _saved(trace: Trace) -> Figure:
    return Figure(memory_report(trace).saved_for_backward_nbytes, None, _WITH_GRAD)


def _flops(trace: Trace) -> Figure:
    uncounted = all(op.flops is None for op in trace.ops) and not_counted(trace.ops)
    return Figure(None if uncounted else total_flops(trace.ops), None, _NO_FORMULA)


_FIGURES: dict[str, Callable[[Trace], Figure]] = {
    "peak_memory": _peak,
    "training_peak_memory": _training_peak,
    "saved_for_backward": _saved,
    "parameters": lambda trace: Figure(trace.parameters),
    "flops": _flops,
}


def bound(expected: Within, trace: Trace) -> str:
    """Return by how much a number is out of its bound, "" where it is within."""
    name, limit = expected.name, expected.bound
    value, row, missing = _FIGURES[name](trace)
    if value is None:
        return missing.format(name)
    if limit.holds(value):
        return ""
    in_bytes = name in NBYTES
    text = nbytes_text if in_bytes else "{:,}".format
    apart = abs(value - limit.limit)
    by = f": {text(apart)} {'over' if value > limit.limit else 'under'}" if apart else ""
    at = f", at #{row} {trace.tensors[row].name}" if row is not None else ""
    is_now = exact(value) if in_bytes else text(value)
    return f"{name} is {is_now}, expected {_bound_text(limit)}{by}{at}"


def _bound_text(limit: Bound) -> str:
    written = str(limit).removeprefix("== ")
    rounded = any(letter.isalpha() for letter in written) and not written.endswith(" B")
    return f"{written} ({limit.limit:,} B)" if rounded else written


def kernel(expected: KernelIs, trace: Trace) -> str:
    """Return which attention kernel ran instead of those that may, and why; "" where they did."""
    wanted = expected.kernels
    wrong = [name for name in _kernels(trace) if not _fits(_word(name), wanted)]
    if not wrong:
        none_ran = "none" not in wanted and not _kernels(trace)
        return f"no attention ran, expected kernel {' or '.join(wanted)}" if none_ran else ""
    said = f"kernel is {' + '.join(map(_shown, wrong))}, expected {' or '.join(wanted)}"
    if "none" in wanted:
        return said
    reasons = [why for call in trace.attention if call.kernel in wrong for why in call.refused]
    return "; ".join([said, *dict.fromkeys(reasons or [_BY_HAND])])


def _kernels(trace: Trace) -> list[str]:
    """Return the kernels of all attention that ran, each once."""
    known = (*KERNELS.values(), MATH, STEPS)
    calls = [call.kernel for call in trace.attention if call.kernel in known]
    fused = fused_kernels(op for op in trace.ops if op.phase == "forward")
    by_hand = attention_kernel(trace)
    return list(dict.fromkeys([*fused, *calls])) or ([by_hand] if by_hand else [])


def _shown(name: str) -> str:
    return f"none fused ({STEPS})" if name == STEPS else name


def _word(name: str) -> str:
    """Return what `expect:` calls a kernel: "flash" of "flash (cpu)"."""
    return _shown(name).partition(" ")[0]


def _fits(word: str, wanted: tuple[str, ...]) -> bool:
    by_hand = word in ("none", "math")
    return (
        word in wanted
        or (word == "math" and "none" in wanted)
        or ("fused" in wanted and not by_hand)
    )


def warned(_expected: NoWarnings, trace: Trace) -> str:
    """Return the warnings of a run by name and line, and what each says; "" where there are none."""
    traps = trace.warnings
    if not traps:
        return ""
    names = (f"{trap.name} at {trap.source}" if trap.source else trap.name for trap in traps)
    return "\n".join(
        [f"{counted(len(traps), 'warning')}, expected none: {', '.join(names)}", *map(str, traps)]
    )
