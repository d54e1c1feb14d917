"""What some calls are given besides tensors, which the shapes of their tensors do not tell."""

from __future__ import annotations

from collections.abc import Mapping
from math import isfinite
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from attntrace.capture.fence import unasked
from attntrace.record import LATER, Argument

_DIM = ("input", "dim")
_OTHER = ("input", "other")
_MASKED = ("query", "key", "value", "attn_mask")
_LARGEST = 2**12
"""Elements of a mask that is looked at."""
_NAMES: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(("softmax", "log_softmax", "mean", "sum", "amax", "amin", "logsumexp"), _DIM),
    **dict.fromkeys(("masked_fill", "masked_fill_"), ("input", "mask", "value")),
    **dict.fromkeys(("tril", "triu"), ("input", "diagonal")),
    **dict.fromkeys(("mul", "mul_", "__mul__", "__rmul__", "__imul__"), _OTHER),
    "full": ("size", "fill_value"),
    "full_like": ("input", "fill_value"),
    "where": ("condition", "input", "other"),
    "einsum": ("equation",),
    "scaled_dot_product_attention": _MASKED,
}
"""The arguments of calls in order, as torch names them."""
NOTED = {
    getattr(owner, name): names
    for owner in (torch, F, Tensor)
    for name, names in _NAMES.items()
    if hasattr(owner, name)
} | {Tensor.where: ("input", "condition", "other")}
"""By the function: looked at for every call, so this is one look into a dict."""
_KEPT = frozenset((int, float, bool, str, type(None)))


def arguments_of(
    names: tuple[str, ...], args: tuple[Any, ...], kwargs: Mapping[str, Any] | None
) -> dict[str, Argument] | None:
    """Return the plain values among the arguments of a call; of a product only a plain factor."""
    if names is _OTHER and (len(args) != 2 or type(args[1]) is not float):
        return None
    found = {name: _plain(value) for name, value in zip(names, args, strict=False) if _says(value)}
    if names is _MASKED and _is_later(args[3] if len(args) > 3 else (kwargs or {}).get(names[3])):
        found[names[3]] = LATER
    if kwargs:
        found |= {name: _plain(value) for name, value in kwargs.items() if _says(value)}
    return found


def _is_later(mask: Any) -> bool:
    """Return whether a mask of bool is True above the diagonal and nowhere else."""
    if type(mask) is not Tensor or mask.dtype != torch.bool or mask.device.type != "cpu":
        return False
    if mask.dim() < 2 or min(mask.shape[-2:]) < 2 or not 0 < mask.numel() <= _LARGEST:
        return False
    with unasked():
        found: list[Any] = mask.tolist()  # which runs no op that a witness would see
    squares = [found]
    for _ in range(mask.dim() - 2):
        squares = [part for square in squares for part in square]
    rows = [row for square in squares for row in enumerate(square)]
    return any(any(row) for _, row in rows) and not any(any(row[: at + 1]) for at, row in rows)


def _says(value: Any) -> bool:
    kind = type(value)
    return kind in _KEPT or (kind in (tuple, list) and all(type(item) is int for item in value))


def _plain(value: Any) -> Argument:
    """Return a value as JSON has it: infinity and what is no number as text."""
    if type(value) is float and not isfinite(value):
        return str(value)
    return tuple(value) if type(value) is list else value
