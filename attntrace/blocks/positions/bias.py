"""Positions as something that is added to the scores: ALiBi, and T5's buckets of distance."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from attntrace.blocks.axes import Axes
from attntrace.capture.tap import Tap, Taps
from attntrace.spec import Spec


def distances(tokens: int, keys: int, device: torch.device) -> Tensor:
    """Return the place of each key less that of each query (tokens, keys); queries stand last."""
    query = torch.arange(keys - tokens, keys, device=device).unsqueeze(1)
    return torch.arange(keys, device=device) - query


class Alibi(nn.Module):
    """-slope * |distance|, with a slope of its own for each head.

    Shapes: -> (heads, tokens, keys).

    Source: Press et al., "Train Short, Test Long" (2022), section 3; slopes for heads that are no
    power of two as in its code.
    """

    def __init__(self, spec: Spec, axes: Axes) -> None:
        super().__init__()
        self.heads, self.tokens, self.keys = spec.heads, spec.tokens, spec.key_tokens
        bias = f"{axes.heads} {axes.tokens} {axes.keys}"
        self.tap = Taps(
            Tap("slopes", axes.heads, "2^(-8 h / heads), how fast each head forgets"),
            Tap("bias", bias, "-slope * |distance|"),
        )

    def forward(self, like: Tensor) -> Tensor:
        """Return the bias, with the device and dtype of `like`."""
        slopes = self.tap.slopes(torch.tensor(slopes_of(self.heads), device=like.device))
        away = distances(self.tokens, self.keys, like.device).abs()
        return self.tap.bias((slopes[:, None, None] * -away).to(like.dtype))


def slopes_of(heads: int) -> list[float]:
    """Return a geometric series from 2^(-8/n), n the power of two below; then every second of 2n's."""
    whole = 2 ** math.floor(math.log2(heads))
    slopes = [2 ** (-8 * (h + 1) / whole) for h in range(whole)]
    between = [2 ** (-4 * (h + 1) / whole) for h in range(0, 2 * whole, 2)]
    return slopes + between[: heads - whole]


class T5Bias(nn.Module):
    """A learned number for each head and bucket of distance.

    Half of a direction's buckets are single distances, the rest grow with the logarithm up to
    max_distance. Without a causal mask each direction has half of the buckets.

    Shapes: -> (heads, tokens, keys).

    Source: Raffel et al., "Exploring the Limits of Transfer Learning" (2020), section 2.1, and its
    code.
    """

    def __init__(self, spec: Spec, axes: Axes) -> None:
        super().__init__()
        self.tokens, self.keys = spec.tokens, spec.key_tokens
        self.both_ways = "causal" not in spec.masks
        self.buckets, self.far = spec.positions.buckets, spec.positions.max_distance
        self.table = nn.Embedding(self.buckets, spec.heads)
        pairs = f"{axes.tokens} {axes.keys}"
        self.tap = Taps(
            Tap("buckets", pairs, "which range of distances a pair is in"),
            Tap("bias_rows", f"{pairs} {axes.heads}", "table[buckets]"),
            Tap("bias", f"{axes.heads} {pairs}", "bias_rows, heads in front"),
        )

    def forward(self, like: Tensor) -> Tensor:
        """Return the bias, with the device of `like`."""
        distance = distances(self.tokens, self.keys, like.device)
        rows = self.tap.bias_rows(self.table(self.tap.buckets(self.bucket(distance))))
        return self.tap.bias(rows.permute(2, 0, 1))

    def bucket(self, distance: Tensor) -> Tensor:
        """Return the number of each distance's bucket."""
        buckets = self.buckets // 2 if self.both_ways else self.buckets
        first = (distance > 0) * buckets if self.both_ways else 0
        away = distance.abs() if self.both_ways else (-distance).clamp(min=0)
        near = buckets // 2
        growth = torch.log(away.float().clamp(min=1) / near) / math.log(self.far / near)
        coarse = (near + (growth * (buckets - near)).long()).clamp(max=buckets - 1)
        return first + torch.where(away < near, away, coarse)
