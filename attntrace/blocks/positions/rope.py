"""Rotary positions: q and k are turned by an angle that grows with their place."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from attntrace.blocks.axes import Axes
from attntrace.blocks.heads import HeadLayout
from attntrace.capture.tap import Tap, Taps
from attntrace.spec import Spec


class RotaryTable(nn.Module):
    """cos and sin of place * theta^(-2 i / rotary_dim).

    Shapes: -> cos and sin (tokens, rotary_dim), each angle twice, for halves; (tokens,
    rotary_dim / 2) for neighbours.

    Source: Su et al., "RoFormer" (2021), section 3.2.2.
    """

    def __init__(self, spec: Spec, axes: Axes) -> None:
        super().__init__()
        self.first, self.tokens = spec.first_place, spec.tokens
        self.width, self.base = spec.rotary_dim, spec.positions.theta
        self.twice = spec.positions.style == "half"
        name = rotary_name(spec, axes)
        width = name if self.twice else f"{name}//2"
        self.tap = Taps(
            Tap("angle", f"{axes.tokens} {name}//2", f"place * theta^(-2i/{name})"),
            Tap("cos", f"{axes.tokens} {width}", "cos(angle)"),
            Tap("sin", f"{axes.tokens} {width}", "sin(angle)"),
        )

    def forward(self, like: Tensor) -> tuple[Tensor, Tensor]:
        """Return cos and sin, computed in float32, with the device and dtype of `like`."""
        tap, device = self.tap, like.device
        pair = torch.arange(0, self.width, 2, device=device).float()
        place = torch.arange(self.first, self.first + self.tokens, device=device)
        angle = tap.angle(torch.outer(place.float(), self.base ** (-pair / self.width)))
        if self.twice:
            angle = torch.cat((angle, angle), dim=-1)
        return tap.cos(angle.cos().to(like.dtype)), tap.sin(angle.sin().to(like.dtype))


def rotary_name(spec: Spec, axes: Axes) -> str:
    """Return the symbol of the features that are turned."""
    if spec.kind == "mla":
        return "rope_head_dim"
    return axes.head_dim if spec.positions.fraction == 1 else "rotary_dim"


class Rope(nn.Module):
    """Turn the first rotary_dim features of each head of q and k; leave the rest.

    Shapes: q (batch, heads, tokens, head_dim) and k (batch, kv_heads, tokens, head_dim), in the
    layout of the spec -> the same.
    """

    def __init__(self, spec: Spec, axes: Axes) -> None:
        super().__init__()
        a = axes
        self.style, self.width = spec.positions.style, spec.rotary_dim
        self.layout = HeadLayout(spec.attention.layout)
        self.tap = Taps(
            Tap("q_rope", self.layout.axes(a.batch, a.heads, a.tokens, a.head_dim), "q, turned by its place"),
            Tap("k_rope", self.layout.axes(a.batch, a.kv_heads, a.tokens, a.head_dim), "k, turned by its place"),
        )  # fmt: skip

    def forward(self, q: Tensor, k: Tensor, rotary: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
        """Return q and k, turned."""
        cos, sin = rotary
        if self.layout.name == "token-first":
            cos, sin = cos.unsqueeze(1), sin.unsqueeze(1)
        return self.tap.q_rope(self.part(q, cos, sin)), self.tap.k_rope(self.part(k, cos, sin))

    def part(self, x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        """Return x with its first features turned."""
        if self.width == x.shape[-1]:
            return turned(x, cos, sin, self.style)
        head, tail = x[..., : self.width], x[..., self.width :]
        return torch.cat((turned(head, cos, sin, self.style), tail), dim=-1)


def turned(x: Tensor, cos: Tensor, sin: Tensor, style: str) -> Tensor:
    """Return x (..., tokens, d) with its pairs of features turned by cos and sin.

    Style "half" pairs feature i with i + d/2 and takes cos and sin (tokens, d); "interleaved"
    pairs neighbours and takes (tokens, d/2).
    """
    if style == "half":
        left, right = x.chunk(2, dim=-1)
        return x * cos + torch.cat((-right, left), dim=-1) * sin
    even, odd = x[..., 0::2], x[..., 1::2]
    pairs = torch.stack((even * cos - odd * sin, odd * cos + even * sin), dim=-1)
    return pairs.flatten(-2)
