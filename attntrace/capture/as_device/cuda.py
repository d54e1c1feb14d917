"""Ops whose meta kernel makes other outputs than CUDA's. Read in PyTorch 2.13's source, not run.

Where a GPU's code is that of the CPU, or the same in CUDA, so is the entry here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

from attntrace.capture.as_device.cpu import (
    batch_norm_backward,
    convolution,
    cut_down,
    layer_norm_backward,
)
from attntrace.capture.as_device.layout import laid_out, like, plain
from attntrace.capture.as_device.shared import in_order

aten = torch.ops.aten


def layer_norm(*args: Any) -> tuple[Tensor, ...]:
    """The output has its axes in order; mean and deviation are float32 also for 16 bits."""
    out, *moments = aten.native_layer_norm.default(*args)
    return plain(out), *moments


def flash(query: Tensor, *args: Any, **kwargs: Any) -> tuple[Any, ...]:
    """The output is like q, also in axes of one."""
    out, *rest = aten._scaled_dot_product_flash_attention.default(query, *args, **kwargs)
    return laid_out(out, like(query)), *rest


def flash_backward(grad: Tensor, *args: Any, **kwargs: Any) -> tuple[Tensor, ...]:
    """The gradients are like q, k and v."""
    made = aten._scaled_dot_product_flash_attention_backward.default(grad, *args, **kwargs)
    pairs = zip(made, args[:3], strict=True)
    return tuple(laid_out(each, like(of)) for each, of in pairs)


KERNELS: Mapping[Any, Callable[..., Any]] = {
    aten.native_layer_norm.default: layer_norm,
    aten.native_layer_norm_backward.default: layer_norm_backward,
    aten.native_batch_norm_backward.default: batch_norm_backward,
    aten._softmax_backward_data.default: in_order(aten._softmax_backward_data.default),
    aten._scaled_dot_product_flash_attention.default: flash,
    aten._scaled_dot_product_flash_attention_backward.default: flash_backward,
    aten.convolution.default: convolution,
    aten.col2im.default: cut_down(aten.col2im.default),
    aten.im2col.default: cut_down(aten.im2col.default),
}
