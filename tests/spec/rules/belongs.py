"""Settings that would change nothing."""

from __future__ import annotations

from tests.spec.rules.case import Case

CASES = [
    Case(
        "another block's section",
        {"norm": {"kind": "rmsnorm"}},
        "norm.kind",
        "kind means nothing to block attention; it is for encoder, decoder, encoder-decoder",
        {"block": "encoder"},
    ),
    Case(
        "another block's size",
        {"layers": 3},
        "layers",
        (
            "layers means nothing to block attention; it is for encoder, decoder, "
            "encoder-decoder, psa"
        ),
        {"block": "encoder"},
    ),
    Case(
        "another kind's setting",
        {"attention": {"kv_lora_rank": 8}},
        "attention.kv_lora_rank",
        "kv_lora_rank means nothing here; it goes with attention.kind mla",
        {
            "heads": 3,
            "value_head_dim": 5,
            "attention": {"kind": "mla", "kv_lora_rank": 8, "nope_head_dim": 6, "rope_head_dim": 4},
        },
    ),
    Case(
        "a mask's window",
        {"mask": {"window": 8}},
        "mask.window",
        "window means nothing here; it goes with mask.kind sliding",
        {"mask": {"kind": "sliding"}},
    ),
    Case(
        "a fill without a mask",
        {"mask": {"fill": "min"}},
        "mask.fill",
        "fill means nothing here; it goes with mask.kind",
        {"mask": {"kind": "causal"}},
    ),
    Case(
        "a fill for queries",
        {
            "block": "encoder-decoder",
            "chan": 64,
            "heads": 4,
            "context_tokens": 7,
            "tokens": 9,
            "stack": {"queries": True},
            "mask": {"fill": "min"},
        },
        "mask.fill",
        "fill means nothing here; it goes with mask.kind",
        {"mask": {"kind": "padding"}},
    ),
    Case(
        "a place without a scale",
        {"attention": {"qk_scale": "none", "scale_at": "scores"}},
        "attention.scale_at",
        "scale_at means nothing here: qk_scale is none",
        {"attention": {"qk_scale": "head"}},
    ),
    Case(
        "a place for linear's scale",
        {"attention": {"kind": "linear", "scale_at": "scores"}},
        "attention.scale_at",
        "scale_at means nothing here: kind linear has no scale",
        {"attention": {"kind": "auto"}},
    ),
    Case(
        "a dim of words",
        {"block": "encoder", "chan": 64, "heads": 4, "dim": 49, "stack": {"vocab": 100}},
        "dim",
        ("dim means nothing here: token ids come in, and the table makes them embedding_dim wide"),
        {"dim": 64},
    ),
    Case(
        "a dim of queries",
        {
            "block": "encoder-decoder",
            "chan": 64,
            "heads": 4,
            "context_tokens": 7,
            "tokens": 9,
            "dim": 49,
            "stack": {"queries": True},
        },
        "dim",
        "dim means nothing here: with stack.queries the decoder starts from zeros",
        {"dim": 64},
    ),
    Case(
        "a context that nothing meets",
        {"context_dim": 10},
        "context_dim",
        "context_dim means nothing here; it goes with attention.source cross or stack.cross",
        {"attention": {"source": "cross"}, "context_tokens": 7},
    ),
    Case(
        "a context of words",
        {
            "block": "encoder-decoder",
            "chan": 64,
            "heads": 4,
            "context_tokens": 7,
            "context_dim": 10,
            "stack": {"vocab": 100},
        },
        "context_dim",
        "context_dim means nothing here: token ids come in",
        {"context_dim": 64},
    ),
    Case(
        "layers of neither",
        {
            "block": "encoder-decoder",
            "chan": 64,
            "heads": 4,
            "context_tokens": 7,
            "layers": 5,
            "stack": {"encoder_layers": 2, "decoder_layers": 3},
        },
        "layers",
        "layers means nothing here: encoder_layers and decoder_layers are both given",
        {"stack": {"decoder_layers": None}},
    ),
    Case(
        "a bias of no projection",
        {"attention": {"qkv": "none", "out_proj": False, "qkv_bias": True}},
        "attention.qkv_bias",
        "qkv_bias means nothing here: with attention.qkv none, q, k and v come in as they are",
        {"attention": {"qkv": "fused"}},
    ),
    Case(
        "the performer's implementation",
        {"block": "t2t", "attention": {"impl": "sdpa"}},
        "attention.impl",
        (
            "impl means nothing here: the performer has no softmax; use image.token_block "
            "transformer or attention"
        ),
        {"image": {"token_block": "transformer"}},
    ),
    Case(
        "a shift in one layer",
        {
            "block": "encoder",
            "chan": 64,
            "heads": 4,
            "attention": {"kind": "window", "window": 5, "shift": 2},
        },
        "attention.shift",
        (
            "shift means nothing here; it goes with attention.kind window, and in a stack with "
            "every second layer: layers 2 or more"
        ),
        {"layers": 2},
    ),
    Case(
        "a bias without a projection",
        {"attention": {"out_proj": False, "out_bias": False}},
        "attention.out_bias",
        "out_bias means nothing here; it goes with attention.out_proj",
        {"attention": {"out_proj": True}},
    ),
    Case(
        "a width that no expert has",
        {
            "block": "encoder",
            "chan": 64,
            "heads": 4,
            "ff_dim": 100,
            "feed_forward": {"kind": "moe", "experts": 8, "experts_per_token": 2, "expert_dim": 32},
        },
        "ff_dim",
        "ff_dim means nothing here: every layer has experts, and they are expert_dim wide",
        {"feed_forward": {"dense_layers": 1}},
    ),
    Case(
        "a ratio that no expert has",
        {
            "block": "encoder",
            "chan": 64,
            "heads": 4,
            "feed_forward": {
                "kind": "moe",
                "experts": 8,
                "experts_per_token": 2,
                "ratio": 2,
                "expert_dim": 32,
            },
        },
        "feed_forward.ratio",
        "ratio means nothing here: every layer has experts, and they are expert_dim wide",
        {"feed_forward": {"expert_dim": None}},
    ),
    Case(
        "a width of nothing",
        {
            "block": "encoder",
            "chan": 64,
            "heads": 4,
            "ff_dim": 100,
            "feed_forward": {"kind": "none"},
        },
        "ff_dim",
        "ff_dim means nothing here; it goes with feed_forward.kind mlp, glu, moe, conv",
        {"feed_forward": {"kind": "glu"}},
    ),
    Case(
        "groups of one",
        {
            "block": "encoder",
            "chan": 64,
            "heads": 4,
            "feed_forward": {
                "kind": "moe",
                "experts": 8,
                "experts_per_token": 2,
                "groups_per_token": 2,
            },
        },
        "feed_forward.groups_per_token",
        "groups_per_token means nothing here; it goes with feed_forward.groups",
        {"feed_forward": {"groups": 4}},
    ),
    Case(
        "a bias on no way",
        {
            "heads": 4,
            "value_head_dim": 5,
            "attention": {
                "kind": "mla",
                "kv_lora_rank": 8,
                "nope_head_dim": 6,
                "rope_head_dim": 4,
                "q_bias": True,
            },
        },
        "attention.q_bias",
        (
            "q_bias means nothing here: kind mla has it on the way to q_lora_rank, which is not "
            "given"
        ),
        {"attention": {"q_lora_rank": 7}},
    ),
    Case(
        "a bias of a latent by another name",
        {
            "heads": 4,
            "value_head_dim": 5,
            "attention": {
                "kind": "mla",
                "kv_lora_rank": 8,
                "nope_head_dim": 6,
                "rope_head_dim": 4,
                "v_bias": True,
            },
        },
        "attention.v_bias",
        ("v_bias means nothing here: kind mla makes k and v from one latent, which k_bias is for"),
        {"attention": {"v_bias": False, "k_bias": True}},
    ),
    Case(
        "a bias without weights",
        {"block": "encoder", "norm": {"weight": False, "bias": False}},
        "norm.bias",
        "bias means nothing here; it goes with norm.kind layernorm, and norm.weight",
        {"norm": {"weight": True}},
    ),
]
