"""One attention layer: project, place, remember, attend, merge, project back."""

from __future__ import annotations

from typing import cast

from torch import Tensor, nn

from attntrace.blocks.attention.additive import Additive
from attntrace.blocks.attention.dot_product import DotProduct, Kernel
from attntrace.blocks.attention.fused import Convolution, Fused
from attntrace.blocks.attention.kv import Cache, Repeat
from attntrace.blocks.attention.latent import Latent
from attntrace.blocks.attention.linear import LinearAttention
from attntrace.blocks.attention.placing import placed, placing_taps
from attntrace.blocks.attention.projections import KvFused, Separate
from attntrace.blocks.attention.qk_norm import QkNorm
from attntrace.blocks.attention.shared_head import SharedHead
from attntrace.blocks.attention.words import merged_of, plus, returned_by
from attntrace.blocks.axes import Axes
from attntrace.blocks.guide import NOTHING, Guide
from attntrace.blocks.heads import HeadLayout
from attntrace.blocks.positions.conv import ValueConv
from attntrace.blocks.positions.rope import Rope
from attntrace.capture.tap import Tap, Taps
from attntrace.spec import Spec

PROJECTIONS = {
    "fused": Fused,
    "separate": Separate,
    "kv-fused": KvFused,
    "conv": Convolution,
    "shared-head": SharedHead,
    "mla": Latent,
}
"""How q, k and v are made, by kind of attention or else by attention.qkv."""
ATTENDS = {"additive": Additive, "linear": LinearAttention, "sdpa": Kernel, "eager": DotProduct}
"""How they meet, by kind of attention or else by attention.impl."""


class Attention(nn.Module):
    """Attention over one sequence, or from one sequence to another.

    Shapes: x (batch, tokens, dim), context (batch, context_tokens, context_dim) or None -> out
    (batch, tokens, chan).

    Source: Vaswani et al., "Attention Is All You Need" (2017), section 3.2; Yuan et al.,
    "Tokens-to-Token ViT" (2021), section 3.1, for the value skip.
    """

    def __init__(self, spec: Spec, axes: Axes) -> None:
        super().__init__()
        a, attention = axes, spec.attention
        self.heads, self.skip = spec.heads, spec.skip
        self.layout = HeadLayout(attention.layout)
        self.project = PROJECTIONS.get(spec.kind, PROJECTIONS[spec.qkv])(spec, a)
        by_head = attention.qk_norm != "none" and attention.qk_norm_over == "head"
        self.qk_norm = QkNorm(spec, a) if by_head else None
        self.rope = Rope(spec, a) if spec.positions.kind == "rope" and spec.kind != "mla" else None
        cached = spec.cache.past is not None and spec.kind != "mla"
        self.cache = Cache(spec, a) if cached else None
        apart = spec.kv_heads != spec.heads and attention.kv_expand == "repeat"
        self.repeat = Repeat(spec, a) if apart else None
        self.attend = ATTENDS.get(spec.kind, ATTENDS.get(attention.impl, DotProduct))(spec, a)
        self.value_conv = ValueConv(spec, a) if spec.positions.kind == "conv" else None
        self.proj = (
            nn.Linear(spec.value_width, spec.chan, bias=attention.out_bias)
            if attention.out_proj
            else None
        )
        self.tap = Taps(*self.taps(spec, a))

    def taps(self, spec: Spec, a: Axes) -> list[Tap]:
        """Return the taps of this module itself; its parts have their own."""
        bias = plus(spec.attention.out_bias, "proj")
        out = f"{a.batch} {a.tokens} {a.chan}"
        merged = "context" if self.layout.name == "single" else "context_merged"
        v = "v" if self.layout.name == "single" else "v_merged"
        return [
            *placing_taps(spec, a),
            *self.layout.merge_taps("context", a),
            Tap("context_placed", f"{a.batch} {a.tokens} {a.value_width}", f"{merged} + v_conv"),
            Tap("proj", out, f"{merged_of(spec)} W_proj^T{bias}"),
            *self.layout.merge_taps("v", a),
            Tap("out", out, f"{v} + {returned_by(spec)}"),
        ]

    def forward(self, x: Tensor, context: Tensor | None = None, guide: Guide = NOTHING) -> Tensor:
        """Return (batch, tokens, chan) for x (batch, tokens, dim)."""
        q, k, v = self.parts(x, x if context is None else context, guide)
        attended = (
            self.attend(q, k, v, guide) if self.repeat is None else self.grouped(q, k, v, guide)
        )
        merged = self.layout.merge(self.tap, "context", attended, self.heads)
        if self.value_conv is not None:
            merged = self.tap.context_placed(merged + self.value_conv(v))
        out = merged if self.proj is None else self.tap.proj(self.proj(merged))
        if self.skip != "value":
            return out
        return self.tap.out(self.layout.merge(self.tap, "v", v, self.heads) + out)

    def parts(self, x: Tensor, source: Tensor, guide: Guide) -> tuple[Tensor, Tensor, Tensor]:
        """Return q, k and v as they meet: placed, normed, with what the cache holds."""
        if isinstance(self.project, Latent):
            made: tuple[Tensor, Tensor, Tensor] = self.project(x, guide)
            return made
        queries, keys = placed(self.tap, x, source, guide)
        q, k, v = self.project(queries, keys, source)
        if self.qk_norm is not None:
            q, k = self.qk_norm(q, k)
        if self.rope is not None and guide.rotary is not None:
            q, k = self.rope(q, k, guide.rotary)
        if self.cache is not None:
            k, v = self.cache(k, v, guide)
        return q, k, v

    def grouped(self, q: Tensor, k: Tensor, v: Tensor, guide: Guide) -> Tensor:
        """Return the context where fewer kv heads serve all heads by being copied."""
        assert self.repeat is not None
        k, v = self.repeat(k, v)
        return cast(Tensor, self.attend(q, k, v, guide))
