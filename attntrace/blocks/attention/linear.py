"""Attention without a score matrix: features of q and k whose products stand for the softmax."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from attntrace.blocks.axes import Axes
from attntrace.blocks.guide import Guide
from attntrace.blocks.heads import HeadLayout
from attntrace.capture.tap import Tap, Taps
from attntrace.spec import Spec


class PerformerFeatures(nn.Module):
    """exp(w x - |x|^2 / 2) / sqrt(m) with random directions w that are not trained.

    Shapes: x (..., head_dim) -> (..., kernel_features).

    Source: Choromanski et al., "Rethinking Attention with Performers" (2021), lemma 1; the scaling
    of w is that of T2T-ViT's performer.
    """

    def __init__(self, width: int, features: int) -> None:
        super().__init__()
        self.count = features
        w = torch.empty(features, width, dtype=torch.float32)  # orthogonal_ knows no less
        if w.device.type != "meta":
            nn.init.orthogonal_(w)
        self.w = nn.Parameter(w * features**0.5, requires_grad=False)

    def forward(self, x: Tensor) -> Tensor:
        """Return positive features whose dot products estimate exp(q k^T)."""
        half_square = (x * x).sum(dim=-1, keepdim=True) / 2
        features: Tensor = torch.exp(x @ self.w.T - half_square) / self.count**0.5
        return features


class EluFeatures(nn.Module):
    """elu(x) + 1.

    Shapes: x (..., head_dim) -> the same.

    Source: Katharopoulos et al., "Transformers are RNNs" (2020), equation 7.
    """

    def forward(self, x: Tensor) -> Tensor:
        """Return positive features."""
        return F.elu(x) + 1


class LinearAttention(nn.Module):
    """q' (k'^T v) / q' sum(k'): no tensor has tokens twice among its axes.

    Shapes: q (batch, heads, tokens, head_dim), k (batch, heads, keys, head_dim), v (batch, heads,
    keys, value_head_dim) -> context (batch, heads, tokens, value_head_dim).
    """

    def __init__(self, spec: Spec, axes: Axes) -> None:
        super().__init__()
        a = axes
        layout = HeadLayout(spec.attention.layout)
        random = spec.attention.features == "performer"
        self.features = (
            PerformerFeatures(spec.head_dim, spec.kernel_features) if random else EluFeatures()
        )
        m = a.kernel_features if random else a.head_dim
        head = a.batch if layout.name == "single" else f"{a.batch} {a.heads}"
        self.tap = Taps(
            Tap("k_features", f"{head} {a.keys} {m}", "features of k"),
            Tap("q_features", f"{head} {a.tokens} {m}", "features of q"),
            Tap("k_sum", f"{head} {m}", "k_features, summed over the keys"),
            Tap("normalizer", f"{head} {a.tokens} 1", "q_features k_sum"),
            Tap("kv", f"{head} {a.value_head_dim} {m}", "v^T k_features"),
            Tap("context_sum", f"{head} {a.tokens} {a.value_head_dim}", "q_features kv^T"),
            Tap("context", f"{head} {a.tokens} {a.value_head_dim}", "context_sum / normalizer"),
        )

    def forward(self, q: Tensor, k: Tensor, v: Tensor, guide: Guide) -> Tensor:
        """Return the context of each query; rules refuse what a guide could hold."""
        assert guide.mask is None, "a rule refuses masks"
        assert guide.bias is None, "a rule refuses positions on the scores"
        tap = self.tap
        k, q = tap.k_features(self.features(k)), tap.q_features(self.features(q))
        k_sum = tap.k_sum(k.sum(dim=-2))
        normalizer = tap.normalizer(q @ k_sum.unsqueeze(-1))
        kv = tap.kv(v.transpose(-2, -1) @ k)
        context = tap.context_sum(q @ kv.transpose(-2, -1))
        return tap.context(context / (normalizer + 1e-8))
