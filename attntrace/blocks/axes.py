"""The symbols of a block's axes, as its spec makes them.

batch            sequences
tokens           tokens of a sequence, the queries of an attention layer
context_tokens   tokens of the context that keys and values come from
past             tokens that the cache holds
dim, context_dim features of a token that comes in, of one of the context
chan             features that the layer works at
heads, kv_heads  attention heads, heads of k and v
head_dim         features of a head's q and k; value_head_dim those of its v
ff_dim           hidden features of the feed-forward
rows, columns    sides of the map that the tokens lie on
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Self

from attntrace.spec import Spec
from attntrace.spec.symbols import STACKS


@dataclass(frozen=True, slots=True, kw_only=True)
class Axes:
    """What the sizes of one place in a block are called; each is a symbol or a formula.

    `Axes.of(spec)` has the words of the whole block; `within` renames what differs further in, as
    the encoder's tokens are an encoder-decoder's context_tokens.
    """

    batch: str = "batch"
    tokens: str = "tokens"
    keys: str = "tokens"
    dim: str = "dim"
    context_dim: str = "context_dim"
    chan: str = "chan"
    heads: str = "heads"
    kv_heads: str = "heads"
    head_dim: str = "head_dim"
    value_head_dim: str = "head_dim"
    width: str = "chan"
    kv_width: str = "chan"
    kv_value_width: str = "chan"
    value_width: str = "chan"
    ff_dim: str = "ff_dim"
    kernel_features: str = "kernel_features"
    rows: str = "rows"
    columns: str = "columns"

    @classmethod
    def of(cls, spec: Spec) -> Self:
        """Return the words for one spec: chan where it is heads*head_dim by definition."""
        whole = "head_dim" not in spec.model_fields_set and spec.width == spec.chan
        kv_heads = "heads" if spec.kv_heads == spec.heads else "kv_heads"
        value = "head_dim" if spec.value_head_dim == spec.head_dim else "value_head_dim"
        if spec.cross:
            keys = "context_tokens"
        else:
            keys = "past+tokens" if spec.cache.past is not None else "tokens"
        memory = spec.block in STACKS and spec.context_dim == spec.chan
        alike = whole and kv_heads == "heads"
        return cls(
            keys=keys,
            context_dim="chan" if memory else "context_dim",
            dim="chan" if spec.embeds else "dim",
            kv_heads=kv_heads,
            value_head_dim=value,
            width="chan" if whole else "heads*head_dim",
            kv_width="chan" if alike else f"{kv_heads}*head_dim",
            kv_value_width="chan" if alike and value == "head_dim" else f"{kv_heads}*{value}",
            value_width="chan" if whole and value == "head_dim" else f"heads*{value}",
        )

    def within(self, **names: str) -> Self:
        """Return the same words with some of them replaced."""
        return replace(self, **names)

    def of_context(self) -> Self:
        """Return the words of the context as a sequence of its own."""
        return replace(self, tokens="context_tokens", keys="context_tokens", dim=self.context_dim)


def source_tokens(spec: Spec, axes: Axes) -> str:
    """Return the name of the tokens that k and v are made from: without what a cache adds."""
    return axes.keys if spec.cross else axes.tokens
