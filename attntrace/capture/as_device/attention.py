"""`scaled_dot_product_attention` by the ops that a device's C++ runs, called on meta tensors.

On meta torch always takes the math path: it picks a fused kernel by the device of the tensors, and
asks no mode. So the pick is made here, by `analysis.paths`, and what follows it is written out in
the order of `_scaled_dot_product_attention` in ATen's `attention.cpp` of PyTorch 2.13. The CUDA
part was read, not run.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from attntrace.analysis.paths import Hardware, SdpaCall, sdpa_path
from attntrace.capture.attention import ARGUMENTS, SDPA, sdpa_call

aten = torch.ops.aten
_ALIGNED = 8
"""Elements that CUDA's kernels want a head, or a row of a mask, to be a multiple of."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """The arguments of one call, as torch names them, and whether backward will be asked for."""

    query: Tensor
    key: Tensor
    value: Tensor
    attn_mask: Tensor | None = None
    dropout_p: float = 0.0
    is_causal: bool = False
    scale: float | None = None
    enable_gqa: bool = False
    grad: bool


def attention_on(hardware: Hardware) -> Callable[..., Any]:
    """Return what stands in for `scaled_dot_product_attention` on a device."""
    kernels = _KERNELS[hardware.device]

    def attend(*args: Any, **kwargs: Any) -> Any:
        call = sdpa_call(*args, **kwargs)
        if call is None or not _is_taken(call):  # torch says best what is wrong with it
            return SDPA(*args, **kwargs)
        kernel = kernels.get(sdpa_path(call, hardware).kernel)
        if kernel is None:
            return SDPA(*args, **kwargs)
        given = dict(zip(ARGUMENTS, args, strict=False))
        return kernel(Given(**given, **kwargs, grad=call.grad))

    return attend


def _is_taken(call: SdpaCall) -> bool:
    """Return whether `scaled_dot_product_attention` takes the call at all."""
    mask = call.mask
    return (
        call.q.dtype == call.k.dtype == call.v.dtype
        and all(len(operand.shape) >= 2 for _, operand in call.qkv)
        and (mask is None or mask.dtype in ("bool", "float32", call.q.dtype))
    )


def _as_numbers(it: Given) -> Tensor | None:
    """Return a mask of bools as one of numbers, 0 and -inf, any other as it is."""
    mask, dtype = it.attn_mask, it.query.dtype
    if mask is None or mask.dtype is not torch.bool:
        return mask
    hidden = aten.scalar_tensor(float("-inf"), dtype=dtype, device=mask.device)
    return torch.where(mask, aten.scalar_tensor(0.0, dtype=dtype, device=mask.device), hidden)


def _cpu_flash(it: Given) -> Any:
    mask = _as_numbers(it)
    return aten._scaled_dot_product_flash_attention_for_cpu(
        it.query, it.key, it.value, 0.0, it.is_causal, attn_mask=mask, scale=it.scale
    )[0]


def _flash(it: Given) -> Any:
    width = it.query.shape[-1]
    scale = width**-0.5 if it.scale is None else it.scale
    query, key, value = (_padded(each) for each in (it.query, it.key, it.value))
    out = aten._scaled_dot_product_flash_attention(
        query, key, value, it.dropout_p, it.is_causal, False, scale=scale
    )[0]
    return out if out.shape[-1] == width else aten.slice(out, -1, 0, width)


def _efficient(it: Given) -> Any:
    mask = _as_numbers(it)
    if mask is not None:
        mask = _aligned(mask).expand(*it.query.shape[:-1], it.key.shape[-2])
    return aten._scaled_dot_product_efficient_attention(
        it.query, it.key, it.value, mask, it.grad, it.dropout_p, it.is_causal, scale=it.scale
    )[0]


def _cudnn(it: Given) -> Any:
    return aten._scaled_dot_product_cudnn_attention(
        it.query,
        it.key,
        it.value,
        _as_numbers(it),
        it.grad,
        it.dropout_p,
        it.is_causal,
        False,
        scale=it.scale,
    )[0]


def _padded(tensor: Tensor) -> Tensor:
    """Return a tensor whose last axis is filled up to a multiple of 8 (`pad_last_dim`)."""
    rest = tensor.shape[-1] % _ALIGNED
    return aten.constant_pad_nd(tensor, [0, _ALIGNED - rest], 0.0) if rest else tensor


def _aligned(mask: Tensor) -> Tensor:
    """Return a mask each row of which begins at a multiple of 8 (`pad_bias`)."""
    if mask.stride(-1) == 1 and all(step % _ALIGNED == 0 for step in mask.stride()[:-1]):
        return mask
    keys = mask.shape[-1]
    padded: Tensor = aten.constant_pad_nd(mask, [0, _ALIGNED - keys % _ALIGNED], 0.0)
    return padded.narrow(-1, 0, keys)


_KERNELS: Mapping[str, Mapping[str, Callable[[Given], Any]]] = {
    "cpu": {"flash": _cpu_flash},
    "cuda": {"flash": _flash, "efficient": _efficient, "cudnn": _cudnn},
}
