"""The fused paths of `nn.MultiheadAttention` and `nn.TransformerEncoderLayer`, taken on meta.

Both look at the device of their weights, and on meta leave the path that they would take on the
device that the run speaks for. Here such a module's forward first runs on meta unnoted, and then
once more as that device runs it: that is what is noted, and what it returns. On meta, the first run
computes nothing.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import torch.nn.functional as F
from torch import nn
from torch.nn.modules.module import register_module_forward_hook, register_module_forward_pre_hook

from attntrace.capture.as_device.mode import DeviceCalls
from attntrace.capture.classes import watching_changes
from attntrace.capture.fence import on_meta_too, unhook
from attntrace.capture.hooks import ModuleWitness
from attntrace.capture.ledger import Ledger
from attntrace.capture.witnesses import KernelWitness

FUSED = (nn.MultiheadAttention.forward, nn.TransformerEncoderLayer.forward)


def has_fused_path(module: nn.Module) -> bool:
    """Whether a module's forward is one of these. The class of a scripted module has none."""
    return getattr(type(module), "forward", None) in FUSED


class DeviceModules:
    """Runs again, as the device would, what a module with a fused path has run on meta."""

    def __init__(self, calls: DeviceCalls, kernels: KernelWitness, modules: ModuleWitness) -> None:
        self.calls, self.kernels, self.modules = calls, kernels, modules
        self.ledger = kernels.ledger
        self.muted: nn.Module | None = None
        functional = SimpleNamespace(**vars(F))
        functional.multi_head_attention_forward = calls.instead[F.multi_head_attention_forward]
        self.forwards = {forward: on_meta_too(forward, functional) for forward in FUSED}

    @contextmanager
    def muting(self) -> Iterator[None]:
        """Note nothing from the beginning of a module with a fused path on."""
        hook = register_module_forward_pre_hook(self._mute)
        try:
            yield
        finally:
            hook.remove()

    @contextmanager
    def answering(self) -> Iterator[None]:
        """Return from such a module what the device's path returns."""
        hook = register_module_forward_hook(self._answer, with_kwargs=True, always_call=True)
        try:
            yield
        finally:
            unhook(hook)

    def _mute(self, module: nn.Module, args: Any) -> None:
        fused = has_fused_path(module) and watching_changes(module)
        if fused and self.muted is None:
            self.muted, self.modules.muted = module, True
            self.kernels.ledger = Ledger()

    def _answer(
        self, module: nn.Module, args: tuple[Any, ...], kwargs: Any, output: Any = None
    ) -> Any:  # where a forward raised, torch leaves `kwargs` out
        if self.muted is not module:
            return None
        self.muted, self.modules.muted = None, False
        self.kernels.ledger = self.ledger
        if output is None and sys.exception() is not None:
            return None
        with self.calls.aside():
            return self.forwards[type(module).forward](module, *args, **kwargs)
