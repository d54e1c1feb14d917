"""Multi-head self-attention, as the T2T-ViT article writes it.

batch     sequences
tokens    length of a sequence
dim       features of a token that comes in
chan      features of a token that goes out
heads     attention heads
head_dim  features of one head's q, k and v; width = heads * head_dim
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from attntrace.blocks.formulas import names_of
from attntrace.capture.tap import Tap, Taps
from attntrace.spec import Spec


class Attention(nn.Module):
    """One fused qkv projection, scaled dot products, softmax, output projection, skip.

    Shapes: x (batch, tokens, dim) -> out (batch, tokens, chan).

    Source: Yuan et al., "Tokens-to-Token ViT" (2021), section 3.1, for the value skip; Vaswani et
    al., "Attention Is All You Need" (2017), section 3.2, for the rest.
    """

    def __init__(self, spec: Spec) -> None:
        super().__init__()
        self.heads, self.head_dim, self.width = spec.heads, spec.head_dim, spec.width
        self.scale, self.skip, self.fused = spec.scale, spec.skip, spec.attention.impl == "sdpa"
        self.qkv = nn.Linear(spec.dim, 3 * spec.width, bias=spec.attention.qkv_bias)
        self.proj = nn.Linear(spec.width, spec.chan, bias=spec.attention.out_bias)

        a = names_of(spec)
        head = "batch heads tokens head_dim"
        self.tap = Taps(
            Tap("x", "batch tokens dim", "the tokens"),
            Tap("qkv", f"batch tokens 3*{a.width}", f"x W_qkv^T{a.qkv_bias}"),
            Tap("qkv_split", "batch tokens 3 heads head_dim", f"qkv, 3*{a.width} cut up"),
            Tap(
                "qkv_stack", "3 batch heads tokens head_dim", "qkv_split, q k v and heads in front"
            ),
            Tap("q", head, "qkv_stack[0], what a token looks for"),
            Tap("k", head, "qkv_stack[1], what a token offers"),
            Tap("v", head, "qkv_stack[2], what a token passes on"),
            Tap("q_scaled", head, f"q * {a.scale}"),
            Tap("k_t", "batch heads head_dim tokens", "k^T"),
            Tap("scores", "batch heads tokens tokens", f"q k^T{a.scores_scale}"),
            Tap("probs", "batch heads tokens tokens", "softmax(scores), each row sums to 1"),
            Tap("context", head, a.context),
            Tap("context_t", "batch tokens heads head_dim", "context, tokens in front of heads"),
            Tap("context_merged", f"batch tokens {a.width}", "context_t, heads side by side"),
            Tap("proj", "batch tokens chan", f"context_merged W_proj^T{a.out_bias}"),
            Tap("v_t", "batch tokens heads head_dim", "v, tokens in front of heads"),
            Tap("v_merged", f"batch tokens {a.width}", "v_t, heads side by side"),
            Tap("out", "batch tokens chan", f"{a.skip} + proj" if a.skip else "proj"),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Return (batch, tokens, chan) for x (batch, tokens, dim)."""
        tap = self.tap
        batch, tokens, _ = tap.x(x).shape

        qkv = tap.qkv(self.qkv(x))
        qkv = tap.qkv_split(qkv.reshape(batch, tokens, 3, self.heads, self.head_dim))
        qkv = tap.qkv_stack(qkv.permute(2, 0, 3, 1, 4))
        q, k, v = tap.q(qkv[0]), tap.k(qkv[1]), tap.v(qkv[2])

        context = self.attend_fused(q, k, v) if self.fused else self.attend(q, k, v)

        context = tap.context_t(context.transpose(1, 2))
        context = tap.context_merged(context.reshape(batch, tokens, self.width))
        proj = tap.proj(self.proj(context))

        if self.skip == "value":
            v = tap.v_t(v.transpose(1, 2))
            return tap.out(tap.v_merged(v.reshape(batch, tokens, self.width)) + proj)
        return tap.out(x + proj) if self.skip == "input" else proj

    def attend(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """Return softmax(q k^T * scale) v, every step a tensor of its own."""
        tap = self.tap
        attn = tap.scores(self.scaled(q) @ tap.k_t(k.transpose(-2, -1)))
        attn = tap.probs(attn.softmax(dim=-1))  # the same name, so that the scores die here
        return tap.context(attn @ v)

    def scaled(self, q: Tensor) -> Tensor:
        """Return q * scale, or q itself where there is no scale."""
        return q if self.scale is None else self.tap.q_scaled(q * self.scale)

    def attend_fused(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """Return the same in one kernel, which keeps the scores to itself."""
        scale = 1.0 if self.scale is None else self.scale
        return self.tap.context(F.scaled_dot_product_attention(q, k, v, scale=scale))
