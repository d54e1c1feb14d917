"""What can be said of a tensor without touching its values. Cheap: it runs for every op."""

from __future__ import annotations

from torch import Size, SymInt, Tensor
from torch import device as Device
from torch import dtype as DType

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
        return tensor.nbytes
    except NO_NUMBERS:
        return None


def stride_of(tensor: Tensor) -> Shape | None:
    """Return a tensor's strides in elements, None for a layout without (sparse)."""
    try:
        return tensor.stride()
    except NO_NUMBERS:
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
