"""The arguments of a call as data, taken down while its tensors are alive."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from attntrace.analysis.diagnosis import Given
from attntrace.capture.describe import device_name, dtype_name, plain, shape_of, stride_of
from attntrace.capture.structure import PLAIN

MOST_VALUES = 2**22
"""Whole numbers of which the smallest and the largest are looked up."""
_PLAIN_TYPES = (torch.dtype, torch.device, torch.layout, torch.memory_format)

Namer = Callable[[Tensor], Given]
"""Starts the description of a tensor: with its name, its row and its path."""


def described(value: Any, namer: Namer) -> Any:
    """Return an argument as `FailedCall` has it."""
    if isinstance(value, Tensor):
        return namer(value)
    if isinstance(value, (tuple, list)):
        items = [described(item, namer) for item in value]
        return items if isinstance(value, list) else tuple(items)
    if isinstance(value, dict):
        return {key: described(item, namer) for key, item in value.items()}
    if isinstance(value, slice):
        return slice(*(described(part, namer) for part in (value.start, value.stop, value.step)))
    if isinstance(value, _PLAIN_TYPES):
        return str(value)
    return value if type(value) in PLAIN or value is Ellipsis else f"<{type(value).__name__}>"


def given(tensor: Tensor, name: str, row: int | None = None, path: str | None = None) -> Given:
    """Return a tensor as data. Values are looked at only where they are whole and on the CPU."""
    least, most = _range(tensor)
    return Given(
        name=name,
        shape=plain(shape_of(tensor)),
        stride=plain(stride_of(tensor)),
        dtype=dtype_name(tensor.dtype),
        device=device_name(tensor.device),
        requires_grad=tensor.requires_grad,
        is_leaf=tensor.is_leaf,
        row=row,
        path=path,
        least=least,
        most=most,
    )


def _range(tensor: Tensor) -> tuple[int | None, int | None]:
    whole = not (tensor.dtype.is_floating_point or tensor.dtype.is_complex)
    if not whole or tensor.device.type != "cpu" or tensor.layout is not torch.strided:
        return None, None
    if tensor.is_quantized or tensor.is_nested or not 0 < tensor.numel() <= MOST_VALUES:
        return None, None
    if tensor.dtype is torch.bool:
        return None, None
    return int(tensor.min()), int(tensor.max())
