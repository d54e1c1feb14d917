"""What happens to keys and values between their projection and the scores: cache, then copies."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from attntrace.blocks.axes import Axes
from attntrace.blocks.guide import Guide, Past
from attntrace.blocks.heads import HeadLayout
from attntrace.capture.tap import Tap, Taps
from attntrace.spec import Spec


class Cache(nn.Module):
    """Old keys and values in front of the new ones.

    Shapes: k (batch, kv_heads, tokens, head_dim) -> (batch, kv_heads, past+tokens, head_dim), v
    likewise, in the layout of the spec.
    """

    def __init__(self, spec: Spec, axes: Axes) -> None:
        super().__init__()
        a = axes
        self.layout = HeadLayout(spec.attention.layout)
        past = "all_past" if a.keys.startswith("all_past") else "past"
        self.tap = Taps(
            Tap("past_k", self.layout.axes(a.batch, a.kv_heads, past, a.head_dim), "k of the tokens before"),
            Tap("past_v", self.layout.axes(a.batch, a.kv_heads, past, a.value_head_dim), "v of the tokens before"),
            Tap("k_cache", self.layout.axes(a.batch, a.kv_heads, a.keys, a.head_dim), "past.k, then k"),
            Tap("v_cache", self.layout.axes(a.batch, a.kv_heads, a.keys, a.value_head_dim), "past.v, then v"),
        )  # fmt: skip

    def forward(self, k: Tensor, v: Tensor, guide: Guide) -> tuple[Tensor, Tensor]:
        """Return all keys and values, and leave them in the guide for the next step."""
        assert guide.past is not None, "a cache comes in where the spec has one"
        tap, at = self.tap, self.layout.tokens_at
        k = tap.k_cache(torch.cat((tap.past_k(guide.past.k), k), dim=at))
        v = tap.v_cache(torch.cat((tap.past_v(guide.past.v), v), dim=at))
        guide.present.append(Past(k, v))
        return k, v


class Repeat(nn.Module):
    """One copy of a kv head for each query head that it serves.

    Shapes: (batch, kv_heads, keys, d) -> (batch, heads, keys, d).

    Source: Ainslie et al., "GQA" (2023), section 2.2; the copies are how LLaMA's code does it.
    """

    def __init__(self, spec: Spec, axes: Axes) -> None:
        super().__init__()
        a = axes
        self.times = spec.heads // spec.kv_heads
        wide = f"{a.batch} {a.kv_heads} {a.heads}//{a.kv_heads} {a.keys}"
        full = f"{a.batch} {a.heads} {a.keys}"
        self.tap = Taps(
            Tap("k_expanded", f"{wide} {a.head_dim}", "k, seen once for each query head"),
            Tap("k_repeated", f"{full} {a.head_dim}", "k_expanded, copied"),
            Tap("v_expanded", f"{wide} {a.value_head_dim}", "v, seen once for each query head"),
            Tap("v_repeated", f"{full} {a.value_head_dim}", "v_expanded, copied"),
        )

    def forward(self, k: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
        """Return k and v with as many heads as q."""
        tap = self.tap
        k = tap.k_expanded(k.unsqueeze(2).expand(-1, -1, self.times, -1, -1))
        k = tap.k_repeated(k.flatten(1, 2))
        v = tap.v_expanded(v.unsqueeze(2).expand(-1, -1, self.times, -1, -1))
        return k, tap.v_repeated(v.flatten(1, 2))
