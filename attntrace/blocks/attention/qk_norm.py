"""Normalising q and k before they meet, so that the scores stay small."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from attntrace.blocks.axes import Axes, source_tokens
from attntrace.blocks.heads import HeadLayout
from attntrace.capture.tap import Tap, Taps
from attntrace.spec import Spec


class QkNorm(nn.Module):
    """RMSNorm, LayerNorm or length 1, of q and of k, over each head or over all heads together.

    Shapes: q and k as they come, with or without a head axis; the last axis is normalised.

    Source: Henry et al., "Query-Key Normalization" (2020), for l2; Dehghani et al., "Scaling
    Vision Transformers to 22 Billion Parameters" (2023) for layernorm; Qwen3 and OLMo 2 for
    rmsnorm over a head and over the width.
    """

    def __init__(self, spec: Spec, axes: Axes) -> None:
        super().__init__()
        a, kind = axes, spec.attention.qk_norm
        by_head = spec.attention.qk_norm_over == "head"
        q_width = spec.head_dim if by_head else spec.width
        k_width = spec.head_dim if by_head else spec.kv_width
        self.q_norm, self.k_norm = (
            _norm(kind, width, spec.norm.eps) for width in (q_width, k_width)
        )
        tokens = source_tokens(spec, a)
        layout = HeadLayout(spec.attention.layout if by_head else "single")
        q = layout.axes(a.batch, a.heads, a.tokens, a.head_dim if by_head else a.width)
        k = layout.axes(a.batch, a.kv_heads, tokens, a.head_dim if by_head else a.kv_width)
        self.tap = Taps(
            Tap("q_normed", q, f"{kind}({'q' if by_head else 'q_proj'})"),
            Tap("k_normed", k, f"{kind}({'k' if by_head else 'k_proj'})"),
        )

    def forward(self, q: Tensor, k: Tensor) -> tuple[Tensor, Tensor]:
        """Return q and k, normalised."""
        return self.tap.q_normed(self.q_norm(q)), self.tap.k_normed(self.k_norm(k))


class UnitLength(nn.Module):
    """x / |x| over the last axis."""

    def forward(self, x: Tensor) -> Tensor:
        """Return x (..., d) with length 1."""
        return F.normalize(x, dim=-1)


def _norm(kind: str, width: int, eps: float) -> nn.Module:
    if kind == "l2":
        return UnitLength()
    return nn.RMSNorm(width, eps=eps) if kind == "rmsnorm" else nn.LayerNorm(width, eps=eps)
