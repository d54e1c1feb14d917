"""From (batch, tokens, heads*d) to heads and back, in the layouts that people write.

heads-first  (batch, heads, tokens, d)   most code since tensor2tensor
token-first  (batch, tokens, heads, d)   einsum code; no transpose
folded       (batch*heads, tokens, d)    bmm code: BLOOM, `nn.MultiheadAttention`
single       (batch, tokens, d)          one head, no axis for it
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from attntrace.blocks.axes import Axes
from attntrace.capture.tap import Tap, Taps


@dataclass(frozen=True, slots=True)
class HeadLayout:
    """One layout: how to cut heads apart, how to put them side by side, and what the axes are."""

    name: str

    def axes(self, batch: str, heads: str, tokens: str, last: str) -> str:
        """Return the axes of a tensor with heads: q, k, v, context, and (last = keys) scores."""
        return {
            "heads-first": f"{batch} {heads} {tokens} {last}",
            "token-first": f"{batch} {tokens} {heads} {last}",
            "folded": f"{batch}*{heads} {tokens} {last}",
            "single": f"{batch} {tokens} {last}",
        }[self.name]

    def scores_axes(self, a: Axes) -> str:
        """Return the axes of the scores, which have heads in front also in token-first code."""
        layout = "heads-first" if self.name == "token-first" else self.name
        return HeadLayout(layout).axes(a.batch, a.heads, a.tokens, a.keys)

    def split_taps(self, name: str, batch: str, heads: str, tokens: str, last: str) -> list[Tap]:
        """Return the taps of the way from `name`_proj to `name`."""
        split = Tap(f"{name}_split", f"{batch} {tokens} {heads} {last}", f"{name}_proj, cut up")
        final = self.axes(batch, heads, tokens, last)
        words = {
            "heads-first": f"{name}_split, heads in front of tokens",
            "token-first": f"{name}_proj, cut up",
            "folded": f"{name}_split, heads beside the batch",
            "single": "the one head's",
        }[self.name]
        steps = [split] if self.name in ("heads-first", "folded") else []
        return [*steps, Tap(name, final, words)]

    def split(self, tap: Taps, name: str, x: Tensor, heads: int) -> Tensor:
        """Return x (batch, tokens, heads*d) in this layout."""
        if self.name == "single":
            return tap.get(name)(x)
        batch, tokens, _ = x.shape
        x = x.reshape(batch, tokens, heads, -1)
        return tap.get(name)(x) if self.name == "token-first" else self.lift(tap, name, x)

    def lift(self, tap: Taps, name: str, x: Tensor) -> Tensor:
        """Return x (batch, tokens, heads, d) in this layout."""
        if self.name == "token-first":
            return tap.get(name)(x)
        if self.name == "single":
            return tap.get(name)(x.squeeze(2))
        batch, tokens, heads, width = x.shape
        x = tap.get(f"{name}_split")(x).transpose(1, 2)
        if self.name == "folded":
            x = x.reshape(batch * heads, tokens, width)
        return tap.get(name)(x)

    def merge_taps(self, a: Axes) -> list[Tap]:
        """Return the taps of the way from `context` to `context_merged`."""
        merged = f"{a.batch} {a.tokens} {a.value_width}"
        apart = f"{a.batch} {a.tokens} {a.heads} {a.value_head_dim}"
        taps = {
            "heads-first": [Tap("context_t", apart, "context, tokens in front of heads")],
            "folded": [
                Tap("context_heads", self_axes_heads(a), "context, heads apart from the batch"),
                Tap("context_t", apart, "context_heads, tokens in front of heads"),
            ],
        }.get(self.name, [])
        words = "context_t" if taps else "context"
        return [*taps, Tap("context_merged", merged, f"{words}, heads side by side")]

    def merge(self, tap: Taps, context: Tensor, heads: int) -> Tensor:
        """Return the context of all heads side by side, (batch, tokens, heads*d)."""
        if self.name == "single":
            return context
        if self.name == "folded":
            batch = context.shape[0] // heads
            context = tap.context_heads(context.reshape(batch, heads, *context.shape[1:]))
        if self.name != "token-first":
            context = tap.context_t(context.transpose(1, 2))
        batch, tokens, _, _ = context.shape
        return tap.context_merged(context.reshape(batch, tokens, -1))

    def fitted(self, extra: Tensor, scores: Tensor, heads: int) -> Tensor:
        """Return a mask or bias with the axes of the scores in this layout.

        It comes as (tokens, keys), (heads, tokens, keys) or (batch, 1, 1 or tokens, keys).
        """
        if extra.dim() == 2 or self.name in ("heads-first", "token-first"):
            return extra
        if self.name == "single":
            return extra.squeeze(-3)
        batch = scores.shape[0] // heads
        return extra.expand(batch, heads, *extra.shape[-2:]).flatten(0, 1)

    @property
    def tokens_at(self) -> int:
        """The place of the tokens among the axes."""
        return 2 if self.name == "heads-first" else 1


def self_axes_heads(a: Axes) -> str:
    """Return the axes of the context with heads apart from the batch."""
    return f"{a.batch} {a.heads} {a.tokens} {a.value_head_dim}"
