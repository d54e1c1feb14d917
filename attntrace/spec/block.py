"""The whole spec of a block: sizes at the top level, choices in sections."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from attntrace.spec import defaults
from attntrace.spec.attention import AttentionSpec
from attntrace.spec.cache import CacheSpec
from attntrace.spec.component import Component, Size, setting
from attntrace.spec.feed_forward import FeedForwardSpec
from attntrace.spec.image import ImageSpec
from attntrace.spec.mask import MaskSpec
from attntrace.spec.norm import NormSpec
from attntrace.spec.positions import PLACES, PositionsSpec
from attntrace.spec.recurrent import RecurrentSpec
from attntrace.spec.run import RunSpec
from attntrace.spec.stack import StackSpec
from attntrace.spec.symbols import sizes_of

Block = Literal[
    "attention", "encoder", "decoder", "encoder-decoder", "patch-embed", "t2t", "psa", "rnn-seq2seq"
]


class Spec(Component):
    """One block and one run of it. The defaults are the sizes of the T2T-ViT article.

    Glossary: `batch` sequences of `tokens` tokens come in with `dim` features each; the layer
    works at `chan` features, split over `heads` of `head_dim` each.
    """

    block: Block = setting("attention", "what is built")
    attention: AttentionSpec = Field(default_factory=AttentionSpec)
    positions: PositionsSpec = Field(default_factory=PositionsSpec)
    mask: MaskSpec = Field(default_factory=MaskSpec)
    cache: CacheSpec = Field(default_factory=CacheSpec)
    norm: NormSpec = Field(default_factory=NormSpec)
    feed_forward: FeedForwardSpec = Field(default_factory=FeedForwardSpec)
    stack: StackSpec = Field(default_factory=StackSpec)
    image: ImageSpec = Field(default_factory=ImageSpec)
    recurrent: RecurrentSpec = Field(default_factory=RecurrentSpec)
    run: RunSpec = Field(default_factory=RunSpec)

    batch: Size = setting(13, "sequences", aliases=("batch_size",))
    tokens: Size = setting(
        defaults.tokens,
        "tokens of a sequence; in a decoder those of a step",
        aliases=("num_tokens", "seq_len", "query_tokens"),
        rule="follows from the image where there is one",
        shown="100, or what the image or the map makes",
    )
    context_tokens: Size | None = setting(
        defaults.context_tokens,
        "tokens of the context that keys and values come from",
        aliases=("src_len", "key_len"),
        rule="cross-attention, encoder-decoder and rnn-seq2seq need it",
        shown="the map's, in an encoder-decoder with one",
    )
    chan: Size = setting(
        64,
        "features that the layer works at",
        aliases=("embed_dim", "hidden_size", "n_embd", "d_model"),
    )
    heads: Size = setting(
        1,
        "attention heads",
        aliases=("num_heads", "num_attention_heads", "n_head", "nhead", "n_heads"),
        rule="divides chan, unless head_dim is given",
    )
    kv_heads: Size = setting(
        defaults.kv_heads,
        "heads of k and v",
        aliases=("num_key_value_heads", "n_kv_heads", "num_kv_heads"),
        rule="divides heads",
        shown="heads; 1 with kind mqa",
    )
    dim: Size = setting(
        defaults.dim,
        "features of a token that comes in",
        aliases=("input_dim", "dim_in"),
        rule="chan in a stack, unless its first layer skips values",
        shown="49; chan with impl torch and in stacks; channels*side^2 of an image's patches",
    )
    context_dim: Size = setting(
        defaults.context_dim,
        "features of a token of the context",
        aliases=("kdim", "vdim", "encoder_hidden_size"),
        rule="cross-attention and rnn-seq2seq only",
        shown="dim; chan in a decoder",
    )
    head_dim: Size = setting(
        defaults.head_dim,
        "features of a head's q and k",
        aliases=("d_kv", "dim_head", "attention_head_size", "d_k", "kv_channels"),
        rule="even with rope",
        shown="chan / heads",
    )
    value_head_dim: Size = setting(
        defaults.value_head_dim,
        "features of a head's v",
        aliases=("v_head_dim", "d_v"),
        rule="head_dim with shared-head and impl torch",
        shown="head_dim",
    )
    ff_dim: Size = setting(
        defaults.ff_dim,
        "hidden features of the feed-forward",
        aliases=(
            "intermediate_size", "dim_feedforward", "d_ff", "n_inner", "mlp_dim", "ffn_dim", "encoder_ffn_dim", "decoder_ffn_dim",
        ),
        shown="feed_forward.ratio * chan",
    )  # fmt: skip
    layers: Size = setting(
        1,
        "layers of a stack",
        aliases=("num_layers", "num_hidden_layers", "n_layer", "n_layers", "depth"),
        rule="stacks and psa only",
    )

    @property
    def width(self) -> int:
        """Heads * head_dim: the width of q over all heads."""
        return self.heads * self.head_dim

    @property
    def kv_width(self) -> int:
        """kv_heads * head_dim: the width of k over all its heads."""
        return self.kv_heads * self.head_dim

    @property
    def value_width(self) -> int:
        """Heads * value_head_dim: the width of the context, all heads side by side."""
        return self.heads * self.value_head_dim

    @property
    def cross(self) -> bool:
        """Whether the attention layer's keys come from a context."""
        return self.attention.source == "cross"

    @property
    def kind(self) -> str:
        """The attention's kind, with "auto" decided."""
        if self.attention.kind != "auto":
            return self.attention.kind
        if self.kv_heads == self.heads:
            return "mha"
        return "mqa" if self.kv_heads == 1 else "gqa"

    @property
    def qkv(self) -> str:
        """The projection, with "auto" decided."""
        if self.attention.qkv != "auto":
            return self.attention.qkv
        attention = self.attention
        by_width = attention.qk_norm != "none" and attention.qk_norm_over == "width"
        placed = self.adds_to_qk or self.stack.queries
        alike = attention.q_bias == attention.k_bias == attention.v_bias
        apart = self.cross or self.kv_heads != self.heads or placed or by_width or not alike
        return "separate" if apart else "fused"

    @property
    def positions_on(self) -> str:
        """Where positions enter, with "auto" decided; "none" where there are none."""
        kind, place = self.positions.kind, self.positions.on
        if kind == "none":
            return "none"
        return place if place in PLACES[kind] else PLACES[kind][0]

    @property
    def adds_to_qk(self) -> bool:
        """Whether positions are added to what q and k are made from, and not to v's, as in DETR."""
        return self.positions_on == "qk" and self.positions.kind != "rope"

    @property
    def masks(self) -> tuple[str, ...]:
        """The masks, with "auto" decided."""
        if self.mask.kind != "auto":
            return self.mask.kind
        ordered = self.block == "encoder-decoder" and not self.stack.queries
        return ("causal",) if ordered or self.block == "decoder" else ()

    @property
    def past(self) -> int:
        """Tokens that the cache holds: under a sliding mask at most its window less the query."""
        past = self.cache.past or 0
        window = self.mask.window if "sliding" in self.masks else None
        return past if window is None else min(past, window - 1)

    @property
    def shared_dim(self) -> int:
        """Hidden features of the experts that every token goes to, together."""
        part = self.feed_forward
        return part.shared_dim or part.shared_experts * self.expert_dim

    @property
    def first_place(self) -> int:
        """The place of the first token: all before it count, also those that a window forgot."""
        return self.cache.past or 0

    @property
    def key_tokens(self) -> int:
        """Keys that a query may meet: the context's tokens, or the cached and the new ones."""
        return (self.context_tokens or 0) if self.cross else self.past + self.tokens

    @property
    def stem(self) -> str:
        """What turns an image into tokens: "none", "patch" or "t2t"."""
        return defaults.stem_of({"block": self.block, "image": self.image})

    @property
    def embeds(self) -> bool:
        """Whether a stack makes tokens of chan features itself, from ids or from an image."""
        return self.stack.vocab is not None or self.stem != "none"

    @property
    def map(self) -> tuple[int, int] | None:
        """Rows and columns that the tokens lie on, the class token apart; None where there are none."""
        if self.stem != "none":
            return defaults.stem_map({"block": self.block, "image": self.image})
        return self.image.map or defaults.square(self.tokens)

    @property
    def final_norm(self) -> bool:
        """Whether a norm follows the last layer of this stack."""
        final = self.norm.final
        if final == "auto":
            return self.norm.place != "post"
        return final == "all" or (final == "decoder" and self.block == "decoder")

    @property
    def skip(self) -> str:
        """What the layer adds to its output, with "auto" decided: "none", "input" or "value"."""
        if self.attention.skip != "auto":
            return self.attention.skip
        if self.qkv == "none":
            return "none"
        if self.dim == self.chan:
            return "input"
        return "value" if self.value_width == self.chan and self.has_value_rows else "none"

    @property
    def has_value_rows(self) -> bool:
        """Whether there is one value a token and head, which a value skip can add."""
        own = self.kind not in ("mla", "separate-heads") and self.kv_heads == self.heads
        return own and not self.cross and not self.first_place

    @property
    def scale(self) -> float | None:
        """What q k^T is multiplied by, None for nothing at all."""
        named = {"head": self.head_dim, "embed": self.chan, "input": self.dim}
        scale = self.attention.qk_scale
        if isinstance(scale, str):
            return named[scale] ** -0.5 if scale != "none" else None
        return scale

    @property
    def rotary_dim(self) -> int:
        """Features of a head that rope turns."""
        if self.kind == "mla":
            return self.attention.rope_head_dim or 0
        return int(self.head_dim * self.positions.fraction)

    @property
    def kernel_features(self) -> int:
        """Random features of the performer."""
        return self.attention.kernel_features or max(1, self.head_dim // 2)

    @property
    def expert_dim(self) -> int:
        """Hidden features of one expert."""
        return self.feed_forward.expert_dim or self.ff_dim

    @property
    def uses_map(self) -> bool:
        """Whether some tensor of this block has the map's rows and columns as axes."""
        on_map = self.positions.kind in ("sine-2d", "learned-2d", "conv")
        convolves = self.attention.qkv == "conv" or self.feed_forward.kind == "conv"
        stemmed = self.stem != "none" or self.block == "psa" or self.image.map is not None
        return on_map or convolves or stemmed or self.kind == "window"

    @property
    def sizes(self) -> dict[str, int]:
        """What the symbols in the axes of this block stand for."""
        return sizes_of(self)
