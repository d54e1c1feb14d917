"""What a run depends on besides the code: versions, device, modes."""

from __future__ import annotations

import platform
from collections.abc import Sequence
from functools import lru_cache

import torch
from torch import nn

from attntrace.capture.describe import device_name, dtype_name
from attntrace.capture.drafts import Row
from attntrace.record import Device, Environment
from attntrace.version import __version__


def environment(
    subject: object, inputs: Sequence[Row], as_device: Device | None = None
) -> Environment:
    """Return the environment that `subject` is about to run in, given the rows of its inputs.

    A run on meta speaks for `as_device`, for a CPU where that is None.
    """
    first = inputs[0] if inputs else None
    device = first.device if first is not None else torch.get_default_device()
    return Environment(
        attntrace=__version__,
        torch=str(torch.__version__),
        python=platform.python_version(),
        device=device_name(device),
        device_name=_chip(device),
        dtype=dtype_name(first.dtype) if first is not None else None,
        training=subject.training if isinstance(subject, nn.Module) else None,
        grad=torch.is_grad_enabled(),
        inference=torch.is_inference_mode_enabled(),
        autocast=_autocast(device.type),
        as_device=as_device or "cpu" if device.type == "meta" else None,
    )


def _autocast(device: str) -> str | None:
    if device == "meta" or not torch.is_autocast_enabled(device):
        return None
    return dtype_name(torch.get_autocast_dtype(device))


@lru_cache(maxsize=16)
def _chip(device: torch.device) -> str:
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return platform.machine() if device.type == "cpu" else device.type
