"""Independent witnesses: the plainest recorders that torch allows, none of attntrace's code."""

from __future__ import annotations

from bisect import bisect
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import fields, is_dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.profiler import ProfilerActivity, profile
from torch.utils._python_dispatch import TorchDispatchMode


def flat(value: Any) -> Iterator[Tensor]:
    """Yield the tensors of nested tuples, lists and dataclasses."""
    if isinstance(value, Tensor):
        yield value
    elif is_dataclass(value):
        yield from flat([getattr(value, field.name) for field in fields(value)])
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


PRODUCTS = "addmm baddbmm bmm mm"
NORMS = (
    "native_batch_norm native_batch_norm_backward native_layer_norm_backward _safe_softmax "
    "_softmax_backward_data"
)
ATTENTION = (
    "_scaled_dot_product_flash_attention_for_cpu "
    "_scaled_dot_product_flash_attention_for_cpu_backward"
)
MAPS = "convolution convolution_backward im2col col2im"
ORDER = "embedding_dense_backward gather repeat repeat_interleave roll sort"
ELEMENTWISE = (
    "add add_ addcdiv_ addcmul_ div div_ eq ge gt le lerp_ lt mean mul mul_ ne pow remainder sub "
    "sub_ sum where"
)
"""These turn a Python number into a tensor, or an operand into another dtype, while they run."""
KERNELS = frozenset(
    f"aten::{name}"
    for names in (PRODUCTS, NORMS, ATTENTION, MAPS, ORDER, ELEMENTWISE)
    for name in names.split()
)
"""The kernels whose scratch is set apart: no mode sees what one of them frees before it is done."""
COPIES = {"aten::contiguous": "aten::native_layer_norm"}
"""Kernels of which only a copy of their operand is: `layer_norm` also frees what it returns, where
checkpointing interrupts it."""


NUMBER = 8
"""Bytes of the tensor that a Python number becomes for one op, before the op begins."""
BACKWARD = "backward of the step"
"""The name that a run gives to its backward with `record_function`, where it has one."""


Running = tuple[tuple[str, int], ...]
"""Events of the profiler that are open, from the outermost in: name and number."""


class Change(NamedTuple):
    """Memory that came, or went where `nbytes` is negative."""

    when: int
    address: int
    nbytes: int
    kernels: Running
    """Which kernels it is scratch of, if it goes while one of them runs."""
    running: Running
    in_op: bool


class Profile(NamedTuple):
    """What the profiler saw of one run: its peak, that without scratch, and scratch by kernel."""

    peak: int
    without_scratch: int
    forward: int
    """Without scratch, up to `BACKWARD`."""
    scratch: Counter[str]


def profiled(run: Callable[[], Any]) -> Profile:
    """Return the profiler's peaks of the CPU bytes that `run` allocates.

    Scratch is memory that a kernel of `KERNELS` allocated, and freed before it was done: the same
    address, inside one call of it; and a Python number that is gone after its op.
    """
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as seen:
        run()
    tree = seen.profiler.kineto_results.experimental_event_tree()
    changes = sorted((c for root in tree for c in _changes(root, (), ())), key=lambda c: c.when)
    backward = min((e.start_time_ns for e in tree if e.name == BACKWARD), default=changes[-1].when)
    scratch: dict[int, str] = {}
    alive: dict[int, int] = {}
    begun = sorted(start for root in tree for start in _ops(root))
    for number, change in enumerate(changes):
        if change.nbytes > 0:
            alive[change.address] = number
        elif change.address in alive:
            born = alive.pop(change.address)
            first = changes[born]
            ops = bisect(begun, change.when) - bisect(begun, first.when)
            if set(first.kernels) & set(change.running):
                scratch[born] = scratch[number] = first.kernels[0][0]
            elif first.nbytes == NUMBER and not first.in_op and ops <= 1:
                scratch[born] = scratch[number] = "a number"
    seen_by_modes = [change for number, change in enumerate(changes) if number not in scratch]
    return Profile(
        _highest(change.nbytes for change in changes),
        _highest(change.nbytes for change in seen_by_modes),
        _highest(change.nbytes for change in seen_by_modes if change.when <= backward),
        Counter(name for number, name in scratch.items() if changes[number].nbytes > 0),
    )


def profiled_peak(run: Callable[[], Any]) -> tuple[int, int]:
    """Return the profiler's peak of the CPU bytes that `run` allocates, with and without scratch."""
    seen = profiled(run)
    return seen.peak, seen.without_scratch


def _changes(event: Any, kernels: Running, running: Running) -> Iterator[Change]:
    """Yield what an event of the profiler's tree, and those below it, allocated and freed."""
    parent = event.parent
    if event.tag.name == "Allocation":
        memory = event.extra_fields
        in_op = parent is not None and parent.name.startswith("aten::")
        when, nbytes = event.start_time_ns, memory.alloc_size
        yield Change(when, memory.ptr, nbytes, kernels, running, in_op)
    running = (*running, (event.name, event.id))
    if event.name in KERNELS:
        kernels = (*kernels, (event.name, event.id))
    elif parent is not None and COPIES.get(event.name) == parent.name:
        kernels = (*kernels, (parent.name, parent.id))
    for child in event.children:
        yield from _changes(child, kernels, running)


def _ops(event: Any) -> Iterator[int]:
    """Yield when each op began that no other op ran."""
    if event.name.startswith("aten::"):
        yield event.start_time_ns
    else:
        for child in event.children:
            yield from _ops(child)


def _highest(changes: Iterable[int]) -> int:
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

    hooks = [name for name in vars(module) if name.startswith("_global_") and "hooks" in name]
    return (
        [len(getattr(module, name)) for name in hooks],
        tuple(_get_current_function_mode_stack()),
        tuple(_get_current_dispatch_mode_stack()),
        torch.is_grad_enabled(),
        torch.get_rng_state().tolist(),
    )
