"""Bringing what was made to its device, number format and mode, without touching what others hold."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import replace
from itertools import chain
from typing import Any

import torch
from torch import Tensor, nn

from attntrace.capture.structure import tensors_in
from attntrace.errors import BuildError
from attntrace.spec import Subject
from attntrace.subjects.faults import blamed
from attntrace.subjects.make import Made

_TO_META = "{} cannot be copied ({}); name a class or a function that makes it instead"


def placed(made: Made, subject: Subject) -> Made:
    """Return what was made on the device of the run, in its dtype and mode, where they are said.

    A module that others hold is copied first, where it has to change: only its weights move.
    """
    run = subject.run
    dtype = getattr(torch, run.dtype) if subject.says("dtype") else None
    device = torch.device(run.device) if subject.says("device") else None
    call = made.call
    with blamed(f"it could not be brought to {run.device}, {run.dtype}"):
        if isinstance(call, nn.Module):
            call = _module(made, subject, device, dtype)
        args = tuple(_moved(value, device, dtype) for value in made.args)
        kwargs = {name: _moved(value, device, dtype) for name, value in made.kwargs.items()}
    return replace(made, call=call, args=args, kwargs=kwargs)


def _module(
    made: Made, subject: Subject, device: torch.device | None, dtype: torch.dtype | None
) -> nn.Module:
    module, training = made.call, subject.run.mode == "train"
    assert isinstance(module, nn.Module)
    sets_mode = subject.says("mode") or not made.keeps_mode
    tensors = list(chain(module.parameters(), module.buffers()))
    moves = any(_differs(tensor, device, dtype) for tensor in tensors)
    if not made.is_new and (moves or (sets_mode and module.training != training)):
        module = _copied(module, device, dtype)
    elif moves:
        module = module.to(device=device, dtype=dtype)
    return module.train(training) if sets_mode else module


def _differs(tensor: Tensor, device: torch.device | None, dtype: torch.dtype | None) -> bool:
    cast = dtype is not None and tensor.is_floating_point() and tensor.dtype != dtype
    if device is None:
        return cast
    there = device.index is None or tensor.device.index == device.index
    return cast or tensor.device.type != device.type or not there


def _copied(module: nn.Module, device: torch.device | None, dtype: torch.dtype | None) -> nn.Module:
    """Return a copy whose weights are moved, and shared where they need not move."""
    memo: dict[int, Any] = {}
    for tensor in chain(module.parameters(), module.buffers()):
        moved = (
            _moved(tensor.detach(), device, dtype) if _differs(tensor, device, dtype) else tensor
        )
        if isinstance(tensor, nn.Parameter) and moved is not tensor:
            moved = nn.Parameter(moved, requires_grad=tensor.requires_grad)
        memo[id(tensor)] = moved
    try:
        return copy.deepcopy(module, memo)
    except (TypeError, RuntimeError, AttributeError) as error:
        raise BuildError(_TO_META.format(type(module).__name__, error)) from error


def _moved(value: Any, device: torch.device | None, dtype: torch.dtype | None) -> Any:
    """Return a structure with its tensors on a device, floating ones in a dtype."""
    if not any(_differs(tensor, device, dtype) for tensor in tensors_in(value)):
        return value
    if isinstance(value, Tensor):
        cast = dtype if value.is_floating_point() else None
        return value.to(device=device, dtype=cast)
    if isinstance(value, Mapping):
        return type(value)({k: _moved(item, device, dtype) for k, item in value.items()})  # type: ignore[call-arg]
    if isinstance(value, tuple | list):
        items = [_moved(item, device, dtype) for item in value]
        return type(value)(*items) if hasattr(value, "_fields") else type(value)(items)
    return value
