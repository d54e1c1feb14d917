"""How a token knows where it is."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from attntrace.spec.component import Component, Positive, Size, setting

Kind = Literal[
    "none", "sinusoidal", "learned", "rope", "alibi", "t5", "swin", "sine-2d", "learned-2d", "conv"
]
PLACES = {
    "none": ("auto",),
    "sinusoidal": ("input", "qk"),
    "learned": ("input", "qk"),
    "sine-2d": ("input", "qk"),
    "learned-2d": ("input", "qk"),
    "rope": ("qk",),
    "alibi": ("scores",),
    "t5": ("scores",),
    "swin": ("scores",),
    "conv": ("value",),
}
"""Where each kind may act; the first is the default."""


class PositionsSpec(Component):
    """What is added or turned so that order matters."""

    kind: Kind = setting(
        "none", "how positions enter", aliases=("position_embedding_type", "positional_encoding")
    )
    on: Literal["auto", "input", "qk", "scores", "value"] = setting(
        "auto",
        "where they enter: the tokens, q and k, the scores, or the values",
        rule="rope on qk; alibi, t5 and swin on scores; conv on value; the others on input or qk",
        shown="the place of the kind",
    )
    max: Size | None = setting(
        None,
        "rows of a learned table",
        aliases=("max_position_embeddings", "n_positions", "n_ctx", "max_seq_len", "max_positions"),
        rule="learned: past + tokens <= max",
        shown="past + tokens",
    )
    stored: bool = setting(
        False,
        "keep the sinusoidal table as a parameter that is not trained, as T2T-ViT does",
        rule="only with kind sinusoidal",
    )
    theta: Positive = setting(
        10000.0,
        "base of the wavelengths of rope, sinusoidal and sine-2d",
        aliases=("rope_theta", "rotary_emb_base", "temperature"),
    )
    fraction: Annotated[float, Field(gt=0, le=1)] = setting(
        1.0,
        "share of a head's features that rope turns",
        aliases=("rotary_pct", "partial_rotary_factor", "rope_fraction"),
        rule="head_dim*fraction is even",
    )
    style: Literal["half", "interleaved"] = setting(
        "half",
        "rope pairs feature i with i + half, or neighbours",
        aliases=("rope_style",),
    )
    buckets: Size = setting(
        32, "rows of T5's table of distances", aliases=("relative_attention_num_buckets", "bias_buckets")
    )  # fmt: skip
    max_distance: Size = setting(
        128,
        "distance from which all are one bucket to T5",
        aliases=("relative_attention_max_distance",),
        rule="more than half of the buckets of one direction",
    )
    kernel: Size = setting(3, "side of the depthwise kernel of kind conv", rule="odd")
