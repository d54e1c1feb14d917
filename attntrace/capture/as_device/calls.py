"""Python-level calls that run other ops on the device that is spoken for than on meta."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from attntrace.analysis.paths import Hardware
from attntrace.capture.as_device.attention import attention_on
from attntrace.capture.as_device.mode import DeviceCalls, DeviceKernels
from attntrace.capture.attention import SDPA
from attntrace.capture.fence import unguarded

aten = torch.ops.aten


def calls_on(hardware: Hardware, kernels: DeviceKernels) -> DeviceCalls:
    """Return the mode that replaces such calls."""
    instead: dict[Any, Callable[..., Any]] = {SDPA: attention_on(hardware), torch.tensor: _tensor}
    calls = DeviceCalls(instead)
    multihead = unguarded(F.multi_head_attention_forward)

    def attend(*args: Any, **kwargs: Any) -> Any:
        with calls.attached():  # its inside calls what is replaced, too
            return multihead(*args, **kwargs)

    def one_hot(tensor: Tensor, num_classes: int = -1) -> Tensor:
        if num_classes < 0:  # as many as there are values
            return F.one_hot(tensor, num_classes)
        if hardware.device == "cpu":
            with kernels.reading(0):
                [bound.item() for bound in aten.aminmax(tensor)]
        return _one_hot(tensor, num_classes)

    instead[F.multi_head_attention_forward] = attend
    instead[F.one_hot] = one_hot
    if hardware.device == "cpu":
        instead[Tensor.__setitem__] = _set_item
    if hardware.device == "cuda":
        instead[F.dropout] = instead[torch.dropout] = _dropout
    return calls


def _tensor(*args: Any, **kwargs: Any) -> Tensor:
    made = torch.tensor(*args, **kwargs)
    return aten.lift_fresh(made) if made.is_meta else made


def _set_item(tensor: Tensor, index: Any, value: Any) -> None:
    """A number that is put where a mask says so is made a tensor as by `torch.tensor`."""
    if isinstance(index, Tensor) and isinstance(value, (int, float)):
        value = _tensor(value, dtype=tensor.dtype, device=tensor.device)
    tensor[index] = value


def _one_hot(tensor: Tensor, classes: int) -> Tensor:
    made = torch.zeros((*tensor.shape, classes), dtype=torch.int64, device=tensor.device)
    return made.scatter_(-1, tensor.unsqueeze(-1), 1)


def _dropout(input: Tensor, p: float = 0.5, *rest: Any, **kwargs: Any) -> Tensor:  # noqa: A002
    """As `dropout` in ATen's Dropout.cpp, which has one kernel for it on a GPU."""
    train, inplace = _switches(*rest, **kwargs)
    if inplace or not train or not 0 < p < 1 or not input.numel():
        return F.dropout(input, p, train, inplace)
    return torch.native_dropout(input, p, train)[0]


def _switches(
    train: bool = True, inplace: bool = False, *, training: bool | None = None
) -> tuple[bool, bool]:
    """Return whether to drop, and whether in place: `torch.dropout` and `F.dropout` name these."""
    return train if training is None else training, inplace
