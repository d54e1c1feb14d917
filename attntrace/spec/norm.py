"""Which normalisation, and where in the block."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BeforeValidator

from attntrace.spec.component import Component, Positive, setting


def _no_switch(value: object) -> object:
    """To Python true is 1 and 2.0 is 2; to a reader of YAML they are not."""
    return value if type(value) is int else str(value)


OneOrTwo = Annotated[Literal[1, 2], BeforeValidator(_no_switch)]


class NormSpec(Component):
    """The norms of a stack."""

    kind: Literal["layernorm", "rmsnorm", "batchnorm", "none"] = setting(
        "layernorm", "which normalisation", aliases=("norm_type", "normalization")
    )
    place: Literal["pre", "post", "sandwich", "output", "parallel"] = setting(
        "pre",
        "before each part, after its residual, both before and after the part, after the part alone, or attention and feed-forward side by side",
        aliases=("norm_position",),
        rule="parallel needs a feed-forward and no cross-attention",
    )
    parallel_norms: OneOrTwo = setting(
        1, "one norm for both parts of a parallel block (GPT-J), or one each (GPT-NeoX)"
    )
    final: Literal["auto", "all", "none", "decoder"] = setting(
        "auto",
        "a norm after the last layer: of every stack, of none, or of the decoder alone (DETR)",
        shown="none with place post, else all",
    )
    weight: bool = setting(True, "a weight in layernorm and rmsnorm; OLMo 1 has none")
    bias: bool = setting(True, "a bias in layernorm")
    eps: Positive = setting(
        1e-5,
        "added to the variance",
        aliases=("layer_norm_eps", "rms_norm_eps", "layer_norm_epsilon", "norm_eps", "layernorm_epsilon"),
    )  # fmt: skip
