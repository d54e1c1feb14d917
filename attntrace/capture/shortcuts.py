"""Calls whose meta kernels are written in Python, and take half a millisecond to say a shape.

The first of them imports for a second, besides. A sketch asks for nothing but shapes, and answers
these itself: only where the answer is plain, and only without grad, since what it returns has no
graph.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import wraps
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

_SAME = frozenset({Tensor, nn.Parameter})
_ELEMENTWISE = (
    F.gelu, F.relu, F.silu, torch.relu, Tensor.relu, Tensor.neg, torch.neg, Tensor.__neg__,
)  # fmt: skip
_OF_TWO = (
    torch.add, torch.sub, torch.mul, torch.div, Tensor.add, Tensor.sub, Tensor.mul, Tensor.div,
    Tensor.__add__, Tensor.__sub__, Tensor.__mul__, Tensor.__truediv__,
    Tensor.__radd__, Tensor.__rmul__,
)  # fmt: skip
_PLAINLY: tuple[dict[str, Any], ...] = ({}, {"approximate": "none"}, {"inplace": False})
_NORMS = (F.layer_norm, F.rms_norm)
_PRODUCTS = (torch.matmul, Tensor.matmul, Tensor.__matmul__)
_SOFTMAXES = (F.softmax, torch.softmax, Tensor.softmax)


NO_FIT = "sizes do not fit"
"""Where a probe fails: nobody reads why."""


def _plain(tensor: Any) -> bool:
    return type(tensor) in _SAME and tensor.is_meta and tensor.is_floating_point()


def _elementwise(tensor: Any, *rest: Any, **named: Any) -> Any:
    plainly = rest in ((), (False,)) and named in _PLAINLY
    known = plainly and _plain(tensor)
    return _like(tensor) if known else NotImplemented


def _order(tensor: Tensor) -> list[int] | None:
    """Return the dimensions, the outermost in memory first; None where some are expanded."""
    steps = tensor.stride()
    if any(step == 0 and size != 1 for size, step in zip(tensor.shape, steps, strict=True)):
        return None
    dims = [dim for dim in range(tensor.dim()) if tensor.shape[dim] != 1]
    return sorted(dims, key=lambda dim: -steps[dim])


def _dense(shape: Sequence[int], order: Sequence[int], dtype: torch.dtype) -> Tensor:
    """Return a tensor without gaps whose dimensions lie in this order."""
    stride, count = [1] * len(shape), 1
    for dim in reversed(order):
        stride[dim], count = count, count * shape[dim]
    return torch.empty_strided(tuple(shape), stride, dtype=dtype, device="meta")


def _like(tensor: Tensor) -> Any:
    """Return what an elementwise op makes of a tensor: its order, without its gaps."""
    order = _order(tensor)
    return NotImplemented if order is None else _dense(tensor.shape, order, tensor.dtype)


def _of_two(one: Any, *rest: Any, **named: Any) -> Any:
    """Return for numbers, and for tensors of one format that lie in memory in one order."""
    if len(rest) != 1 or named or not _plain(one):
        return NotImplemented
    other = rest[0]
    if type(other) in (int, float):
        return _like(one)
    alike = _plain(other) and one.dtype == other.dtype
    return _of_tensors(one, other) if alike else NotImplemented


def _of_tensors(one: Tensor, other: Tensor) -> Any:
    order, others = _order(one), _order(other)
    if order is None or others is None:
        return NotImplemented
    if one.shape == other.shape:
        return _dense(one.shape, order, one.dtype) if order == others else NotImplemented
    if order != sorted(order) or others != sorted(others):
        return NotImplemented
    return torch.empty(_broadcast(one.shape, other.shape), dtype=one.dtype, device="meta")


def _broadcast(one: Sequence[int], other: Sequence[int]) -> tuple[int, ...]:
    """Return the shape that two broadcast to. Raises RuntimeError where they do not, as torch."""
    longest = max(len(one), len(other))
    sizes = zip(
        (1,) * (longest - len(one)) + tuple(one), (1,) * (longest - len(other)) + tuple(other),
        strict=True,
    )  # fmt: skip
    return tuple(_fitting(b, a) if a == 1 else _fitting(a, b) for a, b in sizes)


def _fitting(size: int, other: int) -> int:
    if other not in (size, 1):
        raise RuntimeError(NO_FIT)
    return size


def _product(one: Any, other: Any = None) -> Any:
    if not (_plain(one) and _plain(other)) or one.dtype != other.dtype:
        return NotImplemented
    if min(one.dim(), other.dim()) < 2:
        return NotImplemented
    if one.shape[-1] != other.shape[-2]:
        raise RuntimeError(NO_FIT)
    batch = _broadcast(one.shape[:-2], other.shape[:-2])
    return torch.empty((*batch, one.shape[-2], other.shape[-1]), dtype=one.dtype, device="meta")


def _softmax(tensor: Any, dim: Any = None, *rest: Any, **named: Any) -> Any:
    dim = named.get("dim", dim)
    known = _plain(tensor) and type(dim) is int and not rest and named.keys() <= {"dim"}
    fits = known and -tensor.dim() <= dim < tensor.dim() and tensor.is_contiguous()
    return torch.empty(tensor.shape, dtype=tensor.dtype, device="meta") if fits else NotImplemented


def _embedding(
    ids: Any, weight: Any = None, padding_idx: Any = None, max_norm: Any = None, *rest: Any,
    **named: Any,
) -> Any:  # fmt: skip
    del padding_idx, rest, named
    whole = isinstance(ids, Tensor) and ids.is_meta and ids.dtype in (torch.int64, torch.int32)
    if not whole or max_norm is not None or not _plain(weight) or weight.dim() != 2:
        return NotImplemented
    return torch.empty((*ids.shape, weight.shape[1]), dtype=weight.dtype, device="meta")


def _norm(tensor: Any, shape: Any = (), *rest: Any, **named: Any) -> Any:
    del rest, named
    if not _plain(tensor) or not shape or tensor.shape[-len(shape) :] != tuple(shape):
        return NotImplemented
    return torch.empty(tensor.shape, dtype=tensor.dtype, device="meta")


def _linear(tensor: Any, weight: Any = None, bias: Any = None) -> Any:
    if not (_plain(tensor) and _plain(weight)) or tensor.dtype != weight.dtype:
        return NotImplemented
    if weight.dim() != 2 or not tensor.dim():
        return NotImplemented
    if bias is not None and not (_plain(bias) and bias.shape == weight.shape[:1]):
        return NotImplemented
    if bias is not None and bias.dtype != weight.dtype:
        return NotImplemented
    if tensor.shape[-1] != weight.shape[1]:
        raise RuntimeError(NO_FIT)
    return torch.empty((*tensor.shape[:-1], weight.shape[0]), dtype=tensor.dtype, device="meta")


def _shortened(func: Callable[..., Any], short: Callable[..., Any]) -> Callable[..., Any]:
    """Return a call of the same name that is short where it can be."""

    @wraps(func, assigned=("__name__",), updated=())
    def call(*args: Any, **kwargs: Any) -> Any:
        try:
            found = short(*args, **kwargs)
        except TypeError:  # an argument by a name that it does not know
            found = NotImplemented
        return func(*args, **kwargs) if found is NotImplemented else found

    return call


SHORT: dict[Any, Callable[..., Any]] = {
    F.linear: _shortened(F.linear, _linear),
    F.embedding: _shortened(F.embedding, _embedding),
    **{func: _shortened(func, _product) for func in _PRODUCTS},
    **{func: _shortened(func, _softmax) for func in _SOFTMAXES},
    **{func: _shortened(func, _norm) for func in _NORMS},
    **{func: _shortened(func, _elementwise) for func in _ELEMENTWISE},
    **{func: _shortened(func, _of_two) for func in _OF_TWO},
}


_FILL = frozenset(
    getattr(place, name)
    for place in (nn.init, Tensor)
    for name in dir(place)
    if name.endswith("_")
    and not name.startswith("_")
    and name.startswith(("normal", "uniform", "trunc_normal", "kaiming", "xavier", "orthogonal"))
)


class Uninitialized(TorchFunctionMode):
    """Leaves the weights of a module that is built on meta as they are: there are no numbers."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Run a call, but not one that draws numbers for a tensor on meta."""
        filled = args[0] if args else (kwargs or {}).get("tensor")
        if func in _FILL and isinstance(filled, Tensor) and filled.is_meta:
            return filled
        return func(*args, **(kwargs or {}))
