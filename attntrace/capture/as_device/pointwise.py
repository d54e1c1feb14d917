"""The layout of what a pointwise op makes, as ATen's TensorIterator lays it out on a device.

On meta some of these ops are written in Python, and lay out axes of one, and copies of numbers of
16 bits, in other ways. See `reorder_dimensions` and `fast_set_up` in ATen's TensorIterator.cpp.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tag, Tensor

from attntrace.capture.as_device.layout import filled, order_of, spread
from attntrace.capture.storages import is_dense

aten = torch.ops.aten
_AS_IT_IS = frozenset({aten.clone, aten.masked_fill, aten.copy, aten.fill})
"""Ops that count as pointwise and choose their layout themselves, on meta as anywhere."""
_LAST_FIRST = frozenset({aten.threshold_backward})
"""Ops that give their operands to TensorIterator in another order than they take them."""

_UNTAGGED = frozenset(
    {aten.elu_backward, aten.hardtanh_backward, aten.leaky_relu_backward, aten.softplus_backward}
)


def is_pointwise(func: Any) -> bool:
    """Return whether an op works on one element at a time; a few that do lack the tag."""
    return Tag.pointwise in func.tags or func.overloadpacket in _UNTAGGED


def pointwise(func: Any) -> Callable[..., Any]:
    """Return an op that lays out what it makes as a kernel would."""
    if func.overloadpacket in _AS_IT_IS:
        return func  # type: ignore[no-any-return]
    order = -1 if func.overloadpacket in _LAST_FIRST else 1
    scalar = func._overloadname == "Scalar"
    tensors = [str(argument.type) == "Tensor" for argument in func._schema.arguments]

    def run(*args: Any, **kwargs: Any) -> Any:
        out = func(*args, **kwargs)
        if not isinstance(out, Tensor) or out.dim() < 2:
            return out
        operands = [arg for arg in args if isinstance(arg, Tensor)][::order]
        if any(out is operand for operand in operands):
            return out
        odd = scalar or any(
            wanted and not isinstance(arg, Tensor)
            for wanted, arg in zip(tensors, args, strict=False)
        )
        stride = _stride(out.shape, operands, alike=not odd)
        return out if stride == out.stride() else out.new_empty_strided(out.shape, stride)

    return run


def _stride(shape: torch.Size, operands: Sequence[Tensor], *, alike: bool) -> tuple[int, ...]:
    """Return the strides of an output. `alike` is false where a number is made an operand."""
    if alike and all(operand.shape == shape for operand in operands):
        for layout in (torch.contiguous_format, torch.channels_last):
            fits = len(shape) == 4 or layout is torch.contiguous_format
            if fits and all(operand.is_contiguous(memory_format=layout) for operand in operands):
                axes = range(len(shape)) if layout is torch.contiguous_format else (0, 2, 3, 1)
                return filled(shape, list(axes)[::-1])
        first = operands[0] if operands else None
        if (
            first is not None
            and is_dense(first)
            and {o.stride() for o in operands} == {first.stride()}
        ):
            return first.stride()
    return filled(shape, order_of(shape, [spread(operand, shape) for operand in operands]))
