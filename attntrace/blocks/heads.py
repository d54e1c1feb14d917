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

    def taps(self, proj: Tap, heads: str, last: str, *, normed: str = "") -> list[Tap]:
        """Return the tap of a projection and those of the way from it to its heads.

        `proj` is `q_proj`, `k_proj` or `v_proj`, (batch, tokens, heads*last); `normed` is the norm
        in between, if there is one.
        """
        name, single = proj.name.removesuffix("_proj"), self.name == "single"
        words = proj.formula if single else f"{proj.name}, cut up"
        if normed:
            words = f"{normed}({proj.name})" if single else f"{name}_normed, cut up"
        batch, tokens, _ = proj.axes
        return [proj, *self.lift_taps(name, (batch, heads, tokens, last), words)]

    def lift_taps(self, name: str, sizes: tuple[str, str, str, str], words: str) -> list[Tap]:
        """Return the taps from heads, cut up, to `name`; `words` say what is cut up from what.

        `sizes` are batch, heads, tokens and the features of a head.
        """
        batch, heads, tokens, last = sizes
        moves = {"heads-first": "heads in front of tokens", "folded": "heads beside the batch"}
        if self.name not in moves:
            return [Tap(name, self.axes(*sizes), words)]
        return [
            Tap(f"{name}_split", f"{batch} {tokens} {heads} {last}", words),
            Tap(name, self.axes(*sizes), f"{name}_split, {moves[self.name]}"),
        ]

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

    def merge_taps(self, name: str, a: Axes) -> list[Tap]:
        """Return the taps of the way from `context` or `v` to all heads side by side."""
        merged = f"{a.batch} {a.tokens} {a.value_width}"
        heads = f"{a.batch} {a.heads} {a.tokens} {a.value_head_dim}"
        apart = f"{a.batch} {a.tokens} {a.heads} {a.value_head_dim}"
        taps = {
            "heads-first": [Tap(f"{name}_t", apart, f"{name}, tokens in front of heads")],
            "folded": [
                Tap(f"{name}_heads", heads, f"{name}, heads apart from the batch"),
                Tap(f"{name}_t", apart, f"{name}_heads, tokens in front of heads"),
            ],
        }.get(self.name, [])
        words = f"{name}_t" if taps else name
        return [*taps, Tap(f"{name}_merged", merged, f"{words}, heads side by side")]

    def merge(self, tap: Taps, name: str, x: Tensor, heads: int) -> Tensor:
        """Return `context` or `v` with all heads side by side, (batch, tokens, heads*d)."""
        if self.name == "single":
            return x
        if self.name == "folded":
            batch = x.shape[0] // heads
            x = tap.get(f"{name}_heads")(x.reshape(batch, heads, *x.shape[1:]))
        if self.name != "token-first":
            x = tap.get(f"{name}_t")(x.transpose(1, 2))
        batch, tokens, _, _ = x.shape
        return tap.get(f"{name}_merged")(x.reshape(batch, tokens, -1))

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
