"""Ops whose meta kernel makes other outputs than that of any device."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

from attntrace.capture.as_device.layout import laid_out, like, plain

aten = torch.ops.aten
_LIKE = (aten.empty_like, aten.zeros_like, aten.ones_like, aten.full_like, aten.rand_like)
_NEED_WEIGHTS = 10
"""Which argument of `_native_multi_head_attention` asks for the probabilities."""


def made_like(func: Any) -> Callable[..., Tensor]:
    """Return an op such as `zeros_like`, which keeps the strides of a tensor without gaps."""

    def run(x: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        out: Tensor = func(x, *args, **kwargs)
        asked = kwargs.get("memory_format", torch.preserve_format)
        return laid_out(out, like(x)) if asked in (None, torch.preserve_format) else out

    return run


def in_order(func: Any) -> Callable[..., Tensor]:
    """Return an op whose output has its axes in order, whatever its input has."""
    return lambda *args, **kwargs: plain(func(*args, **kwargs))


def multihead(*args: Any) -> tuple[Tensor, Tensor | None]:
    """Probabilities that were not asked for are not made."""
    out, probs = aten._native_multi_head_attention.default(*args)
    wanted = args[_NEED_WEIGHTS] if len(args) > _NEED_WEIGHTS else True
    return out, probs if wanted else None


ANYWHERE: Mapping[Any, Callable[..., Any]] = {
    aten._native_multi_head_attention.default: multihead,
    aten.masked_fill.Scalar: in_order(aten.masked_fill.Scalar),
    aten.masked_fill.Tensor: in_order(aten.masked_fill.Tensor),
    **{packet.default: made_like(packet.default) for packet in _LIKE},
}
