"""Multi-head latent attention: k and v are made from a narrow latent, and that is what is cached."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from attntrace.blocks.attention.words import plus
from attntrace.blocks.axes import Axes
from attntrace.blocks.guide import Guide, Past
from attntrace.blocks.positions.rope import turned
from attntrace.capture.tap import Tap, Taps
from attntrace.spec import Spec


class Latent(nn.Module):
    """q through a latent of q_lora_rank, k and v through one of kv_lora_rank.

    A head of q and k is nope_head_dim features without position and rope_head_dim with; the
    rotary part of k is one for all heads. The cache holds kv_lora_rank + rope_head_dim numbers a
    token, whatever the heads.

    Shapes: x (batch, tokens, dim) -> q (batch, heads, tokens, head_dim), k (batch, heads, keys,
    head_dim), v (batch, heads, keys, value_head_dim).

    Source: DeepSeek-AI, "DeepSeek-V2" (2024), section 2.1 and appendix C.
    """

    def __init__(self, spec: Spec, axes: Axes) -> None:
        super().__init__()
        part = spec.attention
        nope, rope, rank = part.nope_head_dim, part.rope_head_dim, part.kv_lora_rank
        assert nope and rope and rank, "a rule asks for all three"  # noqa: PT018
        self.heads, self.value_head_dim = spec.heads, spec.value_head_dim
        self.nope, self.rope, self.rank, self.style = nope, rope, rank, spec.positions.style
        self.cached = spec.cache.past is not None
        width = spec.heads * (nope + rope)
        self.q_a = self.q_norm = None
        if part.q_lora_rank:
            self.q_a = nn.Linear(spec.dim, part.q_lora_rank, bias=part.q_bias)
            self.q_norm = nn.RMSNorm(part.q_lora_rank, eps=spec.norm.eps)
        self.q_b = nn.Linear(part.q_lora_rank or spec.dim, width, bias=False)
        self.kv_a = nn.Linear(spec.dim, rank + rope, bias=part.k_bias)
        self.kv_norm = nn.RMSNorm(rank, eps=spec.norm.eps)
        self.kv_b = nn.Linear(rank, spec.heads * (nope + spec.value_head_dim), bias=False)
        self.tap = Taps(*q_taps(spec, axes), *kv_taps(spec, axes))

    def forward(self, x: Tensor, guide: Guide) -> tuple[Tensor, Tensor, Tensor]:
        """Return q, k and v; the rotary parts are turned already."""
        return (self.queries(x, guide), *self.keys_and_values(x, guide))

    def queries(self, x: Tensor, guide: Guide) -> Tensor:
        """Return q (batch, heads, tokens, head_dim)."""
        tap = self.tap
        if self.q_a is not None and self.q_norm is not None:
            x = tap.q_latent_normed(self.q_norm(tap.q_latent(self.q_a(x))))
        q = tap.q_proj(self.q_b(x))
        q = tap.q_heads(tap.q_split(torch.unflatten(q, -1, (self.heads, -1))).transpose(1, 2))
        q_nope, q_rope = torch.split(q, [self.nope, self.rope], dim=-1)
        q_nope, q_rope = tap.q_nope(q_nope), tap.q_rope(q_rope)
        if guide.rotary is not None:
            q_rope = tap.q_turned(turned(q_rope, *guide.rotary, self.style))
        return tap.q(torch.cat((q_nope, q_rope), dim=-1))

    def keys_and_values(self, x: Tensor, guide: Guide) -> tuple[Tensor, Tensor]:
        """Return k (batch, heads, keys, head_dim) and v (batch, heads, keys, value_head_dim)."""
        tap = self.tap
        latent, k_rope = torch.split(tap.kv_latent(self.kv_a(x)), [self.rank, self.rope], dim=-1)
        latent = tap.latent(tap.latent_normed(self.kv_norm(latent)).unsqueeze(1))
        k_rope = tap.k_rope(k_rope.unsqueeze(1))
        if guide.rotary is not None:
            k_rope = tap.k_turned(turned(k_rope, *guide.rotary, self.style))
        if self.cached:
            latent, k_rope = self.remembered(latent, k_rope, guide)
        kv = tap.kv_proj(self.kv_b(latent))
        kv = tap.kv_split(torch.unflatten(kv.squeeze(1), -1, (self.heads, -1)))
        kv = tap.kv_heads(kv.transpose(1, 2))
        k_nope, v = torch.split(kv, [self.nope, self.value_head_dim], dim=-1)
        k_nope, v = tap.k_nope(k_nope), tap.v(v)
        k_rope = tap.k_shared(k_rope.expand(-1, self.heads, -1, -1))
        return tap.k(torch.cat((k_nope, k_rope), dim=-1)), v

    def remembered(self, latent: Tensor, k_rope: Tensor, guide: Guide) -> tuple[Tensor, Tensor]:
        """Return the latents of all tokens, and leave them in the guide for the next step."""
        assert guide.past is not None, "a cache comes in where the spec has one"
        tap, past = self.tap, guide.past
        latent = tap.latent_cache(torch.cat((tap.past_latent(past.k), latent), dim=2))
        k_rope = tap.k_rope_cache(torch.cat((tap.past_k_rope(past.v), k_rope), dim=2))
        guide.present.append(Past(latent, k_rope))
        return latent, k_rope


def q_taps(spec: Spec, a: Axes) -> list[Tap]:
    """Return the taps of the way to q."""
    head, part = f"{a.batch} {a.heads} {a.tokens}", spec.attention
    made_from = "q_latent_normed" if part.q_lora_rank else "x"
    turned_part = "q_turned" if spec.positions.kind == "rope" else "q_rope"
    return [
        Tap("q_latent", f"{a.batch} {a.tokens} q_lora_rank", f"x W_qa^T{plus(part.q_bias, 'qa')}"),
        Tap("q_latent_normed", f"{a.batch} {a.tokens} q_lora_rank", "rmsnorm(q_latent)"),
        Tap("q_proj", f"{a.batch} {a.tokens} {a.width}", f"{made_from} W_qb^T"),
        Tap("q_split", f"{a.batch} {a.tokens} {a.heads} {a.head_dim}", "q_proj, cut up"),
        Tap("q_heads", f"{head} {a.head_dim}", "q_split, heads in front of tokens"),
        Tap("q_nope", f"{head} nope_head_dim", "the part of q_heads without position"),
        Tap("q_rope", f"{head} rope_head_dim", "the part of q_heads with position"),
        Tap("q_turned", f"{head} rope_head_dim", "q_rope, turned by its position"),
        Tap("q", f"{head} {a.head_dim}", f"q_nope, {turned_part}"),
    ]


def kv_taps(spec: Spec, a: Axes) -> list[Tap]:
    """Return the taps of the way to k and v."""
    k_rope = "k_turned" if spec.positions.kind == "rope" else "k_rope"
    cached = spec.cache.past is not None
    bias = plus(spec.attention.k_bias, "kva")
    head = f"{a.batch} {a.heads} {a.keys}"
    past = "all_past" if a.keys.startswith("all_past") else "past"
    both = f"nope_head_dim+{a.value_head_dim}"
    return [
        Tap("kv_latent", f"{a.batch} {a.tokens} kv_lora_rank+rope_head_dim", f"x W_kva^T{bias}"),
        Tap("latent_normed", f"{a.batch} {a.tokens} kv_lora_rank", "rmsnorm of kv_latent's first part"),
        Tap("latent", f"{a.batch} 1 {a.tokens} kv_lora_rank", "latent_normed, one for all heads"),
        Tap("k_rope", f"{a.batch} 1 {a.tokens} rope_head_dim", "kv_latent's last part, one for all heads"),
        Tap("k_turned", f"{a.batch} 1 {a.tokens} rope_head_dim", "k_rope, turned by its position"),
        Tap("past_latent", f"{a.batch} 1 {past} kv_lora_rank", "latents of the tokens before"),
        Tap("past_k_rope", f"{a.batch} 1 {past} rope_head_dim", "their turned parts of k"),
        Tap("latent_cache", f"{a.batch} 1 {a.keys} kv_lora_rank", "past.k, then latent"),
        Tap("k_rope_cache", f"{a.batch} 1 {a.keys} rope_head_dim", f"past.v, then {k_rope}"),
        Tap("kv_proj", f"{a.batch} 1 {a.keys} {a.heads}*({both})", f"{'latent_cache' if cached else 'latent'} W_kvb^T"),
        Tap("kv_split", f"{a.batch} {a.keys} {a.heads} {both}", "kv_proj, cut up"),
        Tap("kv_heads", f"{head} {both}", "kv_split, heads in front of tokens"),
        Tap("k_nope", f"{head} nope_head_dim", "the part of kv_heads that is k"),
        Tap("v", f"{head} {a.value_head_dim}", "the part of kv_heads that is v"),
        Tap("k_shared", f"{head} rope_head_dim", f"{'k_rope_cache' if cached else k_rope}, the same for every head"),
        Tap("k", f"{head} {a.head_dim}", "k_nope, k_shared"),
    ]  # fmt: skip
