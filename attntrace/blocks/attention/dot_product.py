"""softmax(q k^T * scale) v, every step a tensor of its own, or all in one kernel."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from attntrace.blocks.attention.words import words_of
from attntrace.blocks.axes import Axes
from attntrace.blocks.guide import Guide
from attntrace.blocks.heads import HeadLayout
from attntrace.capture.tap import Tap, Taps
from attntrace.spec import Spec


class DotProduct(nn.Module):
    """Scaled dot products step by step: scale, cap, bias, mask, softmax, dropout.

    Shapes: q (batch, heads, tokens, head_dim), k (batch, heads, keys, head_dim), v (batch, heads,
    keys, value_head_dim), in the layout of the spec -> context (batch, heads, tokens,
    value_head_dim). A mask is True where a key is hidden.

    Source: Vaswani et al., "Attention Is All You Need" (2017), section 3.2.1; the cap is that of
    Gemma 2 (2024), section 2.
    """

    def __init__(self, spec: Spec, axes: Axes) -> None:
        super().__init__()
        a, attention = axes, spec.attention
        self.scale, self.scale_at, self.softcap = spec.scale, attention.scale_at, attention.softcap
        self.fill, self.layout = spec.mask.fill, HeadLayout(attention.layout)
        self.heads = spec.heads
        self.dropout = nn.Dropout(attention.dropout) if attention.dropout else None
        words, masked = words_of(spec), spec.masks or attention.shift
        late = attention.scale_at == "masked_scores" and masked
        q = self.layout.axes(a.batch, a.heads, a.tokens, a.head_dim)
        heads = a.kv_heads if attention.kv_expand == "broadcast" else a.heads
        k_t = {"heads-first": f"{a.batch} {heads}", "folded": f"{a.batch}*{heads}"}
        scores = self.layout.scores_axes(a)
        self.tap = Taps(
            Tap("q_scaled", q, f"q * {words.scale}"),
            Tap("k_t", f"{k_t.get(self.layout.name, a.batch)} {a.head_dim} {a.keys}", "k^T"),
            Tap("scores", scores, words.scores),
            Tap("scores_scaled", scores, f"{'masked_' if late else ''}scores * {words.scale}"),
            Tap("scores_capped", scores, f"{self.softcap} tanh(scores / {self.softcap})"),
            Tap("scores_biased", scores, "scores + bias"),
            Tap("masked_scores", scores, f"scores, {self.fill} where a key is hidden"),
            Tap("probs", scores, "softmax(scores), each row sums to 1"),
            Tap("probs_dropped", scores, "probs, some of them 0, the rest larger"),
            Tap("context", self.layout.axes(a.batch, a.heads, a.tokens, a.value_head_dim), words.context),
        )  # fmt: skip

    def forward(self, q: Tensor, k: Tensor, v: Tensor, guide: Guide) -> Tensor:
        """Return the context of each query."""
        tap, fitted = self.tap, self.layout.fitted
        attn = tap.scores(self.products(self.scaled(q, "q"), k))
        attn = self.scaled(attn, "scores")
        if self.softcap is not None:
            attn = tap.scores_capped(torch.tanh(attn / self.softcap) * self.softcap)
        if guide.bias is not None:
            attn = tap.scores_biased(attn + fitted(guide.bias, attn, self.heads))
        if guide.mask is not None:
            attn = tap.masked_scores(
                attn.masked_fill(fitted(guide.mask, attn, self.heads), self.filling(attn))
            )
        attn = self.scaled(attn, "masked_scores")
        attn = tap.probs(attn.softmax(dim=-1))  # the same name, so that the scores die here
        if self.dropout is not None:
            attn = tap.probs_dropped(self.dropout(attn))
        return tap.context(self.mixed(attn, v))

    def scaled(self, tensor: Tensor, place: str) -> Tensor:
        """Return the tensor times the scale, if this is the place for it."""
        if self.scale is None or place != self.scale_at:
            return tensor
        product = tensor * self.scale
        return self.tap.q_scaled(product) if place == "q" else self.tap.scores_scaled(product)

    def products(self, q: Tensor, k: Tensor) -> Tensor:
        """Return q k^T."""
        if self.layout.name == "token-first":
            return torch.einsum("bqhd,bkhd->bhqk", q, k)
        return q @ self.tap.k_t(k.transpose(-2, -1))

    def mixed(self, probs: Tensor, v: Tensor) -> Tensor:
        """Return probs v."""
        if self.layout.name == "token-first":
            return torch.einsum("bhqk,bkhd->bqhd", probs, v)
        return probs @ v

    def filling(self, scores: Tensor) -> float:
        """Return what a hidden score becomes."""
        if self.fill == "min":
            return torch.finfo(scores.dtype).min
        return float(self.fill)


class Kernel(nn.Module):
    """The same in one call of `scaled_dot_product_attention`, which keeps the scores to itself.

    Shapes: as `DotProduct`, and k and v may have fewer heads. A mask is True where a key is seen.
    """

    def __init__(self, spec: Spec, axes: Axes) -> None:
        super().__init__()
        a = axes
        self.scale = 1.0 if spec.scale is None else spec.scale
        self.named = self.scale > 0  # torch's own causal mask is multiplied: -inf * 0 is NaN
        self.heads = spec.heads
        self.p, self.grouped = spec.attention.dropout, spec.kv_heads != spec.heads
        self.layout = HeadLayout(spec.attention.layout)
        context = self.layout.axes(a.batch, a.heads, a.tokens, a.value_head_dim)
        self.tap = Taps(Tap("context", context, words_of(spec).context))

    def forward(self, q: Tensor, k: Tensor, v: Tensor, guide: Guide) -> Tensor:
        """Return the context of each query."""
        dropout = self.p if self.training else 0.0
        mask = self.mask(guide, q)
        context = F.scaled_dot_product_attention(
            q,
            k,
            v,
            attn_mask=mask,
            dropout_p=dropout,
            is_causal=guide.causal and mask is None,
            scale=self.scale,
            enable_gqa=self.grouped and k.shape[1] != q.shape[1],
        )
        return self.tap.context(context)

    def mask(self, guide: Guide, q: Tensor) -> Tensor | None:
        """Return mask and bias as the one tensor that the kernel takes, None where it needs none."""
        mask, bias = guide.mask, guide.bias
        if mask is not None:
            mask = self.layout.fitted(mask, q, self.heads)
        if bias is None:
            return None if guide.causal and self.named else mask
        bias = self.layout.fitted(bias, q, self.heads)
        return bias if mask is None else bias.masked_fill(~mask, float("-inf"))
