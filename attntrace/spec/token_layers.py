"""The specs of what works on the tokens between T2T's soft splits."""

from __future__ import annotations

from typing import Any

from attntrace.spec.attention import AttentionSpec
from attntrace.spec.block import Spec
from attntrace.spec.defaults import split_maps
from attntrace.spec.feed_forward import FeedForwardSpec
from attntrace.spec.norm import NormSpec

CHOICES: dict[str, dict[str, Any]] = {
    "performer": {"kind": "linear", "qkv_layout": "kqv", "qkv_bias": True, "q_bias": True, "k_bias": True, "v_bias": True},
    "transformer": {"qk_scale": "input"},
    "attention": {},
}  # fmt: skip
"""image.token_block -> its attention: that of T2T's two modules, or the article's own layer."""


def split_width(spec: Spec, number: int) -> int:
    """Return the features of a token that soft split `number`, counted from 0, makes."""
    image = spec.image
    return int(image.kernels[number] ** 2 * (image.token_dim if number else image.channels))


def token_layer_of(spec: Spec, number: int) -> Spec:
    """Return the layer after soft split `number`: one head, a value skip, an MLP as wide as chan.

    It is a spec of its own, not the stack's with changes: what a stack is told is for its layers.
    Fused attention is taken over where the token block has a softmax.

    Source: Yuan et al., "Tokens-to-Token ViT" (2021), `Token_transformer` and `Token_performer`.
    """
    image, kind = spec.image, spec.image.token_block
    rows, columns = split_maps(image)[number]
    fused = spec.attention.impl == "sdpa" and kind != "performer"
    return Spec(
        block="attention" if kind == "attention" else "encoder",
        batch=spec.batch,
        tokens=rows * columns,
        dim=split_width(spec, number),
        chan=image.token_dim,
        ff_dim=image.token_dim,
        attention=AttentionSpec(
            qkv="fused",
            skip="value",
            layout="single",
            impl="sdpa" if fused else "eager",
            **CHOICES[kind],
        ),
        norm=NormSpec(final="none"),
        feed_forward=FeedForwardSpec(),
        run=spec.run,
    )
