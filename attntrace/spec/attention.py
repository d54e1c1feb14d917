"""How the attention layer computes: everything about it that is not a size."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field

from attntrace.errors import Problem
from attntrace.spec.component import Component

if TYPE_CHECKING:
    from attntrace.spec.block import Spec

Impl = Literal["eager", "sdpa", "torch"]
Scale = Literal["head", "none", "embed", "input"]
Skip = Literal["auto", "none", "input", "value"]


OTHER = "or use impl eager or sdpa"


def _out_bias(given: dict[str, Any]) -> bool:
    one_switch = given.get("impl") == "torch"
    return bool(given.get("qkv_bias")) if one_switch else True


class AttentionSpec(Component):
    """Choices of one attention layer.

    `impl` is "eager" (every step a torch call), "sdpa" (`scaled_dot_product_attention`) or "torch"
    (`nn.MultiheadAttention`). `qk_scale` multiplies q: "head" is head_dim^-0.5, "embed" chan^-0.5,
    "input" dim^-0.5, "none" leaves q alone, and a number is itself, 0.0 included. `skip` adds
    nothing, the layer's input or the values to the output; "auto" is the input where it fits, else
    the values. `out_bias` is true unless `impl` has one switch for both projections.
    """

    impl: Impl = "eager"
    qkv_bias: bool = False
    out_bias: bool = Field(default_factory=_out_bias)
    qk_scale: Scale | Annotated[float, Field(allow_inf_nan=False)] = "head"
    skip: Skip = "auto"
    need_weights: Literal["none", "averaged", "per-head"] = "none"


def attention_rules(spec: Spec) -> Iterator[Problem]:
    """Yield what is wrong between the attention section and the sizes."""
    attention = spec.attention
    if attention.skip == "input" and spec.dim != spec.chan:
        yield Problem(
            "attention.skip",
            f"skip=input adds x of width dim {spec.dim} to an output of width chan {spec.chan}; "
            f"use skip value or none, or set dim {spec.chan}",
        )
    if attention.impl == "torch":
        yield from _torch_rules(spec)
    elif attention.need_weights != "none":
        reason = {
            "sdpa": "impl=sdpa never materialises the weights; use impl torch, or impl eager",
            "eager": "impl=eager shows them as probs in any case; leave need_weights at none",
        }[attention.impl]
        yield Problem("attention.need_weights", reason)


def width_rules(spec: Spec) -> Iterator[Problem]:
    """Yield what is wrong with heads * head_dim, given that head_dim is what it should be."""
    if spec.skip == "value" and spec.width != spec.chan:
        yield Problem(
            "attention.skip",
            f"skip=value adds v of width heads*head_dim {spec.width} to an output of width chan "
            f"{spec.chan}; use skip none, or set chan {spec.width}",
        )
    if spec.attention.impl == "torch" and spec.width != spec.chan:
        yield Problem(
            "attention.impl",
            f"impl=torch has head_dim chan/heads and no other, got head_dim {spec.head_dim} for "
            f"chan {spec.chan} and heads {spec.heads}; leave head_dim out, {OTHER}",
        )


def _torch_rules(spec: Spec) -> Iterator[Problem]:
    """Yield what `nn.MultiheadAttention` cannot express."""
    attention, other = spec.attention, OTHER
    if spec.dim != spec.chan:
        yield Problem(
            "attention.impl",
            f"impl=torch cannot project dim {spec.dim} to chan {spec.chan}: "
            f"nn.MultiheadAttention keeps the width of its input; set dim {spec.chan}, {other}",
        )
    if attention.qk_scale != "head":
        yield Problem(
            "attention.qk_scale",
            f"impl=torch always scales by head_dim^-0.5, got qk_scale {attention.qk_scale}; "
            f"leave qk_scale at head, {other}",
        )
    if attention.skip == "value":
        yield Problem(
            "attention.skip",
            f"impl=torch keeps its values inside; use skip input or none, {other}",
        )
    if attention.out_bias != attention.qkv_bias:
        yield Problem(
            "attention.out_bias",
            "impl=torch has one bias switch for both projections, got qkv_bias "
            f"{str(attention.qkv_bias).lower()} and out_bias {str(attention.out_bias).lower()}; "
            f"leave out_bias out, {other}",
        )
