"""One projection for q, k and v: a linear map, or a convolution over the map."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from attntrace.blocks.attention.projections import MEANING
from attntrace.blocks.attention.words import plus
from attntrace.blocks.axes import Axes
from attntrace.blocks.heads import HeadLayout
from attntrace.capture.tap import Tap, Taps
from attntrace.spec import Spec


class Fused(nn.Module):
    """One linear map, cut into q, k and v: views of one storage.

    3hd  q, k, v, each with its heads: timm, the T2T article, GPT-2, LLaMA-style fused code
    kqv  the same with k in front: T2T's performer
    h3d  heads, each with its q, k, v: BLOOM, GPT-NeoX

    Shapes: x (batch, tokens, dim) -> q, k, v, each with its heads in the layout of the spec.
    """

    def __init__(self, spec: Spec, axes: Axes) -> None:
        super().__init__()
        attention = spec.attention
        self.heads, self.kv_heads = spec.heads, spec.kv_heads
        self.layout, self.order = HeadLayout(attention.layout), attention.qkv_layout
        self.widths = {
            "q": spec.width,
            "k": spec.kv_width,
            "v": spec.kv_heads * spec.value_head_dim,
        }
        self.head_widths = [spec.head_dim, spec.head_dim, spec.value_head_dim]
        alike = len(set(self.widths.values())) == 1
        self.stacked = alike and attention.layout == "heads-first" and self.order != "h3d"
        self.qkv = self.projection(spec)
        self.tap = Taps(*self.first_taps(spec, axes), *self.cut_taps(axes))

    def projection(self, spec: Spec) -> nn.Module:
        """Return the map that makes all three."""
        return nn.Linear(spec.dim, sum(self.widths.values()), bias=spec.attention.q_bias)

    def first_taps(self, spec: Spec, axes: Axes) -> list[Tap]:
        """Return the taps up to qkv."""
        bias = plus(spec.attention.q_bias, "qkv")
        return [Tap("qkv", f"{axes.batch} {axes.tokens} {whole(axes)}", f"x W_qkv^T{bias}")]

    def cut_taps(self, a: Axes) -> list[Tap]:
        """Return the taps from qkv to q, k and v."""
        head = f"{a.batch} {a.heads} {a.tokens} {a.head_dim}"
        order = " ".join(self.order) if self.order == "kqv" else "q k v"
        if self.stacked:
            at = self.places
            return [
                Tap("qkv_split", f"{a.batch} {a.tokens} 3 {a.heads} {a.head_dim}", f"qkv, {whole(a)} cut up"),
                Tap("qkv_stack", f"3 {head}", f"qkv_split, {order} and heads in front"),
                *(Tap(n, head, f"qkv_stack[{at[n]}], {MEANING[n]}") for n in "qkv"),
            ]  # fmt: skip
        parts = {
            "q": (a.heads, a.head_dim, a.width),
            "k": (a.kv_heads, a.head_dim, a.kv_width),
            "v": (a.kv_heads, a.value_head_dim, a.kv_value_width),
        }
        split = f"{a.batch} {a.tokens} {a.heads} 2*{a.head_dim}+{a.value_head_dim}"
        by_head = self.order == "h3d"
        taps = [Tap("qkv_split", split, "qkv, cut into heads of q, k and v")] if by_head else []
        for n, (heads, last, width) in parts.items():
            if by_head:
                sizes, words = (
                    (a.batch, heads, a.tokens, last),
                    f"the part of qkv_split that is {n}",
                )
                taps += self.layout.lift_taps(n, sizes, words)
            else:
                words = f"the part of qkv that is {n}"
                proj = Tap(f"{n}_proj", f"{a.batch} {a.tokens} {width}", words)
                taps += self.layout.taps(proj, heads, last)
        return taps

    @property
    def places(self) -> dict[str, int]:
        """Where q, k and v stand among the three."""
        order = "kqv" if self.order == "kqv" else "qkv"
        return {name: order.index(name) for name in "qkv"}

    def forward(self, x: Tensor, keys: Tensor, values: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return q, k and v, all made from x; keys and values are x too."""
        assert keys is x, "rules refuse a context and positions on q and k"
        assert values is x, "rules refuse a context and positions on q and k"
        return self.cut(self.tap.qkv(self.qkv(x)))

    def cut(self, qkv: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return q, k and v of qkv (batch, tokens, all three widths)."""
        if self.stacked:
            return self.unstack(qkv)
        return self.by_head(qkv) if self.order == "h3d" else self.by_part(qkv)

    def unstack(self, qkv: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Cut three equal parts at once: one reshape, one permute."""
        tap, at = self.tap, self.places
        batch, tokens, width = qkv.shape
        qkv = tap.qkv_split(qkv.reshape(batch, tokens, 3, self.heads, width // 3 // self.heads))
        qkv = tap.qkv_stack(qkv.permute(2, 0, 3, 1, 4))
        return tap.q(qkv[at["q"]]), tap.k(qkv[at["k"]]), tap.v(qkv[at["v"]])

    def by_head(self, qkv: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Cut heads first, then each head's q, k and v."""
        tap, layout = self.tap, self.layout
        batch, tokens, _ = qkv.shape
        qkv = tap.qkv_split(qkv.reshape(batch, tokens, self.heads, -1))
        q, k, v = torch.split(qkv, self.head_widths, dim=-1)
        return layout.lift(tap, "q", q), layout.lift(tap, "k", k), layout.lift(tap, "v", v)

    def by_part(self, qkv: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Cut q, k and v first, then the heads of each."""
        tap, layout = self.tap, self.layout
        order = sorted("qkv", key=self.places.__getitem__)
        parts = dict(
            zip(order, torch.split(qkv, [self.widths[n] for n in order], dim=-1), strict=True)
        )
        q = layout.split(tap, "q", tap.q_proj(parts["q"]), self.heads)
        k = layout.split(tap, "k", tap.k_proj(parts["k"]), self.kv_heads)
        v = layout.split(tap, "v", tap.v_proj(parts["v"]), self.kv_heads)
        return q, k, v


class Convolution(Fused):
    """The same with a convolution over the map of tokens, as in CvT (Wu et al., 2021) and PSA.

    Shapes: as `Fused`; the tokens lie row by row on a map of rows*columns.
    """

    def projection(self, spec: Spec) -> nn.Module:
        """Return the convolution that makes all three, and keeps the map's size."""
        assert spec.map is not None, "a rule refuses tokens without a map"
        self.map = spec.map
        kernel, width = spec.attention.conv_kernel, sum(self.widths.values())
        return nn.Conv2d(spec.dim, width, kernel, padding=kernel // 2, bias=spec.attention.q_bias)

    def first_taps(self, spec: Spec, axes: Axes) -> list[Tap]:
        """Return the taps up to qkv."""
        a = axes
        bias = plus(spec.attention.q_bias, "qkv")
        return [
            Tap("x_map", f"{a.batch} {a.dim} {a.rows} {a.columns}", "x, tokens on their map"),
            Tap("qkv_map", f"{a.batch} {whole(a)} {a.rows} {a.columns}", f"conv(x_map){bias}"),
            Tap("qkv", f"{a.batch} {a.tokens} {whole(a)}", "qkv_map, a token a place"),
        ]

    def forward(self, x: Tensor, keys: Tensor, values: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return q, k and v, all made from x; keys and values are x too."""
        assert keys is x, "rules refuse a context and positions on q and k"
        assert values is x, "rules refuse a context and positions on q and k"
        tap = self.tap
        x = tap.x_map(torch.unflatten(x.transpose(1, 2), 2, self.map))
        qkv = tap.qkv_map(self.qkv(x))
        return self.cut(tap.qkv(qkv.flatten(2).transpose(1, 2)))


def whole(a: Axes) -> str:
    """Return the width of q, k and v side by side."""
    if a.width == a.kv_width == a.kv_value_width == "chan":
        return "3*chan"
    if a.width == a.kv_width == a.kv_value_width:
        return f"3*{a.width}"
    return f"{a.width}+{a.kv_width}+{a.kv_value_width}"
