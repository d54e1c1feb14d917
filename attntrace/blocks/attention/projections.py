"""Where q, k and v come from: one linear map, two, three, or a convolution."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from attntrace.blocks.attention.qk_norm import QkNorm
from attntrace.blocks.attention.words import plus, sources_of
from attntrace.blocks.axes import Axes, source_tokens
from attntrace.blocks.heads import HeadLayout
from attntrace.capture.tap import Tap, Taps
from attntrace.spec import Spec

MEANING = {
    "q": "what a token looks for",
    "k": "what a token offers",
    "v": "what a token passes on",
}


class Separate(nn.Module):
    """W_q, W_k and W_v, each a linear map of its own.

    Shapes: queries (batch, tokens, dim), keys and values (batch, keys, context_dim) -> q, k, v,
    each with its heads in the layout of the spec.
    """

    def __init__(self, spec: Spec, axes: Axes) -> None:
        super().__init__()
        a, attention = axes, spec.attention
        self.heads, self.kv_heads = spec.heads, spec.kv_heads
        self.layout = HeadLayout(attention.layout)
        context_dim = spec.context_dim if spec.cross else spec.dim
        self.q_proj = nn.Linear(spec.dim, spec.width, bias=attention.q_bias)
        self.k_proj = nn.Linear(context_dim, spec.kv_width, bias=attention.k_bias)
        self.v_proj = nn.Linear(
            context_dim, spec.kv_heads * spec.value_head_dim, bias=attention.v_bias
        )
        by_width = attention.qk_norm != "none" and attention.qk_norm_over == "width"
        self.qk_norm = QkNorm(spec, a) if by_width else None
        normed = attention.qk_norm if by_width else ""
        x = sources_of(spec)
        tokens = source_tokens(spec, a)
        self.tap = Taps(
            *self.layout.taps(
                Tap("q_proj", f"{a.batch} {a.tokens} {a.width}", f"{x.q} W_q^T{plus(attention.q_bias, 'q')}"),
                a.heads, a.head_dim, normed=normed,
            ),
            *self.layout.taps(
                Tap("k_proj", f"{a.batch} {tokens} {a.kv_width}", f"{x.k} W_k^T{plus(attention.k_bias, 'k')}"),
                a.kv_heads, a.head_dim, normed=normed,
            ),
            *self.layout.taps(
                Tap("v_proj", f"{a.batch} {tokens} {a.kv_value_width}", f"{x.v} W_v^T{plus(attention.v_bias, 'v')}"),
                a.kv_heads, a.value_head_dim,
            ),
        )  # fmt: skip

    def forward(
        self, queries: Tensor, keys: Tensor, values: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Return q, k and v."""
        tap, layout = self.tap, self.layout
        q, k = tap.q_proj(self.q_proj(queries)), tap.k_proj(self.k_proj(keys))
        if self.qk_norm is not None:
            q, k = self.qk_norm(q, k)
        q, k = layout.split(tap, "q", q, self.heads), layout.split(tap, "k", k, self.kv_heads)
        v = layout.split(tap, "v", tap.v_proj(self.v_proj(values)), self.kv_heads)
        return q, k, v


class KvFused(nn.Module):
    """W_q, and one map for k and v, as in Perceiver and PVT code.

    Shapes: as `Separate`.
    """

    def __init__(self, spec: Spec, axes: Axes) -> None:
        super().__init__()
        a, attention = axes, spec.attention
        self.heads, self.kv_heads = spec.heads, spec.kv_heads
        self.layout = HeadLayout(attention.layout)
        context_dim = spec.context_dim if spec.cross else spec.dim
        self.parts = [spec.kv_width, spec.kv_heads * spec.value_head_dim]
        self.q_proj = nn.Linear(spec.dim, spec.width, bias=attention.q_bias)
        self.kv_proj = nn.Linear(context_dim, sum(self.parts), bias=attention.k_bias)
        x = sources_of(spec)
        tokens = source_tokens(spec, a)
        both = f"{a.kv_width}+{a.kv_value_width}"
        self.tap = Taps(
            *self.layout.taps(
                Tap("q_proj", f"{a.batch} {a.tokens} {a.width}", f"{x.q} W_q^T{plus(attention.q_bias, 'q')}"),
                a.heads, a.head_dim,
            ),
            Tap("kv_proj", f"{a.batch} {tokens} {both}", f"{x.v} W_kv^T{plus(attention.k_bias, 'kv')}"),
            *self.layout.taps(
                Tap("k_proj", f"{a.batch} {tokens} {a.kv_width}", "the first part of kv_proj"),
                a.kv_heads, a.head_dim,
            ),
            *self.layout.taps(
                Tap("v_proj", f"{a.batch} {tokens} {a.kv_value_width}", "the second part of kv_proj"),
                a.kv_heads, a.value_head_dim,
            ),
        )  # fmt: skip

    def forward(
        self, queries: Tensor, keys: Tensor, values: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Return q, k and v; keys and values are one tensor here."""
        tap, layout = self.tap, self.layout
        assert keys is values, "a rule refuses positions on k alone"
        q = layout.split(tap, "q", tap.q_proj(self.q_proj(queries)), self.heads)
        k, v = torch.split(tap.kv_proj(self.kv_proj(keys)), self.parts, dim=-1)
        k = layout.split(tap, "k", tap.k_proj(k), self.kv_heads)
        v = layout.split(tap, "v", tap.v_proj(v), self.kv_heads)
        return q, k, v
