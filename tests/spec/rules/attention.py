"""Rules of the attention layer, whatever its kind."""

from __future__ import annotations

from tests.spec.rules.case import Case

CASES = [
    Case(
        "mqa",
        {"heads": 4, "kv_heads": 2, "attention": {"kind": "mqa"}},
        "kv_heads",
        (
            "attention.kind mqa means kv_heads 1, but kv_heads 2 was given; use kind gqa, or "
            "leave kv_heads out"
        ),
        {"kv_heads": 1},
    ),
    Case(
        "mha",
        {"heads": 4, "kv_heads": 2, "attention": {"kind": "mha"}},
        "kv_heads",
        (
            "attention.kind mha means kv_heads = heads 4, but kv_heads 2 was given; use kind "
            "gqa, or leave kv_heads out"
        ),
        {"kv_heads": 4},
    ),
    Case(
        "gqa with one",
        {"heads": 4, "kv_heads": 1, "attention": {"kind": "gqa"}},
        "kv_heads",
        "attention.kind gqa means 1 < kv_heads < heads 4, got kv_heads 1; use kind mqa",
        {"kv_heads": 2},
    ),
    Case(
        "gqa with all",
        {"heads": 4, "kv_heads": 4, "attention": {"kind": "gqa"}},
        "kv_heads",
        (
            "attention.kind gqa means 1 < kv_heads < heads 4, got kv_heads 4; use kind mha, or "
            "set kv_heads"
        ),
        {"kv_heads": 2},
    ),
    Case(
        "kv heads of linear",
        {"heads": 4, "kv_heads": 2, "attention": {"kind": "linear"}},
        "kv_heads",
        (
            "attention.kind linear has as many kv heads as heads 4, got kv_heads 2; leave "
            "kv_heads out"
        ),
        {"kv_heads": 4},
    ),
    Case(
        "skip none in a stack",
        {"block": "encoder", "chan": 64, "heads": 4, "attention": {"skip": "none"}},
        "attention.skip",
        (
            "skip=none is for block attention; layers of a stack always add their input; leave "
            "skip at auto"
        ),
        {"attention": {"skip": "auto"}},
    ),
    Case(
        "skip input in a stack",
        {"block": "encoder", "chan": 64, "heads": 4, "attention": {"skip": "input"}},
        "attention.skip",
        (
            "skip=input is for block attention; layers of a stack always add their input; leave "
            "skip at auto"
        ),
        {"attention": {"skip": "auto"}},
    ),
    Case(
        "skip input of another width",
        {"attention": {"skip": "input"}},
        "attention.skip",
        (
            "skip=input adds x of width dim 49 to an output of width chan 64; use skip value or "
            "none, or set dim 64"
        ),
        {"dim": 64},
    ),
    Case(
        "skip value of another width",
        {"heads": 4, "head_dim": 10, "attention": {"skip": "value"}},
        "attention.skip",
        (
            "skip=value adds v of width heads*value_head_dim 40 to an output of width chan 64; "
            "use skip none, or set chan 40"
        ),
        {"chan": 40},
    ),
    Case(
        "skip value with fewer kv heads",
        {"heads": 4, "kv_heads": 2, "attention": {"skip": "value"}},
        "attention.skip",
        (
            "skip=value adds a token's own values to its output, and here there is not one value "
            "a token and head (cross, cached, latent, separate heads, or kv_heads < heads); use "
            "skip none"
        ),
        {"kv_heads": 4},
    ),
    Case(
        "skip value across",
        {"context_tokens": 7, "attention": {"source": "cross", "skip": "value"}},
        "attention.skip",
        (
            "skip=value adds a token's own values to its output, and here there is not one value "
            "a token and head (cross, cached, latent, separate heads, or kv_heads < heads); use "
            "skip none"
        ),
        {"attention": {"skip": "none"}},
    ),
    Case(
        "skip value of embeddings",
        {
            "block": "encoder",
            "chan": 64,
            "heads": 4,
            "attention": {"skip": "value"},
            "stack": {"vocab": 100},
        },
        "attention.skip",
        (
            "skip=value is for a first layer that takes another width, and here the tokens come "
            "in chan wide; leave skip at auto"
        ),
        {"stack": {"vocab": None}},
    ),
    Case(
        "fused across",
        {"context_tokens": 7, "attention": {"source": "cross", "qkv": "fused"}},
        "attention.qkv",
        (
            "qkv=fused needs one input for q, k and v; with source=cross use qkv separate or "
            "kv-fused"
        ),
        {"attention": {"qkv": "kv-fused"}},
    ),
    Case(
        "fused with positions on q and k",
        {"attention": {"qkv": "fused"}, "positions": {"kind": "learned", "on": "qk"}},
        "attention.qkv",
        (
            "qkv=fused needs one input, but positions on qk are added for q and k and never for "
            "v; use qkv separate"
        ),
        {"attention": {"qkv": "separate"}},
    ),
    Case(
        "fused with queries",
        {
            "block": "encoder-decoder",
            "chan": 64,
            "heads": 4,
            "context_tokens": 7,
            "tokens": 9,
            "stack": {"queries": True},
            "attention": {"qkv": "kv-fused"},
        },
        "attention.qkv",
        (
            "qkv=kv-fused needs one input, but queries are added for q and k and never for v; "
            "use qkv separate"
        ),
        {"attention": {"qkv": "separate"}},
    ),
    Case(
        "norm over the width of a fused projection",
        {"attention": {"qkv": "fused", "qk_norm": "rmsnorm", "qk_norm_over": "width"}},
        "attention.qk_norm_over",
        (
            "qk_norm_over=width norms q and k before they are cut into heads, which needs qkv "
            "separate, got qkv fused; use qk_norm_over head"
        ),
        {"attention": {"qkv": "separate"}},
    ),
    Case(
        "norm over the width of shared heads",
        {"attention": {"kind": "shared-head", "qk_norm": "rmsnorm", "qk_norm_over": "width"}},
        "attention.qk_norm_over",
        (
            "qk_norm_over=width norms q and k before they are cut into heads, which needs qkv "
            "separate, got kind shared-head; use qk_norm_over head"
        ),
        {"attention": {"qk_norm_over": "head"}},
    ),
    Case(
        "one bias of three",
        {"attention": {"qkv": "fused", "qkv_bias": True, "k_bias": False}},
        "attention.qkv",
        (
            "qkv=fused is one projection with one bias, got q_bias true, k_bias false and v_bias "
            "true; use qkv separate"
        ),
        {"attention": {"qkv": "separate"}},
    ),
    Case(
        "one bias of two",
        {"attention": {"qkv": "kv-fused", "qkv_bias": True, "k_bias": False}},
        "attention.qkv",
        (
            "qkv=kv-fused is one projection with one bias, got k_bias false and v_bias true; use "
            "qkv separate"
        ),
        {"attention": {"v_bias": False}},
    ),
    Case(
        "h3d with fewer kv heads",
        {"heads": 4, "kv_heads": 2, "attention": {"qkv": "fused", "qkv_layout": "h3d"}},
        "attention.qkv_layout",
        "qkv_layout=h3d gives every head its q, k and v, but kv_heads 2 < heads 4; use 3hd",
        {"attention": {"qkv_layout": "kqv"}},
    ),
    Case(
        "single with heads",
        {"heads": 4, "attention": {"layout": "single"}},
        "attention.layout",
        "layout=single has no head axis, but heads=4; use heads-first, or heads 1",
        {"heads": 1},
    ),
    Case(
        "token-first with fewer kv heads",
        {"heads": 4, "kv_heads": 2, "attention": {"layout": "token-first"}},
        "attention.layout",
        (
            "layout=token-first has as many kv heads as heads, got kv_heads 2 and heads 4; use "
            "heads-first"
        ),
        {"attention": {"layout": "heads-first"}},
    ),
    Case(
        "broadcast",
        {"heads": 4, "kv_heads": 2, "attention": {"kv_expand": "broadcast"}},
        "attention.kv_expand",
        (
            "kv_expand=broadcast needs kv_heads 1 in eager, where matmul broadcasts one head to "
            "all, got kv_heads 2; use repeat, or impl sdpa"
        ),
        {"attention": {"impl": "sdpa"}},
    ),
    Case(
        "broadcast to all",
        {"heads": 4, "kv_heads": 2, "attention": {"kv_expand": "broadcast"}},
        "attention.kv_expand",
        (
            "kv_expand=broadcast needs kv_heads 1 in eager, where matmul broadcasts one head to "
            "all, got kv_heads 2; use repeat, or impl sdpa"
        ),
        {"kv_heads": 1},
    ),
    Case(
        "a late scale of zero",
        {"attention": {"qk_scale": 0.0, "scale_at": "masked_scores"}, "mask": {"kind": "causal"}},
        "attention.scale_at",
        (
            "scale_at=masked_scores multiplies what the mask filled with -inf, and -inf times 0 "
            "hides nothing; use scale_at scores"
        ),
        {"attention": {"scale_at": "scores"}},
    ),
    Case(
        "a late scale below zero",
        {
            "attention": {"qk_scale": -0.5, "scale_at": "masked_scores"},
            "mask": {"kind": "causal", "fill": -10000.0},
        },
        "attention.scale_at",
        (
            "scale_at=masked_scores multiplies what the mask filled with -10000.0, and -10000.0 "
            "times -0.5 hides nothing; use scale_at scores"
        ),
        {"attention": {"qk_scale": 0.5}},
    ),
    Case(
        "a late scale of zero in shifted windows",
        {
            "attention": {
                "kind": "window",
                "window": 5,
                "shift": 2,
                "qk_scale": 0.0,
                "scale_at": "masked_scores",
            }
        },
        "attention.scale_at",
        (
            "scale_at=masked_scores multiplies what the mask filled with -inf, and -inf times 0 "
            "hides nothing; use scale_at scores"
        ),
        {"attention": {"shift": 0}},
    ),
    Case(
        "no projections in a stack",
        {
            "block": "encoder",
            "chan": 64,
            "heads": 4,
            "attention": {"qkv": "none", "out_proj": False},
        },
        "attention.qkv",
        (
            "qkv=none is given q, k and v as they are, and block encoder makes them of its "
            "tokens; use qkv fused or separate"
        ),
        {"attention": {"qkv": "fused"}},
    ),
    Case(
        "no projections in windows",
        {"attention": {"qkv": "none", "out_proj": False, "kind": "window", "window": 5}},
        "attention.qkv",
        (
            "qkv=none is given q, k and v as they are, and kind window makes them of its tokens; "
            "use qkv fused or separate"
        ),
        {"attention": {"kind": "auto", "window": None}},
    ),
    Case(
        "no projections but one",
        {"attention": {"qkv": "none"}},
        "attention.out_proj",
        "qkv=none attends and does no more; set out_proj false",
        {"attention": {"out_proj": False}},
    ),
    Case(
        "no projections with a cache",
        {
            "attention": {"qkv": "none", "out_proj": False},
            "mask": {"kind": "causal"},
            "cache": {"past": 3},
        },
        "cache.past",
        "qkv=none is given all keys and values at once; leave cache out",
        {"cache": {"past": None}},
    ),
    Case(
        "no projections with rope",
        {"attention": {"qkv": "none", "out_proj": False}, "positions": {"kind": "rope"}},
        "positions.kind",
        (
            "qkv=none is given q, k and v as they are, and positions rope come in before; use "
            "alibi or t5, or none"
        ),
        {"positions": {"kind": "alibi"}},
    ),
    Case(
        "no projections, and a scale of what comes in",
        {"attention": {"qkv": "none", "out_proj": False, "qk_scale": "input"}},
        "attention.qk_scale",
        (
            "qk_scale=input is dim^-0.5, and with qkv=none nothing is dim wide; use head, or a "
            "number"
        ),
        {"attention": {"qk_scale": "head"}},
    ),
]
