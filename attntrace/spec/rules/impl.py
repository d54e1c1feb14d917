"""What the fused implementations cannot express."""

from __future__ import annotations

from collections.abc import Iterator

from attntrace.errors import Problem
from attntrace.spec.block import Spec
from attntrace.spec.rules.sizes import indivisible
from attntrace.spec.symbols import STACKS

OTHER = "or use impl eager or sdpa"


def impl_rules(spec: Spec) -> Iterator[Problem]:
    """Yield what is wrong with the implementation."""
    attention = spec.attention
    if spec.block not in ("attention", *STACKS):
        return
    if attention.impl == "torch":
        yield from _torch_sizes(spec)
        yield from _torch_choices(spec)
    if attention.impl != "eager" and attention.softcap is not None:
        yield Problem(
            "attention.softcap",
            f"impl={attention.impl} cannot soft-cap the scores; use impl eager",
        )


def _torch_sizes(spec: Spec) -> Iterator[Problem]:
    if spec.chan % spec.heads and "head_dim" in spec.model_fields_set:
        yield Problem(
            "heads",
            f"impl=torch cuts chan into heads, and "
            f"{indivisible('chan', spec.chan, 'heads', spec.heads)}. {OTHER.capitalize()}",
        )
    if spec.width != spec.chan and not spec.chan % spec.heads:
        yield Problem(
            "attention.impl",
            f"impl=torch has head_dim chan/heads and no other, got head_dim {spec.head_dim} for "
            f"chan {spec.chan} and heads {spec.heads}; leave head_dim out, {OTHER}",
        )
    if spec.value_head_dim != spec.head_dim:
        yield Problem(
            "value_head_dim",
            f"impl=torch has values as wide as keys, got value_head_dim {spec.value_head_dim} and "
            f"head_dim {spec.head_dim}; leave it out, {OTHER}",
        )
    if spec.kv_heads != spec.heads:
        fix = "use kind mha" if spec.attention.kind in ("gqa", "mqa") else "leave it out"
        yield Problem(
            "kv_heads",
            f"impl=torch has as many kv heads as heads {spec.heads}, got kv_heads "
            f"{spec.kv_heads}; {fix}, {OTHER}",
        )
    if spec.dim != spec.chan:
        yield Problem(
            "attention.impl",
            f"impl=torch cannot project dim {spec.dim} to chan {spec.chan}: "
            f"nn.MultiheadAttention keeps the width of its input; set dim {spec.chan}, {OTHER}",
        )


def _torch_choices(spec: Spec) -> Iterator[Problem]:
    attention = spec.attention
    if attention.qk_scale != "head":
        yield Problem(
            "attention.qk_scale",
            f"impl=torch always scales by head_dim^-0.5, got qk_scale {attention.qk_scale}; "
            f"leave qk_scale at head, {OTHER}",
        )
    if attention.skip == "value":
        yield Problem(
            "attention.skip",
            f"impl=torch keeps its values inside; use skip input or none, {OTHER}",
        )
    if attention.out_bias != attention.qkv_bias:
        yield Problem(
            "attention.out_bias",
            "impl=torch has one bias switch for both projections, got qkv_bias "
            f"{str(attention.qkv_bias).lower()} and out_bias {str(attention.out_bias).lower()}; "
            f"leave out_bias out, {OTHER}",
        )
    inside = {
        "attention.qk_norm": attention.qk_norm != "none",
        "attention.out_proj": not attention.out_proj,
        "attention.qkv": attention.qkv != "auto",
        "positions.kind": spec.positions_on in ("scores", "value") or spec.positions.kind == "rope",
        "cache.past": spec.cache.past is not None,
    }
    for path, asked in inside.items():
        if asked:
            name = path.rpartition(".")[2]
            yield Problem(
                path,
                f"impl=torch takes x to out in one module, where {path} cannot reach; "
                f"leave {name} out, {OTHER}",
            )
