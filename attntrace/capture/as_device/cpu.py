"""Ops whose meta kernel makes other outputs than the CPU's: shape, stride, dtype or memory.

What the CPU makes is that of PyTorch 2.13, as seen by running both.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

from attntrace.capture.as_device.layout import channels_stand_last, in_format, laid_out, like, plain
from attntrace.capture.as_device.shared import in_order

aten = torch.ops.aten


def layer_norm(
    x: Tensor, shape: Any, weight: Tensor | None, *rest: Any
) -> tuple[Tensor, Tensor, Tensor]:
    """Mean and deviation are of the input's dtype, unless the weight's is another."""
    out, *moments = aten.native_layer_norm.default(x, shape, weight, *rest)
    out = plain(out)
    mean, deviation = (
        moment.new_empty(moment.shape, dtype=_wider(x, weight)) for moment in moments
    )
    return out, mean, deviation


def layer_norm_backward(*args: Any) -> tuple[Tensor | None, ...]:
    """The gradient of the input has its axes in order."""
    of_x, *rest = aten.native_layer_norm_backward.default(*args)
    return (None if of_x is None else plain(of_x), *rest)


def batch_norm(x: Tensor, weight: Tensor | None, *rest: Any) -> tuple[Tensor, Tensor, Tensor]:
    """As `layer_norm`; in eval there is nothing to save."""
    out, *moments = aten.native_batch_norm.default(x, weight, *rest)
    out = out if channels_stand_last(x) else plain(out)
    training, dtype = rest[3], _wider(x, weight)
    mean, deviation = (
        moment.new_empty(moment.shape if training else (0,), dtype=dtype) for moment in moments
    )
    return out, mean, deviation


def _wider(x: Tensor, weight: Tensor | None) -> torch.dtype:
    return x.dtype if weight is None else torch.promote_types(x.dtype, weight.dtype)


def convolution(x: Tensor, weight: Tensor, *rest: Any) -> Tensor:
    """Where the channels of the input or of the weight stand last, so do those of the output."""
    out: Tensor = aten.convolution.default(x, weight, *rest)
    if rest[6] > 1 and out.shape[2:].numel() == 1 and not _by_onednn(x, rest[6]):
        return plain(out)
    return in_format(out, last=channels_stand_last(x) or channels_stand_last(weight))


def batch_norm_backward(*args: Any) -> tuple[Tensor | None, ...]:
    """A gradient that was not asked for is not made."""
    made = aten.native_batch_norm_backward.default(*args)
    wanted = args[-1]
    return tuple(one if ask else None for one, ask in zip(made, wanted, strict=True))


def flash(query: Tensor, *args: Any, **kwargs: Any) -> tuple[Tensor, Tensor]:
    """The output is like q, also in axes of one."""
    out, logsumexp = aten._scaled_dot_product_flash_attention_for_cpu.default(
        query, *args, **kwargs
    )
    return laid_out(out, like(query)), logsumexp


def convolution_backward(grad: Tensor, x: Tensor, weight: Tensor, *rest: Any) -> tuple[Any, ...]:
    """The gradient of a weight has its axes in order where oneDNN does not lay it out."""
    of_x, of_weight, of_bias = aten.convolution_backward.default(grad, x, weight, *rest)
    last = x.shape[2:].numel() > 1 and channels_stand_last(x) and _by_onednn(x, rest[6])
    either = weight.shape[1] == 1 or weight.shape[2:].numel() == 1  # in order and channels last
    if of_weight is not None and either and not last:
        of_weight = plain(of_weight)
    return of_x, of_weight, of_bias


def _by_onednn(x: Tensor, groups: int) -> bool:
    """Return whether oneDNN takes a 1 by 1 convolution (`use_mkldnn` in ATen's Convolution.cpp)."""
    large = x.shape[0] >= 16 or groups > 1 or torch.get_num_threads() > 1
    return x.dtype is torch.bfloat16 or (x.dtype is torch.float32 and large)


def cut_down(func: Any) -> Callable[..., Tensor]:
    """Return an op whose output begins as memory like the input's and is resized, never smaller."""

    def run(x: Tensor, *args: Any) -> Tensor:
        out = func(x, *args)
        whole = x.new_empty(max(x.numel(), out.numel()))
        return whole.as_strided(out.shape, out.stride())

    return run


KERNELS: Mapping[Any, Callable[..., Any]] = {
    aten.native_layer_norm.default: layer_norm,
    aten.native_layer_norm_backward.default: layer_norm_backward,
    aten.native_batch_norm.default: batch_norm,
    aten.native_batch_norm_backward.default: batch_norm_backward,
    aten._softmax_backward_data.default: in_order(aten._softmax_backward_data.default),
    aten._scaled_dot_product_flash_attention_for_cpu.default: flash,
    aten.convolution.default: convolution,
    aten.convolution_backward.default: convolution_backward,
    aten.col2im.default: cut_down(aten.col2im.default),
    aten.im2col.default: cut_down(aten.im2col.default),
}
