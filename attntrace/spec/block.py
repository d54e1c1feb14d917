"""The whole spec of a block: sizes at the top level, choices in sections."""

from __future__ import annotations

from bisect import bisect
from collections.abc import Iterator
from math import isqrt
from typing import Any, Literal

from pydantic import Field

from attntrace.errors import Problem
from attntrace.spec.attention import AttentionSpec, attention_rules, width_rules
from attntrace.spec.component import Component, Size
from attntrace.spec.run import RunSpec, run_rules


def _dim(given: dict[str, Any]) -> Any:
    keeps_width = given["attention"].impl == "torch"
    return given["chan"] if keeps_width else 49


def _head_dim(given: dict[str, Any]) -> Any:
    return max(1, given["chan"] // given["heads"])  # rules() says where this leaves a rest


class Spec(Component):
    """One block and one run of it. The defaults are the sizes of the T2T-ViT article.

    Glossary: `batch` sequences of `tokens` tokens come in with `dim` features each; the layer
    works at `chan` features, split over `heads` of `head_dim` each. Left out, `head_dim` is
    chan / heads, and `dim` is 49, or chan where `nn.MultiheadAttention` keeps the width.
    """

    block: Literal["attention"] = "attention"
    batch: Size = 13
    tokens: Size = 100
    chan: Size = 64
    heads: Size = 1
    attention: AttentionSpec = Field(default_factory=AttentionSpec)
    dim: Size = Field(default_factory=_dim)
    head_dim: Size = Field(default_factory=_head_dim)
    run: RunSpec = Field(default_factory=RunSpec)

    @property
    def width(self) -> int:
        """Heads * head_dim: the width of q, of k and of v over all heads."""
        return self.heads * self.head_dim

    @property
    def skip(self) -> str:
        """What the layer adds to its output, with "auto" decided: "none", "input" or "value"."""
        if self.attention.skip != "auto":
            return self.attention.skip
        if self.dim == self.chan:
            return "input"
        return "value" if self.width == self.chan else "none"

    @property
    def scale(self) -> float | None:
        """What q is multiplied by, None for nothing at all."""
        named = {"head": self.head_dim, "embed": self.chan, "input": self.dim}
        scale = self.attention.qk_scale
        if isinstance(scale, str):
            return named[scale] ** -0.5 if scale != "none" else None
        return scale

    @property
    def sizes(self) -> dict[str, int]:
        """What the symbols in the axes of this block stand for."""
        return {
            "batch": self.batch,
            "tokens": self.tokens,
            "dim": self.dim,
            "chan": self.chan,
            "heads": self.heads,
            "head_dim": self.head_dim,
        }


def rules(spec: Spec) -> Iterator[Problem]:
    """Yield every problem between the fields of a spec whose fields are each valid."""
    if spec.chan % spec.heads and "head_dim" not in spec.model_fields_set:
        yield Problem("heads", _indivisible(spec.chan, spec.heads))
    else:
        yield from width_rules(spec)
    yield from attention_rules(spec)
    yield from run_rules(spec)


def _indivisible(chan: int, heads: int) -> str:
    quotient, rest = divmod(chan, heads)
    near = ", ".join(str(n) for n in _nearest_divisors(chan, heads))
    return (
        f"chan {chan} is not divisible by heads {heads} ({chan} = {heads}*{quotient} + {rest}); "
        f"nearest heads that divide {chan}: {near}. Or set head_dim"
    )


def _nearest_divisors(chan: int, heads: int) -> list[int]:
    """Return the divisors of chan that are next to heads, below and above."""
    small = [n for n in range(1, min(isqrt(chan), 10**6) + 1) if chan % n == 0]
    divisors = sorted({*small, *(chan // n for n in small)})
    place = bisect(divisors, heads)
    return divisors[max(0, place - 1) : place + 1]
