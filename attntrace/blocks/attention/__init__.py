"""Attention layers: what they are made of, one idea a file, and which spec gets which."""

from __future__ import annotations

from torch import nn

from attntrace.blocks.attention.layer import Attention as Attention
from attntrace.blocks.attention.separate_heads import SeparateHeads
from attntrace.blocks.attention.torch_module import TorchAttention
from attntrace.blocks.attention.window import WindowAttention
from attntrace.blocks.axes import Axes
from attntrace.spec import Spec

WHOLE = {"separate-heads": SeparateHeads, "window": WindowAttention}
"""Kinds that are made of attention layers, and not one of them."""


def attention(spec: Spec, axes: Axes) -> nn.Module:
    """Return the attention layer that a spec describes, as (x, context, guide) -> out."""
    if spec.attention.impl == "torch":
        return TorchAttention(spec, axes)
    kind: type[nn.Module] = WHOLE.get(spec.kind, Attention)
    return kind(spec, axes)
