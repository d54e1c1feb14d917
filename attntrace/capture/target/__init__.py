"""What a run on meta shows is what its target would: see `mode.py`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from attntrace.analysis.paths import Target
from attntrace.capture.attention import enabled_kernels
from attntrace.capture.hooks import ModuleWitness
from attntrace.capture.target import cpu, cuda
from attntrace.capture.target.calls import calls_on
from attntrace.capture.target.mode import TargetKernels
from attntrace.capture.target.modules import TargetModules
from attntrace.capture.witnesses import KernelWitness
from attntrace.record import Device

NEW_CUDNN = 91600
"""The first version whose attention torch takes."""
KERNELS = {"cpu": cpu.KERNELS, "cuda": cuda.KERNELS}


@contextmanager
def run_as(device: Device, kernels: KernelWitness, modules: ModuleWitness) -> Iterator[None]:
    """Attach the witness of modules, and let what runs on meta run as it would on `device`."""
    target = target_named(device)
    modules.calls.attention.target = target
    runner = kernels.runner = TargetKernels(KERNELS[device])
    calls = calls_on(target, runner)
    own = TargetModules(calls, kernels, modules)
    with calls.attached(), own.answering(), modules.attached(), own.muting():
        yield


def target_named(device: Device) -> Target:
    """Return a CPU, or the GPU of this machine; without one, a GPU as the A100."""
    enabled = enabled_kernels()
    if device == "cpu" or not torch.cuda.is_available():
        return Target(device=device, enabled=enabled)
    version = torch.backends.cudnn.version()  # type: ignore[no-untyped-call]
    if (version or 0) < NEW_CUDNN:
        enabled -= {"cudnn"}
    return Target(device=device, enabled=enabled, capability=torch.cuda.get_device_capability())
