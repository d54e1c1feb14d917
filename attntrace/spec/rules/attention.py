"""What must hold between the choices of an attention layer and its sizes."""

from __future__ import annotations

from collections.abc import Iterator

from attntrace.errors import Problem
from attntrace.spec.block import Spec
from attntrace.spec.rules.belongs import misplaced
from attntrace.spec.symbols import STACKS


def attention_rules(spec: Spec) -> Iterator[Problem]:
    """Yield what is wrong in the attention section, whatever the kind and the implementation."""
    if spec.block not in ("attention", *STACKS):
        return
    yield from _kv_heads(spec)
    yield from _skip(spec)
    yield from _projection(spec)
    if spec.attention.impl != "torch":  # which has a layout of its own
        yield from _layout(spec)
    yield from _late_scale(spec)
    if spec.qkv == "none":
        yield from _bare(spec)


def _kv_heads(spec: Spec) -> Iterator[Problem]:
    kind, kv_heads, heads = spec.attention.kind, spec.kv_heads, spec.heads
    if kind == "mqa" and kv_heads != 1:
        yield Problem(
            "kv_heads",
            f"attention.kind mqa means kv_heads 1, but kv_heads {kv_heads} was given; "
            "use kind gqa, or leave kv_heads out",
        )
    elif kind == "mha" and kv_heads != heads:
        yield Problem(
            "kv_heads",
            f"attention.kind mha means kv_heads = heads {heads}, but kv_heads {kv_heads} was "
            "given; use kind gqa, or leave kv_heads out",
        )
    elif kind == "gqa" and not 1 < kv_heads < heads:
        yield Problem(
            "kv_heads",
            f"attention.kind gqa means 1 < kv_heads < heads {heads}, got kv_heads {kv_heads}; "
            f"{'use kind mqa' if kv_heads == 1 else 'use kind mha, or set kv_heads'}",
        )
    elif kind not in ("auto", "mha", "gqa", "mqa") and kv_heads != heads:
        yield Problem(
            "kv_heads",
            f"attention.kind {kind} has as many kv heads as heads {heads}, got kv_heads "
            f"{kv_heads}; leave kv_heads out",
        )


def _skip(spec: Spec) -> Iterator[Problem]:
    attention = spec.attention
    if attention.skip in ("none", "input") and spec.block in STACKS:
        yield Problem(
            "attention.skip",
            f"skip={attention.skip} is for block attention; layers of a stack always add their "
            "input; leave skip at auto",
        )
        return
    if attention.skip == "input" and spec.dim != spec.chan:
        yield Problem(
            "attention.skip",
            f"skip=input adds x of width dim {spec.dim} to an output of width chan {spec.chan}; "
            f"use skip value or none, or set dim {spec.chan}",
        )
    if attention.skip != "value":
        return
    if spec.value_width != spec.chan:
        yield Problem(
            "attention.skip",
            f"skip=value adds v of width heads*value_head_dim {spec.value_width} to an output of "
            f"width chan {spec.chan}; use skip none, or set chan {spec.value_width}",
        )
    elif not spec.has_value_rows:
        yield Problem(
            "attention.skip",
            "skip=value adds a token's own values to its output, and here there is not one value "
            "a token and head (cross, cached, latent, separate heads, or kv_heads < heads); use "
            "skip none",
        )
    elif spec.embeds and spec.block in STACKS:
        yield Problem(
            "attention.skip",
            "skip=value is for a first layer that takes another width, and here the tokens come in "
            "chan wide; leave skip at auto",
        )


def _projection(spec: Spec) -> Iterator[Problem]:
    attention, qkv = spec.attention, spec.qkv
    if qkv in ("fused", "conv") and spec.cross:
        yield Problem(
            "attention.qkv",
            f"qkv={qkv} needs one input for q, k and v; with source=cross use qkv separate or "
            "kv-fused",
        )
    elif qkv in ("fused", "conv", "kv-fused") and (spec.adds_to_qk or spec.stack.queries):
        what = "positions on qk" if spec.adds_to_qk else "queries"
        yield Problem(
            "attention.qkv",
            f"qkv={qkv} needs one input, but {what} are added for q and k and never for v; use "
            "qkv separate",
        )
    if attention.impl == "torch":
        return
    own = spec.kind if spec.kind in ("shared-head", "separate-heads") else ""
    over_width = attention.qk_norm_over == "width" and attention.qk_norm != "none"
    if over_width and (own or qkv != "separate"):
        yield Problem(
            "attention.qk_norm_over",
            "qk_norm_over=width norms q and k before they are cut into heads, which needs qkv "
            f"separate, got {f'kind {own}' if own else f'qkv {qkv}'}; use qk_norm_over head",
        )
    if qkv in ("fused", "conv") and len({attention.q_bias, attention.k_bias, attention.v_bias}) > 1:
        yield Problem(
            "attention.qkv",
            f"qkv={qkv} is one projection with one bias, got q_bias {_word(attention.q_bias)}, "
            f"k_bias {_word(attention.k_bias)} and v_bias {_word(attention.v_bias)}; use qkv "
            "separate",
        )
    elif qkv == "kv-fused" and attention.k_bias != attention.v_bias:
        yield Problem(
            "attention.qkv",
            f"qkv=kv-fused is one projection with one bias, got k_bias {_word(attention.k_bias)} "
            f"and v_bias {_word(attention.v_bias)}; use qkv separate",
        )
    h3d = attention.qkv_layout == "h3d" and not misplaced(spec, "attention.qkv_layout")
    if h3d and spec.kv_heads != spec.heads:
        yield Problem(
            "attention.qkv_layout",
            f"qkv_layout=h3d gives every head its q, k and v, but kv_heads {spec.kv_heads} < heads "
            f"{spec.heads}; use 3hd",
        )


def _layout(spec: Spec) -> Iterator[Problem]:
    layout = spec.attention.layout
    if layout == "single" and spec.heads != 1:
        yield Problem(
            "attention.layout",
            f"layout=single has no head axis, but heads={spec.heads}; use heads-first, or heads 1",
        )
    elif layout != "heads-first" and spec.kv_heads != spec.heads:
        yield Problem(
            "attention.layout",
            f"layout={layout} has as many kv heads as heads, got kv_heads {spec.kv_heads} and "
            f"heads {spec.heads}; use heads-first",
        )
    broadcast = spec.attention.kv_expand == "broadcast"
    if broadcast and spec.kv_heads not in (1, spec.heads) and spec.attention.impl == "eager":
        yield Problem(
            "attention.kv_expand",
            f"kv_expand=broadcast needs kv_heads 1 in eager, where matmul broadcasts one head to "
            f"all, got kv_heads {spec.kv_heads}; use repeat, or impl sdpa",
        )


def _bare(spec: Spec) -> Iterator[Problem]:
    """Yield what attention without projections has no place for."""
    attention = spec.attention
    if spec.block != "attention" or spec.kind == "window":
        what = f"block {spec.block}" if spec.block != "attention" else "kind window"
        yield Problem(
            "attention.qkv",
            f"qkv=none is given q, k and v as they are, and {what} makes them of its tokens; use "
            "qkv fused or separate",
        )
    if attention.out_proj:
        yield Problem("attention.out_proj", "qkv=none attends and does no more; set out_proj false")
    if spec.cache.past is not None:
        yield Problem(
            "cache.past", "qkv=none is given all keys and values at once; leave cache out"
        )
    if spec.positions_on not in ("none", "scores"):
        yield Problem(
            "positions.kind",
            f"qkv=none is given q, k and v as they are, and positions {spec.positions.kind} come in "
            "before; use alibi or t5, or none",
        )
    if attention.qk_scale == "input":
        yield Problem(
            "attention.qk_scale",
            "qk_scale=input is dim^-0.5, and with qkv=none nothing is dim wide; use head, or a "
            "number",
        )


def _late_scale(spec: Spec) -> Iterator[Problem]:
    """Yield where a hidden score would not stay the smallest."""
    at, scale, fill = spec.attention.scale_at, spec.scale, spec.mask.fill
    hides = spec.masks or (spec.kind == "window" and spec.attention.shift)
    if at != "masked_scores" or not hides or misplaced(spec, "attention.scale_at"):
        return
    if scale is not None and scale <= 0:
        yield Problem(
            "attention.scale_at",
            f"scale_at=masked_scores multiplies what the mask filled with {fill}, and {fill} times "
            f"{scale:g} hides nothing; use scale_at scores",
        )


def _word(flag: bool) -> str:
    return "true" if flag else "false"
