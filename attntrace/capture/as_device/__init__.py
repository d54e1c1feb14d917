"""What a run on meta shows is what the device that it speaks for would: see `mode.py`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from attntrace.analysis.paths import Hardware
from attntrace.capture.as_device import cpu, cuda
from attntrace.capture.as_device.calls import calls_on
from attntrace.capture.as_device.mode import DeviceKernels
from attntrace.capture.as_device.modules import DeviceModules
from attntrace.capture.attention import enabled_kernels
from attntrace.capture.hooks import ModuleWitness
from attntrace.capture.witnesses import KernelWitness
from attntrace.record import Device

NEW_CUDNN = 91600
"""The first version whose attention torch takes."""
KERNELS = {"cpu": cpu.KERNELS, "cuda": cuda.KERNELS}


@contextmanager
def run_as(device: Device, kernels: KernelWitness, modules: ModuleWitness) -> Iterator[None]:
    """Attach the witness of modules, and let what runs on meta run as it would on `device`."""
    hardware = hardware_named(device)
    modules.calls.attention.hardware = hardware
    runner = kernels.runner = DeviceKernels(KERNELS[device])
    calls = calls_on(hardware, runner)
    own = DeviceModules(calls, kernels, modules)
    with calls.attached(), own.answering(), modules.attached(), own.muting():
        yield


def hardware_named(device: Device) -> Hardware:
    """Return a CPU, or the GPU of this machine; without one, a GPU as the A100."""
    enabled = enabled_kernels()
    if device == "cpu" or not torch.cuda.is_available():
        return Hardware(device=device, enabled=enabled)
    version = torch.backends.cudnn.version()  # type: ignore[no-untyped-call]
    if (version or 0) < NEW_CUDNN:
        enabled -= {"cudnn"}
    return Hardware(device=device, enabled=enabled, capability=torch.cuda.get_device_capability())
