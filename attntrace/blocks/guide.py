"""What attention is told beside its tokens: who may look at whom, where each token is, what was before."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Self

from torch import Tensor


@dataclass(frozen=True, slots=True)
class Past:
    """The cached keys and values of one layer, or in mla its two latents.

    Shapes: k (batch, kv_heads, past, head_dim), v (batch, kv_heads, past, value_head_dim), heads
    where the layout has them; in mla (batch, 1, past, kv_lora_rank) and (batch, 1, past,
    rope_head_dim).
    """

    k: Tensor
    v: Tensor


@dataclass(frozen=True, slots=True)
class Guide:
    """None stands for nothing: no mask, no positions, no cache.

    Shapes: `mask` (tokens, keys), (batch, 1, 1, keys) or (batch, 1, tokens, keys), True as `Mask`
    says; `bias` (heads, tokens, keys) is added to the scores; `rotary` is cos and sin, each
    (tokens, rotary_dim) or half as wide for neighbours; `q_positions` (tokens, dim) and
    `k_positions` (keys, dim) are added to what q and k are made from.
    """

    mask: Tensor | None = None
    causal: bool = False
    """Whether `mask` is plain causal with as many queries as keys, which kernels know by name."""
    bias: Tensor | None = None
    rotary: tuple[Tensor, Tensor] | None = None
    q_positions: Tensor | None = None
    k_positions: Tensor | None = None
    past: Past | None = None
    present: list[Past] = field(default_factory=list)
    """What the layer leaves behind in its cache."""

    def after(self, past: Past) -> Self:
        """Return the same guide for a layer whose cache holds `past`, and where it leaves its own."""
        return replace(self, past=past, present=[])


NOTHING = Guide()
"""For attention without masks, positions and cache."""
