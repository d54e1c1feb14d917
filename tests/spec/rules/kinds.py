"""Rules of each kind of attention."""

from __future__ import annotations

from tests.spec.rules.case import Case

CASES = [
    Case(
        "mla without its ranks",
        {"attention": {"kind": "mla"}},
        "attention.kind",
        ("attention.kind mla needs kv_lora_rank, nope_head_dim, rope_head_dim and value_head_dim"),
        {
            "heads": 3,
            "value_head_dim": 5,
            "attention": {"kind": "mla", "kv_lora_rank": 8, "nope_head_dim": 6, "rope_head_dim": 4},
        },
    ),
    Case(
        "mla with another head_dim",
        {
            "heads": 3,
            "value_head_dim": 5,
            "attention": {"kind": "mla", "kv_lora_rank": 8, "nope_head_dim": 6, "rope_head_dim": 4},
            "head_dim": 16,
        },
        "head_dim",
        (
            "in mla a head of q and k is nope_head_dim 6 + rope_head_dim 4 = 10 wide, got "
            "head_dim 16; leave head_dim out"
        ),
        {"head_dim": 10},
    ),
    Case(
        "mla with learned positions",
        {
            "heads": 3,
            "value_head_dim": 5,
            "attention": {"kind": "mla", "kv_lora_rank": 8, "nope_head_dim": 6, "rope_head_dim": 4},
            "positions": {"kind": "learned"},
        },
        "positions.kind",
        "kind mla turns its rope_head_dim features by rope, got positions learned; use rope",
        {"positions": {"kind": "rope"}},
    ),
    Case(
        "mla across",
        {
            "heads": 3,
            "value_head_dim": 5,
            "attention": {
                "kind": "mla",
                "kv_lora_rank": 8,
                "nope_head_dim": 6,
                "rope_head_dim": 4,
                "source": "cross",
            },
            "context_tokens": 7,
        },
        "attention.kind",
        (
            "kind mla makes k and v from the tokens' own latent, and has no place for a context; "
            "use kind mha"
        ),
        {"attention": {"source": "self"}, "context_tokens": None},
    ),
    Case(
        "mla in an encoder-decoder",
        {
            "block": "encoder-decoder",
            "chan": 64,
            "heads": 3,
            "context_tokens": 7,
            "value_head_dim": 5,
            "attention": {"kind": "mla", "kv_lora_rank": 8, "nope_head_dim": 6, "rope_head_dim": 4},
        },
        "attention.kind",
        (
            "kind mla makes k and v from the tokens' own latent, and has no place for a context; "
            "use kind mha"
        ),
        {"block": "decoder", "context_tokens": None},
    ),
    Case(
        "mla by another layout",
        {
            "heads": 3,
            "value_head_dim": 5,
            "attention": {
                "kind": "mla",
                "kv_lora_rank": 8,
                "nope_head_dim": 6,
                "rope_head_dim": 4,
                "layout": "folded",
            },
        },
        "attention.layout",
        "kind mla computes heads first, got layout folded; use heads-first",
        {"attention": {"layout": "heads-first"}},
    ),
    Case(
        "mla by torch",
        {
            "heads": 3,
            "value_head_dim": 10,
            "attention": {
                "kind": "mla",
                "kv_lora_rank": 8,
                "nope_head_dim": 6,
                "rope_head_dim": 4,
                "impl": "torch",
            },
            "dim": 64,
        },
        "attention.impl",
        "impl=torch computes softmax(q k^T) v, not what kind mla does; use impl eager",
        {"attention": {"impl": "sdpa"}},
    ),
    Case(
        "mla with a projection",
        {
            "heads": 3,
            "value_head_dim": 5,
            "attention": {
                "kind": "mla",
                "kv_lora_rank": 8,
                "nope_head_dim": 6,
                "rope_head_dim": 4,
                "qkv": "fused",
            },
        },
        "attention.qkv",
        "kind mla has its own projections; leave qkv out",
        {"attention": {"qkv": "auto"}},
    ),
    Case(
        "mla with a norm",
        {
            "heads": 3,
            "value_head_dim": 5,
            "attention": {
                "kind": "mla",
                "kv_lora_rank": 8,
                "nope_head_dim": 6,
                "rope_head_dim": 4,
                "qk_norm": "l2",
            },
        },
        "attention.qk_norm",
        "kind mla norms its latents; leave qk_norm out",
        {"attention": {"qk_norm": "none"}},
    ),
    Case(
        "additive without its width",
        {"attention": {"kind": "additive"}},
        "attention.kind",
        "attention.kind additive needs align_dim",
        {"attention": {"align_dim": 5}},
    ),
    Case(
        "additive with another head_dim",
        {"attention": {"kind": "additive", "align_dim": 5}, "head_dim": 6},
        "head_dim",
        "in kind additive q and k are align_dim 5 wide, got head_dim 6; leave head_dim out",
        {"head_dim": 5},
    ),
    Case(
        "additive token-first",
        {"heads": 4, "attention": {"kind": "additive", "align_dim": 5, "layout": "token-first"}},
        "attention.layout",
        "kind additive computes heads first, got layout token-first; use heads-first",
        {"attention": {"layout": "heads-first"}},
    ),
    Case(
        "additive with a scale",
        {"attention": {"kind": "additive", "align_dim": 5, "qk_scale": "embed"}},
        "attention.qk_scale",
        (
            "kind additive has no product to scale: its scores are v^T tanh(W_q q + W_k k); "
            "leave qk_scale out"
        ),
        {"attention": {"qk_scale": "head"}},
    ),
    Case(
        "additive with a cap",
        {"attention": {"kind": "additive", "align_dim": 5, "softcap": 5.0}},
        "attention.softcap",
        "kind additive bounds its scores by tanh; leave softcap out",
        {"attention": {"softcap": None}},
    ),
    Case(
        "additive with a norm",
        {"attention": {"kind": "additive", "align_dim": 5, "qk_norm": "l2"}},
        "attention.qk_norm",
        "kind additive has no product of q and k; leave qk_norm out",
        {"attention": {"qk_norm": "none"}},
    ),
    Case(
        "additive by sdpa",
        {"attention": {"kind": "additive", "align_dim": 5, "impl": "sdpa"}},
        "attention.impl",
        "impl=sdpa computes softmax(q k^T) v, not what kind additive does; use impl eager",
        {"attention": {"impl": "eager"}},
    ),
    Case(
        "linear with a mask",
        {"attention": {"kind": "linear"}, "mask": {"kind": "causal, padding"}},
        "mask.kind",
        (
            "kind linear sums over all keys before a query comes in, so it has no mask causal, "
            "padding; set mask.kind none"
        ),
        {"mask": {"kind": "none"}},
    ),
    Case(
        "linear in a decoder",
        {"block": "decoder", "chan": 64, "heads": 4, "attention": {"kind": "linear"}},
        "mask.kind",
        (
            "kind linear sums over all keys before a query comes in, so it has no mask causal; "
            "set mask.kind none"
        ),
        {"mask": {"kind": "none"}},
    ),
    Case(
        "linear with a bias on scores",
        {"attention": {"kind": "linear"}, "positions": {"kind": "alibi"}},
        "positions.kind",
        (
            "kind linear has no scores that positions alibi could be added to; use sinusoidal, "
            "learned or rope"
        ),
        {"positions": {"kind": "rope"}},
    ),
    Case(
        "linear with a cache",
        {"attention": {"kind": "linear"}, "cache": {"past": 3}},
        "cache.past",
        "kind linear keeps a sum, not keys; leave cache out",
        {"attention": {"kind": "auto"}, "mask": {"kind": "causal"}},
    ),
    Case(
        "linear folded",
        {"heads": 4, "attention": {"kind": "linear", "layout": "folded"}},
        "attention.layout",
        "kind linear computes heads first, got layout folded; use heads-first",
        {"attention": {"layout": "heads-first"}},
    ),
    Case(
        "linear with dropout",
        {"attention": {"kind": "linear", "dropout": 0.5}},
        "attention.dropout",
        "kind linear has no probabilities to drop; leave dropout out",
        {"attention": {"dropout": 0.0}},
    ),
    Case(
        "linear with a scale",
        {"attention": {"kind": "linear", "qk_scale": 0.5}},
        "attention.qk_scale",
        "kind linear has no product of q and k to scale; leave qk_scale out",
        {"attention": {"qk_scale": "head"}},
    ),
    Case(
        "linear with a cap",
        {"attention": {"kind": "linear", "softcap": 5.0}},
        "attention.softcap",
        "kind linear has no scores to cap; leave softcap out",
        {"attention": {"softcap": None}},
    ),
    Case(
        "linear by sdpa",
        {"attention": {"kind": "linear", "impl": "sdpa"}},
        "attention.impl",
        "impl=sdpa computes softmax(q k^T) v, not what kind linear does; use impl eager",
        {"attention": {"impl": "eager"}},
    ),
    Case(
        "window without its side",
        {"attention": {"kind": "window"}},
        "attention.kind",
        "attention.kind window needs window, its side in tokens",
        {"attention": {"window": 5}},
    ),
    Case(
        "window with a wide shift",
        {"attention": {"kind": "window", "window": 5, "shift": 5}},
        "attention.shift",
        "shift must be between 0 and window 5 - 1, got 5; use 2",
        {"attention": {"shift": 4}},
    ),
    Case(
        "window without a map",
        {"attention": {"kind": "window", "window": 5}, "tokens": 96},
        "image.map",
        "kind window needs a map, and tokens 96 is no square; set image.map, such as 8x12",
        {"image": {"map": "8x12"}, "attention": {"window": 4}},
    ),
    Case(
        "window that does not fit",
        {"attention": {"kind": "window", "window": 8}, "image": {"map": "14x14"}},
        "attention.window",
        "feature map 14x14 is not divisible by window 8; allowed: 1, 2, 7, 14",
        {"attention": {"window": 7}},
    ),
    Case(
        "window with a mask",
        {"attention": {"kind": "window", "window": 5}, "mask": {"kind": "padding"}},
        "attention.kind",
        (
            "kind window is self-attention over a map, without class token, mask, cache or "
            "context; leave them out"
        ),
        {"mask": {"kind": "none"}},
    ),
    Case(
        "window by torch",
        {"attention": {"kind": "window", "window": 5, "impl": "torch"}},
        "attention.impl",
        "kind window is eager or sdpa, got impl torch; use sdpa",
        {"attention": {"impl": "sdpa"}},
    ),
    Case(
        "window folded",
        {"attention": {"kind": "window", "window": 5, "layout": "folded"}, "heads": 4},
        "attention.layout",
        "kind window computes heads first, got layout folded; use heads-first",
        {"attention": {"layout": "heads-first"}},
    ),
    Case(
        "window with rope",
        {"attention": {"kind": "window", "window": 5}, "positions": {"kind": "rope"}},
        "positions.kind",
        (
            "positions rope are places in the whole sequence, and kind window attends inside "
            "windows; use swin, or positions on the input"
        ),
        {"positions": {"kind": "swin"}},
    ),
    Case(
        "shared head of another width",
        {"attention": {"kind": "shared-head"}, "heads": 4, "dim": 48},
        "attention.kind",
        "kind shared-head cuts x of width dim 48 into heads*head_dim 64; set dim 64",
        {"dim": 64},
    ),
    Case(
        "shared head of another context",
        {
            "attention": {"kind": "shared-head", "source": "cross"},
            "heads": 4,
            "context_tokens": 7,
            "context_dim": 48,
        },
        "context_dim",
        (
            "kind shared-head cuts the context of width context_dim 48 into heads*head_dim 64; "
            "set context_dim 64"
        ),
        {"context_dim": 64},
    ),
    Case(
        "shared head with wider values",
        {"attention": {"kind": "shared-head"}, "heads": 4, "value_head_dim": 20},
        "value_head_dim",
        (
            "kind shared-head cuts q, k and v from the same features, head_dim 16 each, got "
            "value_head_dim 20; leave it out"
        ),
        {"value_head_dim": 16},
    ),
    Case(
        "separate heads folded",
        {"heads": 4, "attention": {"kind": "separate-heads", "layout": "folded"}},
        "attention.layout",
        "kind separate-heads computes one head after the other; leave layout out",
        {"attention": {"layout": "heads-first"}},
    ),
    Case(
        "separate heads with alibi",
        {"heads": 4, "attention": {"kind": "separate-heads"}, "positions": {"kind": "alibi"}},
        "positions.kind",
        (
            "positions alibi have a bias for each head, and kind separate-heads computes one "
            "head after the other; use kind mha"
        ),
        {"attention": {"kind": "mha"}},
    ),
    Case(
        "separate heads with a cache",
        {
            "heads": 4,
            "attention": {"kind": "separate-heads"},
            "cache": {"past": 3},
            "mask": {"kind": "causal"},
        },
        "cache.past",
        "kind separate-heads has no cache; use kind mha, or leave cache out",
        {"attention": {"kind": "mha"}},
    ),
]
