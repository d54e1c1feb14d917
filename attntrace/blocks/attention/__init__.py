"""Attention layers: what they are made of, one idea a file, and which spec gets which."""

from __future__ import annotations

from attntrace.blocks.attention.layer import Attention as Attention
from attntrace.blocks.attention.separate_heads import SeparateHeads
from attntrace.blocks.attention.torch_module import TorchAttention
from attntrace.blocks.attention.window import WindowAttention
from attntrace.blocks.axes import Axes
from attntrace.spec import Spec

AnyAttention = Attention | SeparateHeads | TorchAttention | WindowAttention


def attention(spec: Spec, axes: Axes) -> AnyAttention:
    """Return the attention layer that a spec describes, as (x, context, guide) -> out."""
    if spec.attention.impl == "torch":
        return TorchAttention(spec, axes)
    whole = {"separate-heads": SeparateHeads, "window": WindowAttention}
    return whole.get(spec.kind, Attention)(spec, axes)
