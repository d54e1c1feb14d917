"""A run on meta that speaks for another device: what torch decides by device is decided for it.

Two layers: Python-level calls that would run other ops on that device are replaced by these ops, and
of the ops whose meta kernel makes other outputs than that device's kernel, the outputs are made as
the device makes them. Nothing of this is there in a run that is not on meta.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

from attntrace.capture.as_device.pointwise import is_pointwise, pointwise
from attntrace.capture.as_device.shared import ANYWHERE

READ = torch.ops.aten._local_scalar_dense.default
Calls = Mapping[Any, Callable[..., Any]]


class DeviceCalls(TorchFunctionMode):
    """Replaces calls. It lies below the mode that watches, and sees more: also calls inside."""

    def __init__(self, instead: Calls) -> None:
        super().__init__()
        self.instead = instead
        self.on = False

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        """Run the call, or what stands in for it."""
        return self.instead.get(func, func)(*args, **(kwargs or {}))

    @contextmanager
    def attached(self) -> Iterator[None]:
        """Lie on the stack of modes."""
        before, self.on = self.on, True
        try:
            with self:
                yield
        finally:
            self.on = before

    @contextmanager
    def aside(self) -> Iterator[None]:
        """Leave the stack of modes for a while; it must be the innermost."""
        if not self.on:
            yield
            return
        self.__exit__(None, None, None)  # type: ignore[no-untyped-call]
        self.on = False
        try:
            yield
        finally:
            self.__enter__()  # type: ignore[no-untyped-call]
            self.on = True


class DeviceKernels:
    """Runs ops as the device's kernels would, as far as their outputs go."""

    def __init__(self, instead: Calls) -> None:
        self.instead = {**ANYWHERE, **instead, READ: self._read}
        self._value: int | None = None

    @contextmanager
    def reading(self, value: int) -> Iterator[None]:
        """Let a tensor that is read have this value; else reading one on meta is an error."""
        self._value = value
        try:
            yield
        finally:
            self._value = None

    def _read(self, tensor: Tensor) -> Any:
        return READ(tensor) if self._value is None else self._value

    def call(self, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Return what an op makes of its arguments."""
        run = self.instead.get(func)
        if run is None:
            run = self.instead[func] = pointwise(func) if is_pointwise(func) else func
        return run(*args, **kwargs)
