"""What can be said of a tensor without touching its values. Cheap: it runs for every op."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Size, SymInt, Tensor
from torch import device as Device
from torch import dtype as DType
from torch.nn.parameter import UninitializedBuffer, UninitializedParameter

from attntrace.capture.fence import stored_values
from attntrace.record import Shape

NO_NUMBERS = (RuntimeError, ValueError)
"""What torch raises for what has no one shape (nested), no strides (sparse) or neither yet (lazy)."""


def shapes_of(tensors: list[Tensor]) -> list[Size | None]:
    """Return the shape of each tensor."""
    try:
        return [tensor.shape for tensor in tensors]
    except NO_NUMBERS:
        return [shape_of(tensor) for tensor in tensors]


def shape_of(tensor: Tensor) -> Size | None:
    """Return a tensor's shape, None for one whose parts differ in shape (nested)."""
    try:
        return tensor.shape
    except NO_NUMBERS:
        return None


def plain(shape: Shape | None) -> Shape | None:
    """Return a shape or strides as a tuple, None where a size is no number (jagged)."""
    return None if shape is None or SymInt in map(type, shape) else tuple(shape)


def nbytes_of(tensor: Tensor) -> int | None:
    """Return elements times element size, None for a layout where that says nothing (sparse)."""
    try:
        return tensor.nbytes if tensor.layout is torch.strided else None
    except NO_NUMBERS:
        return None


def stride_of(tensor: Tensor) -> Shape | None:
    """Return a tensor's strides in elements, None for a layout without (sparse)."""
    try:
        return tensor.stride() if tensor.layout is torch.strided else None
    except NO_NUMBERS:
        return None


def layout_of(tensor: Tensor) -> str | None:
    """Return what a tensor is that is no plain one: "sparse_coo, 5 values", "nested (2, *, 7)"."""
    if isinstance(tensor, (UninitializedParameter, UninitializedBuffer)):
        return "uninitialized"
    if tensor.is_nested:
        return nested_text("nested", [_size_of(tensor, dim) for dim in range(tensor.dim())])
    if tensor.layout is torch.strided:
        return None
    name, values = str(tensor.layout).removeprefix("torch.").strip("_"), stored_values(tensor)
    return name if values is None else f"{name}, {values} values"


def nested_text(name: str, sizes: Iterable[int | None]) -> str:
    """Return "jagged (2, *, 7)"; None and a symbol are a size in which the parts differ."""
    return f"{name} ({', '.join(str(n) if type(n) is int else '*' for n in sizes)})"


def _size_of(tensor: Tensor, dim: int) -> int | None:
    try:
        return tensor.size(dim)
    except RuntimeError:
        return None


_DTYPES: dict[DType, str] = {}
_DEVICES: dict[Device, str] = {}


def dtype_name(dtype: DType) -> str:
    """Return "float32" for torch.float32."""
    name = _DTYPES.get(dtype)
    if name is None:
        name = _DTYPES[dtype] = str(dtype).removeprefix("torch.")
    return name


def device_name(device: Device) -> str:
    """Return "cuda:0" for a device."""
    name = _DEVICES.get(device)
    if name is None:
        name = _DEVICES[device] = str(device)
    return name
