"""Scores from a small network instead of a product."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from attntrace.blocks.attention.words import words_of
from attntrace.blocks.axes import Axes
from attntrace.blocks.guide import Guide
from attntrace.blocks.heads import HeadLayout
from attntrace.capture.tap import Tap, Taps
from attntrace.spec import Spec


class Additive(nn.Module):
    """scores = u^T tanh(q + k), where q = x W_q and k = x W_k are the layer's projections.

    Shapes: q (batch, heads, tokens, head_dim), k (batch, heads, keys, head_dim), v (batch, heads,
    keys, value_head_dim) -> context (batch, heads, tokens, value_head_dim). head_dim is align_dim.

    Source: Bahdanau et al., "Neural Machine Translation by Jointly Learning to Align and
    Translate" (2015), appendix A.1.2.
    """

    def __init__(self, spec: Spec, axes: Axes) -> None:
        super().__init__()
        a = axes
        self.heads = spec.heads
        self.layout, self.fill = HeadLayout(spec.attention.layout), spec.mask.fill
        self.energy = nn.Linear(spec.head_dim, 1, bias=False)
        self.dropout = nn.Dropout(spec.attention.dropout) if spec.attention.dropout else None
        scores = self.layout.scores_axes(a)
        head = "" if self.layout.name == "single" else f"{a.heads} "
        pairs = f"{a.batch} {head}{a.tokens} {a.keys}"
        self.tap = Taps(
            Tap("pairs", f"{pairs} {a.head_dim}", "q + k, every query with every key"),
            Tap("aligned", f"{pairs} {a.head_dim}", "tanh(pairs)"),
            Tap("energy", f"{pairs} 1", "aligned u"),
            Tap("scores", scores, "u^T tanh(q + k)"),
            Tap("scores_biased", scores, "scores + bias"),
            Tap("masked_scores", scores, f"scores, {self.fill} where a key is hidden"),
            Tap("probs", scores, "softmax(scores), each row sums to 1"),
            Tap("probs_dropped", scores, "probs, some of them 0, the rest larger"),
            Tap("context", self.layout.axes(a.batch, a.heads, a.tokens, a.value_head_dim), words_of(spec).context),
        )  # fmt: skip

    def forward(self, q: Tensor, k: Tensor, v: Tensor, guide: Guide) -> Tensor:
        """Return the context of each query."""
        tap, fitted = self.tap, self.layout.fitted
        attn = tap.pairs(q.unsqueeze(-2) + k.unsqueeze(-3))
        attn = tap.aligned(attn.tanh())
        attn = tap.scores(tap.energy(self.energy(attn)).squeeze(-1))
        if guide.bias is not None:
            attn = tap.scores_biased(attn + fitted(guide.bias, attn, self.heads))
        if guide.mask is not None:
            fill = torch.finfo(attn.dtype).min if self.fill == "min" else float(self.fill)
            attn = tap.masked_scores(attn.masked_fill(fitted(guide.mask, attn, self.heads), fill))
        attn = tap.probs(attn.softmax(dim=-1))
        if self.dropout is not None:
            attn = tap.probs_dropped(self.dropout(attn))
        return tap.context(attn @ v)
