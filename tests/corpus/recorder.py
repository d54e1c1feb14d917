"""The judge of the corpus: recorders, walks and states of its own, none of attntrace's code."""

from __future__ import annotations

import gc
import random
import sys
import threading
import warnings
import weakref
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from types import GeneratorType
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules import module as module_of_torch
from torch.overrides import TorchFunctionMode, _get_current_function_mode_stack
from torch.utils._python_dispatch import TorchDispatchMode, _get_current_dispatch_mode_stack

import attntrace
from tests.corpus.case import Case, Given

Seen = tuple[str, str, str]
"""Of a tensor that came out of something: by what, its shape, its dtype."""


def fact(name: str, tensor: Tensor) -> Seen:
    """Return what two recorders can be compared by; a shape that is no numbers is None."""
    try:
        shape = str(tuple(tensor.shape))
    except RuntimeError:
        shape = "None"
    return name, "None" if "j" in shape else shape, str(tensor.dtype).removeprefix("torch.")


def returned(value: Any) -> Iterator[Tensor]:
    """Yield the tensors that a call of torch's returned."""
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, (tuple, list)):
        for item in value:
            yield from returned(item)
    elif isinstance(value, dict):
        yield from returned(list(value.values()))


class Calls(TorchFunctionMode):
    """Counts the tensors that each outermost Python-level call returned, and their lives."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: Counter[Seen] = Counter()
        self.alive: list[weakref.ref[Tensor]] = []

    def __torch_function__(self, func, types, args=(), kwargs=None):
        out = func(*args, **(kwargs or {}))
        name = getattr(func, "__name__", type(func).__name__)
        if name == "__get__":
            name = func.__self__.__name__
        name = name.strip("_") if name.startswith("__") else name
        for tensor in returned(out):
            self.seen[fact(name, tensor)] += 1
            self.alive.append(weakref.ref(tensor))
        return out


class Ops(TorchDispatchMode):
    """Counts the tensors that each dispatched op returned, and their lives."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: Counter[Seen] = Counter()
        self.alive: list[weakref.ref[Tensor]] = []

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        if torch.is_inference_mode_enabled():  # there composite ops come whole
            with self:
                parts = func.decompose(*args, **(kwargs or {}))
            if parts is not NotImplemented:
                return parts
        out = func(*args, **(kwargs or {}))
        for tensor in returned(out):
            self.seen[fact(str(func), tensor)] += 1
            self.alive.append(weakref.ref(tensor))
        return out


def tensors_of(value: Any, seen: set[int] | None = None) -> list[Tensor]:
    """Return each tensor in a structure once, wherever it is; a generator is left unread."""
    seen = set() if seen is None else seen
    if id(value) in seen or isinstance(value, (nn.Module, type, GeneratorType)) or callable(value):
        return []
    seen.add(id(value))
    if isinstance(value, Tensor):
        return [value]
    if isinstance(value, (str, bytes, int, float)) or value is None:
        return []
    return [tensor for part in parts_of(value) for tensor in tensors_of(part, seen)]


def parts_of(value: Any) -> list[Any]:
    """Return what is in a container or in an object's attributes."""
    if isinstance(value, dict):
        return list(value.values())
    if isinstance(value, (tuple, list, set, frozenset)) or type(value).__name__ == "deque":
        return list(value)
    slots = [getattr(value, name, None) for name in getattr(type(value), "__slots__", ())]
    return [*vars(value).values(), *slots] if hasattr(value, "__dict__") else slots


def dense(tensor: Tensor) -> list[Tensor]:
    """Return the plain tensors that a tensor of whatever layout consists of."""
    tensor = tensor.detach()
    if tensor.is_nested:
        return [part.clone() for part in tensor.unbind()]
    if tensor.is_quantized:
        tensor = tensor.dequantize()
    if tensor.layout is not torch.strided:
        tensor = tensor.to_dense()
    if tensor.dtype is torch.float8_e4m3fn:
        tensor = tensor.float()
    return [tensor.as_subclass(Tensor).clone()]


def assert_same(found: list[Tensor], wanted: list[Tensor]) -> None:
    """Assert that tensors are equal to the bit, in layout, dtype and need of a gradient, too."""
    assert len(found) == len(wanted)
    for ours, theirs in zip(found, wanted, strict=True):
        kinds = [
            (type(t), t.dtype, t.layout, t.device, t.requires_grad, t.is_inference())
            for t in (ours, theirs)
        ]
        assert kinds[0] == kinds[1]
        for left, right in zip(dense(ours), dense(theirs), strict=True):
            torch.testing.assert_close(left, right, rtol=0, atol=0, equal_nan=True)


class Run:
    """One run of a case from a fixed random state: `call` gets the target and its arguments."""

    def __init__(self, case: Case, call: Callable[..., Any]) -> None:
        seed(5)
        self.target = case.make()
        self.given: Given = case.given()
        seed(7)
        self.output = call(self.target, *self.given.args, **self.given.kwargs)
        self.process = process_state()

    def outputs(self) -> list[Tensor]:
        """Return the tensors of the output; of a generator those that it yields."""
        out = list(self.output) if isinstance(self.output, GeneratorType) else self.output
        return tensors_of([out] if callable(out) and isinstance(out, Tensor) else out)

    def state(self) -> list[Tensor]:
        """Return the tensors of the target and of what it was given, as they are afterwards."""
        kept = [vars(part) for part in self.modules()] or [getattr(self.target, "__dict__", {})]
        return tensors_of([kept, list(self.given.args), self.given.kwargs])

    def modules(self) -> list[nn.Module]:
        """Return the modules of the target."""
        return list(self.target.modules()) if isinstance(self.target, nn.Module) else []

    def shape(self) -> list[Any]:
        """Return what the modules look like beside their tensors: classes, attributes, hooks."""
        return [
            (
                type(part).__name__, part.training, sorted(vars(part)),
                [len(value) for name, value in vars(part).items() if "hooks" in name],
            )
            for part in self.modules()
        ]  # fmt: skip


def bare(case: Case) -> Run:
    """Return a run that nobody watches."""
    return Run(case, lambda target, *args, **kwargs: target(*args, **kwargs))


def recorded(case: Case, witness: Calls | Ops) -> Counter[Seen]:
    """Return what a recorder counts in a run."""

    def call(target: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        with witness:
            return target(*args, **kwargs)

    Run(case, call)
    return witness.seen


def traced(case: Case, *around: Calls | Ops) -> tuple[Run, attntrace.Trace]:
    """Return a run that attntrace watches, and the trace."""
    traces = []

    def call(target: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        with ExitStack() as stack:
            for witness in around:
                stack.enter_context(witness)
            traces.append(attntrace.trace(target, *args, **kwargs))
        return traces[0].output

    return Run(case, call), traces[0]


def seed(number: int) -> None:
    """Put the random generators into a known state."""
    torch.manual_seed(number)
    random.seed(number)


def process_state() -> dict[str, Any]:
    """Return everything process-wide that a trace must leave as it was."""
    hooks = [n for n in vars(module_of_torch) if n.startswith("_global_") and "hooks" in n]
    return {
        "hooks": {name: len(getattr(module_of_torch, name)) for name in hooks},
        "function modes": list(_get_current_function_mode_stack()),
        "dispatch modes": list(_get_current_dispatch_mode_stack()),
        "grad": torch.is_grad_enabled(),
        "inference": torch.is_inference_mode_enabled(),
        "anomaly": torch.is_anomaly_enabled(),
        "autocast": (torch.is_autocast_enabled("cpu"), torch.get_autocast_dtype("cpu")),
        "default dtype": torch.get_default_dtype(),
        "default device": torch.get_default_device(),
        "deterministic": torch.are_deterministic_algorithms_enabled(),
        "fast path": torch.backends.mha.get_fastpath_enabled(),
        "kernels": (
            torch.backends.cuda.flash_sdp_enabled(),
            torch.backends.cuda.math_sdp_enabled(),
        ),
        "torch's random state": torch.get_rng_state().tolist(),
        "python's random state": random.getstate(),
        "warnings": list(warnings.filters),
        "collector": (gc.get_threshold(), gc.isenabled(), list(gc.callbacks)),
        "threads": threading.active_count(),
        "tracers": (sys.gettrace(), sys.getprofile(), threading.gettrace()),
        "compiler": _stance(),
    }


def _stance() -> str:
    """Return what torch.compile is set to do, where it is loaded."""
    frame = sys.modules.get("torch._dynamo.eval_frame")
    return str(frame._stance.stance) if frame else "default"
