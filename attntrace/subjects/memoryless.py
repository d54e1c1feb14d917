"""Building code of the user's own without memory, and copies that the original does not feel."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import nn
from torch.overrides import TorchFunctionMode

from attntrace.capture.shortcuts import Uninitialized
from attntrace.capture.twin import on_meta

MOST_CALLS = 100_000
"""Of torch's in a build with other sizes, a second or two: a number may say how many layers there
are. A count, and no time, so that it ends alike on every machine."""

_LARGE: frozenset[Any] = frozenset(
    {torch.empty, torch.zeros, torch.ones, torch.full, torch.rand, torch.randn, torch.eye}
    | {torch.empty_strided, torch.randint, torch.normal}
)


class OnlyNumbers(TorchFunctionMode):
    """Makes tensors on meta, but for those that code takes numbers from, such as a linspace."""

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        """Run a call; without memory where it only fills a tensor."""
        del types
        kwargs = kwargs or {}
        if func in _LARGE and kwargs.get("device") is None and "out" not in kwargs:
            kwargs = {**kwargs, "device": "meta"}
        return func(*args, **kwargs)


class Briefly(Uninitialized):
    """Fills nothing, and raises RuntimeError from a call of torch's after `MOST_CALLS`."""

    def __init__(self) -> None:
        super().__init__()
        self.calls = 0

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Run a call, if there were not too many."""
        self.calls += 1
        if self.calls > MOST_CALLS:
            raise RuntimeError(f"more than {MOST_CALLS:,} calls of torch's")
        return super().__torch_function__(func, types, args, kwargs)


def unshared(value: Any) -> Any:
    """Return what a target's name stands for: a module, or a tuple with one, as a copy on meta.

    What the copy notes down or counts in its forward, the original does not have.
    """
    if isinstance(value, nn.Module):
        return on_meta((value, (), {}))[0]
    if isinstance(value, tuple | list) and value and isinstance(value[0], nn.Module):
        subject, rest, _ = on_meta((value[0], tuple(value[1:]), {}))
        return subject, *rest
    return value
