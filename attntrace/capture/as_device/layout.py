"""In which order the axes of a tensor stand in memory."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from attntrace.capture.storages import is_dense


def channels_stand_last(x: Tensor) -> bool:
    """Return whether a map (batch channels rows columns) has its channels side by side.

    As ATen's `is_channels_last_strides_2d`: gaps are allowed, and of a map with one channel it says
    no.
    """
    if x.dim() != 4 or x.stride(1) == 0:
        return False
    least = 0
    for axis in (1, 3, 2, 0):
        size, stride = x.shape[axis], x.stride(axis)
        if size == 0 or stride < least or (axis == 0 and least == x.stride(1)):
            return False
        least = stride * max(size, 1)
    return True


def in_format(x: Tensor, *, last: bool) -> Tensor:
    """Return a new map like this, with its channels last or not."""
    wanted = torch.channels_last if last else torch.contiguous_format
    if x.dim() != 4 or last == channels_stand_last(x):
        return x
    return torch.empty_like(x, memory_format=wanted)


def like(x: Tensor) -> tuple[int, ...]:
    """Return the strides of a new tensor like this (`empty_like` in ATen's TensorFactories.cpp).

    On meta those of axes of one are not kept.
    """
    return x.stride() if is_dense(x) else filled(x.shape, order_of(x.shape, [list(x.stride())]))


def laid_out(x: Tensor, stride: tuple[int, ...]) -> Tensor:
    """Return a new tensor like this with these strides; the same one where they are right."""
    return x if x.stride() == stride else x.new_empty_strided(x.shape, stride)


def plain(x: Tensor) -> Tensor:
    """Return a new tensor like this, with its axes in order and without gaps."""
    return laid_out(x, filled(x.shape, range(x.dim() - 1, -1, -1)))


def spread(operand: Tensor, shape: torch.Size) -> list[int]:
    """Return the strides of an operand that is broadcast to a shape."""
    new = len(shape) - operand.dim()
    pairs = zip(operand.shape, operand.stride(), shape[new:], strict=True)
    return [0] * new + [0 if size == 1 != whole else stride for size, stride, whole in pairs]


def order_of(shape: torch.Size, strides: list[list[int]]) -> list[int]:
    """Return the axes from the innermost out: by stride, sorted by insertion."""
    order = list(range(len(shape)))[::-1]
    for start in range(1, len(order)):
        at = start
        for before in range(start - 1, -1, -1):
            sign = _compare(order[before], order[at], shape, strides)
            if sign > 0:
                order[before], order[at] = order[at], order[before]
                at = before
            elif sign < 0:
                break
    return order


def _compare(one: int, other: int, shape: torch.Size, strides: list[list[int]]) -> int:
    """Return 1 where an axis must come after another, -1 where before, 0 where it may stay."""
    for stride in strides:
        first, second = stride[one], stride[other]
        if first == 0 or second == 0:
            continue
        if first != second:
            return 1 if first > second else -1
        if shape[one] > shape[other]:
            return 1
    return 0


def filled(shape: torch.Size, order: Sequence[int]) -> tuple[int, ...]:
    """Return strides without gaps, given the axes from the innermost out."""
    strides, step = [0] * len(shape), 1
    for axis in order:
        strides[axis] = step
        step *= max(shape[axis], 1)
    return tuple(strides)
