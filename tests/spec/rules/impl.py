"""Rules of what the fused implementations cannot express."""

from __future__ import annotations

from tests.spec.rules.case import Case

CASES = [
    Case(
        "sdpa with weights",
        {"attention": {"impl": "sdpa", "need_weights": "averaged"}},
        "attention.need_weights",
        "impl=sdpa never materialises the weights; use impl torch, or impl eager",
        {"attention": {"impl": "torch"}},
    ),
    Case(
        "eager with weights",
        {"attention": {"need_weights": "per-head"}},
        "attention.need_weights",
        "impl=eager shows them as probs in any case; leave need_weights at none",
        {"attention": {"impl": "torch"}},
    ),
    Case(
        "sdpa with a cap",
        {"attention": {"impl": "sdpa", "softcap": 50.0}},
        "attention.softcap",
        "impl=sdpa cannot soft-cap the scores; use impl eager",
        {"attention": {"impl": "eager"}},
    ),
    Case(
        "torch with a cap",
        {"attention": {"impl": "torch", "softcap": 50.0}},
        "attention.softcap",
        "impl=torch cannot soft-cap the scores; use impl eager",
        {"attention": {"impl": "eager"}},
    ),
    Case(
        "sdpa with a scale in its place",
        {"attention": {"impl": "sdpa", "scale_at": "scores"}},
        "attention.scale_at",
        "impl=sdpa scales inside its kernel; leave scale_at out, or use impl eager",
        {"attention": {"impl": "eager"}},
    ),
    Case(
        "sdpa with a layout",
        {"heads": 4, "attention": {"impl": "sdpa", "layout": "folded"}},
        "attention.layout",
        "impl=sdpa has its own layout, got layout folded; leave layout out, or use impl eager",
        {"attention": {"impl": "eager"}},
    ),
    Case(
        "torch with a layout",
        {"attention": {"impl": "torch", "layout": "single"}},
        "attention.layout",
        ("impl=torch has its own layout, got layout single; leave layout out, or use impl eager"),
        {"attention": {"impl": "sdpa"}},
    ),
    Case(
        "sdpa with a fill",
        {"attention": {"impl": "sdpa"}, "mask": {"kind": "causal", "fill": "min"}},
        "mask.fill",
        "impl=sdpa fills with -inf, got fill min; leave fill out, or use impl eager",
        {"attention": {"impl": "eager"}},
    ),
    Case(
        "torch with another head_dim",
        {"heads": 4, "head_dim": 10, "attention": {"impl": "torch"}},
        "attention.impl",
        (
            "impl=torch has head_dim chan/heads and no other, got head_dim 10 for chan 64 and "
            "heads 4; leave head_dim out, or use impl eager or sdpa"
        ),
        {"head_dim": 16},
    ),
    Case(
        "torch with heads that do not divide",
        {"heads": 3, "head_dim": 10, "attention": {"impl": "torch"}},
        "heads",
        (
            "impl=torch cuts chan into heads, and chan 64 is not divisible by heads 3 (64 = 3*21 + "
            "1); nearest heads that divide 64: 2, 4. Or use impl eager or sdpa"
        ),
        {"attention": {"impl": "eager"}},
    ),
    Case(
        "torch with wider values",
        {"heads": 4, "value_head_dim": 10, "attention": {"impl": "torch"}},
        "value_head_dim",
        (
            "impl=torch has values as wide as keys, got value_head_dim 10 and head_dim 16; leave "
            "it out, or use impl eager or sdpa"
        ),
        {"attention": {"impl": "eager"}},
    ),
    Case(
        "torch with fewer kv heads",
        {"heads": 4, "kv_heads": 2, "attention": {"impl": "torch"}},
        "kv_heads",
        (
            "impl=torch has as many kv heads as heads 4, got kv_heads 2; leave it out, or use "
            "impl eager or sdpa"
        ),
        {"attention": {"impl": "sdpa"}},
    ),
    Case(
        "torch with one kv head by its kind",
        {"heads": 4, "attention": {"impl": "torch", "kind": "mqa"}},
        "kv_heads",
        (
            "impl=torch has as many kv heads as heads 4, got kv_heads 1; use kind mha, or use "
            "impl eager or sdpa"
        ),
        {"attention": {"kind": "mha"}},
    ),
    Case(
        "torch with heads that do not divide chan",
        {"heads": 8, "chan": 12, "head_dim": 2, "attention": {"impl": "torch"}},
        "heads",
        (
            "impl=torch cuts chan into heads, and chan 12 is not divisible by heads 8 (12 = 8*1 + "
            "4); nearest heads that divide 12: 6, 12. Or use impl eager or sdpa"
        ),
        {"attention": {"impl": "eager"}},
    ),
    Case(
        "torch with another dim",
        {"dim": 49, "attention": {"impl": "torch"}},
        "attention.impl",
        (
            "impl=torch cannot project dim 49 to chan 64: nn.MultiheadAttention keeps the width "
            "of its input; set dim 64, or use impl eager or sdpa"
        ),
        {"dim": 64},
    ),
    Case(
        "torch with a scale",
        {"attention": {"impl": "torch", "qk_scale": 0.0}},
        "attention.qk_scale",
        (
            "impl=torch always scales by head_dim^-0.5, got qk_scale 0.0; leave qk_scale at "
            "head, or use impl eager or sdpa"
        ),
        {"attention": {"impl": "sdpa"}},
    ),
    Case(
        "torch with a value skip",
        {"attention": {"impl": "torch", "skip": "value"}},
        "attention.skip",
        ("impl=torch keeps its values inside; use skip input or none, or use impl eager or sdpa"),
        {"attention": {"skip": "input"}},
    ),
    Case(
        "torch with one bias",
        {"attention": {"impl": "torch", "out_bias": True}},
        "attention.out_bias",
        (
            "impl=torch has one bias switch for both projections, got qkv_bias false and "
            "out_bias true; leave out_bias out, or use impl eager or sdpa"
        ),
        {"attention": {"qkv_bias": True}},
    ),
    Case(
        "torch with a bias of its own",
        {"attention": {"impl": "torch", "q_bias": True}},
        "attention.q_bias",
        (
            "q_bias means nothing here; it goes with attention.impl eager or sdpa; "
            "nn.MultiheadAttention has qkv_bias alone"
        ),
        {"attention": {"impl": "eager", "qkv": "separate"}},
    ),
    Case(
        "torch with qk_norm",
        {"attention": {"impl": "torch", "qk_norm": "rmsnorm"}},
        "attention.qk_norm",
        (
            "impl=torch takes x to out in one module, where attention.qk_norm cannot reach; "
            "leave qk_norm out, or use impl eager or sdpa"
        ),
        {"attention": {"impl": "eager"}},
    ),
    Case(
        "torch with out_proj",
        {"attention": {"impl": "torch", "out_proj": False}},
        "attention.out_proj",
        (
            "impl=torch takes x to out in one module, where attention.out_proj cannot reach; "
            "leave out_proj out, or use impl eager or sdpa"
        ),
        {"attention": {"impl": "eager"}},
    ),
    Case(
        "torch with qkv",
        {"attention": {"impl": "torch", "qkv": "separate"}},
        "attention.qkv",
        (
            "impl=torch takes x to out in one module, where attention.qkv cannot reach; leave "
            "qkv out, or use impl eager or sdpa"
        ),
        {"attention": {"impl": "eager"}},
    ),
    Case(
        "torch with rope",
        {"attention": {"impl": "torch"}, "positions": {"kind": "rope"}},
        "positions.kind",
        (
            "impl=torch takes x to out in one module, where positions.kind cannot reach; leave "
            "kind out, or use impl eager or sdpa"
        ),
        {"attention": {"impl": "eager"}},
    ),
    Case(
        "torch with alibi",
        {"attention": {"impl": "torch"}, "positions": {"kind": "alibi"}},
        "positions.kind",
        (
            "impl=torch takes x to out in one module, where positions.kind cannot reach; leave "
            "kind out, or use impl eager or sdpa"
        ),
        {"attention": {"impl": "eager"}},
    ),
    Case(
        "torch with a cache",
        {"attention": {"impl": "torch"}, "cache": {"past": 3}, "mask": {"kind": "causal"}},
        "cache.past",
        (
            "impl=torch takes x to out in one module, where cache.past cannot reach; leave past "
            "out, or use impl eager or sdpa"
        ),
        {"attention": {"impl": "eager"}},
    ),
]
