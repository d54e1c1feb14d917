"""Independent witnesses: the plainest recorders that torch allows, none of attntrace's code."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.profiler import ProfilerActivity, profile
from torch.utils._python_dispatch import TorchDispatchMode


def flat(value: Any) -> Iterator[Tensor]:
    """Yield the tensors of nested tuples and lists."""
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, tuple | list):
        for item in value:
            yield from flat(item)


def facts(name: str, tensor: Tensor) -> tuple[str, tuple[int, ...], str]:
    """Return what two recorders can be compared by."""
    return name, tuple(tensor.shape), str(tensor.dtype).removeprefix("torch.")


class Calls(TorchFunctionMode):
    """Counts the tensors that each outermost Python-level call returned."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: Counter[tuple[str, tuple[int, ...], str]] = Counter()

    def __torch_function__(self, func, types, args=(), kwargs=None):
        out = func(*args, **(kwargs or {}))
        name = func.__name__
        if name == "__get__":
            name = func.__self__.__name__
        self.seen.update(facts(name.strip("_") if "__" in name else name, t) for t in flat(out))
        return out


class Ops(TorchDispatchMode):
    """Counts the tensors that each dispatched op returned."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: Counter[tuple[str, tuple[int, ...], str]] = Counter()

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        out = func(*args, **(kwargs or {}))
        self.seen.update(facts(str(func), t) for t in flat(out))
        return out


def profiled_peak(run: Callable[[], Any]) -> tuple[int, int]:
    """Return the profiler's peak of the CPU bytes that `run` allocates, with and without scratch.

    Scratch is what was allocated and freed inside one dispatched op: no mode can see it.
    """
    with Ops() as dispatched:
        run()
    names = {name.replace("aten.", "aten::").rpartition(".")[0] for name, _, _ in dispatched.seen}
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as seen:
        run()
    events = seen.profiler.kineto_results.events()
    memory = sorted((e for e in events if e.name() == "[memory]"), key=lambda e: e.start_ns())
    spans = [(e.start_ns(), e.start_ns() + e.duration_ns()) for e in events if e.name() in names]
    scratch = _freed_inside(memory, spans)
    peak = _highest([e.nbytes() for e in memory])
    return peak, _highest([e.nbytes() for n, e in enumerate(memory) if n not in scratch])


def _freed_inside(memory: list[Any], spans: list[tuple[int, int]]) -> set[int]:
    """Return the numbers of the events that are an allocation and its free within one span."""
    scratch: set[int] = set()
    for begin, end in spans:
        inside = [n for n, e in enumerate(memory) if begin <= e.start_ns() <= end]
        for free in [n for n in inside if memory[n].nbytes() < 0]:
            size = -memory[free].nbytes()
            for born in reversed(inside):
                if born < free and born not in scratch and memory[born].nbytes() == size:
                    scratch |= {born, free}
                    break
    return scratch


def _highest(changes: list[int]) -> int:
    alive = peak = 0
    for change in changes:
        alive += change
        peak = max(peak, alive)
    return peak


def watched_state() -> tuple[Any, ...]:
    """Return what a trace must leave as it was: hooks, modes, grad mode, random state."""
    from torch.nn.modules import module
    from torch.overrides import _get_current_function_mode_stack
    from torch.utils._python_dispatch import _get_current_dispatch_mode_stack

    return (
        len(module._global_forward_hooks),
        len(module._global_forward_pre_hooks),
        len(module._global_forward_hooks_always_called),
        tuple(_get_current_function_mode_stack()),
        tuple(_get_current_dispatch_mode_stack()),
        torch.is_grad_enabled(),
        torch.get_rng_state().tolist(),
    )
