"""What is to be known of a class of modules, looked up once a class."""

from __future__ import annotations

import weakref

import torch
from torch import nn

from attntrace.capture.attention import FUSABLE

LAYERED = (
    nn.MultiheadAttention, nn.RNNBase, nn.Transformer, nn.TransformerEncoder,
    nn.TransformerDecoder, nn.TransformerEncoderLayer, nn.TransformerDecoderLayer,
)  # fmt: skip


class ModuleClass:
    """What is to be known of all modules of one class."""

    __slots__ = ("asks", "fusable", "layered", "name", "torchs_own")

    def __init__(self, kind: type[nn.Module]) -> None:
        self.name = kind.__name__
        self.torchs_own = kind.__module__.startswith("torch.")
        self.asks = asks_if_watched(kind)
        self.fusable = issubclass(kind, FUSABLE)
        self.layered = issubclass(kind, LAYERED)
        """Whether it takes its batch first or second, as it was made."""


def batch_first(module: nn.Module) -> bool | None:
    """Return whether a module takes its batch first; None where neither it nor its parts say."""
    if isinstance(module, (nn.TransformerEncoder, nn.TransformerDecoder)):
        return batch_first(module.layers[0]) if len(module.layers) else None
    own = getattr(module, "self_attn", module)
    said = getattr(own, "batch_first", None)
    return said if isinstance(said, bool) else None


def watching_changes(module: nn.Module) -> bool:
    """Return whether a module may run other kernels because its Python-level calls are watched.

    Torch's own modules that ask have nothing to lose in training or with grad: their fused paths
    are for inference alone (see the docs of `nn.MultiheadAttention`).
    """
    if not asks_if_watched(type(module)):
        return False
    torchs_own = type(module).__module__.startswith("torch.")
    needs_grad = torch.is_grad_enabled() and any(p.requires_grad for p in module.parameters())
    return not (torchs_own and (module.training or needs_grad))


_ASKS: weakref.WeakKeyDictionary[type, bool] = weakref.WeakKeyDictionary()
"""Weak: a class that `torch.nn.utils.parametrize` makes for one module holds that module."""


def asks_if_watched(kind: type) -> bool:
    """Return whether a module's forward looks at `has_torch_function`.

    Such a forward runs other kernels under an active function mode: `nn.MultiheadAttention` and
    `nn.TransformerEncoder(Layer)` leave their fused path, and their output bits differ.
    """
    asks = _ASKS.get(kind)
    if asks is None:
        code = getattr(getattr(kind, "forward", None), "__code__", None)
        names = code.co_names if code else ()
        asks = _ASKS[kind] = any(name.startswith("has_torch_function") for name in names)
    return asks
