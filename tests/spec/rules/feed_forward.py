"""Rules of the feed-forward."""

from __future__ import annotations

from tests.spec.rules.case import Case

CASES = [
    Case(
        "two widths",
        {"block": "encoder", "chan": 64, "heads": 4, "ff_dim": 100, "feed_forward": {"ratio": 2}},
        "feed_forward.ratio",
        "ff_dim 100 and ratio 2 are both given, and ratio*chan is 128; leave one out",
        {"ff_dim": 128},
    ),
    Case(
        "a width beyond all that torch can count",
        {"block": "encoder", "chan": 64, "heads": 4, "feed_forward": {"ratio": 1e11}},
        "feed_forward.ratio",
        "ff_dim would be ratio*chan = 6400000000000, and the most is 1099511627776; make one smaller",
        {"feed_forward": {"ratio": 1e9}},
    ),
    Case(
        "no number of experts",
        {"block": "encoder", "chan": 64, "heads": 4, "feed_forward": {"kind": "moe"}},
        "feed_forward.kind",
        "feed_forward.kind moe needs experts and experts_per_token, such as 8 and 2",
        {"feed_forward": {"kind": "moe", "experts": 8, "experts_per_token": 2}},
    ),
    Case(
        "more experts than there are",
        {
            "block": "encoder",
            "chan": 64,
            "heads": 4,
            "feed_forward": {"kind": "moe", "experts": 8, "experts_per_token": 9},
        },
        "feed_forward.experts_per_token",
        "experts_per_token 9 exceeds experts 8; set at most 8",
        {"feed_forward": {"experts_per_token": 8}},
    ),
    Case(
        "more dense layers than there are",
        {
            "block": "encoder",
            "chan": 64,
            "heads": 4,
            "layers": 2,
            "feed_forward": {
                "kind": "moe",
                "experts": 8,
                "experts_per_token": 2,
                "dense_layers": 3,
            },
        },
        "feed_forward.dense_layers",
        "dense_layers 3 exceeds layers 2; set at most 2",
        {"feed_forward": {"dense_layers": 2}},
    ),
    Case(
        "groups that do not divide",
        {
            "block": "encoder",
            "chan": 64,
            "heads": 4,
            "feed_forward": {"kind": "moe", "experts": 8, "experts_per_token": 2, "groups": 3},
        },
        "feed_forward.groups",
        (
            "experts 8 is not divisible by groups 3 (8 = 3*2 + 2); nearest groups that divide 8: "
            "2, 4"
        ),
        {"feed_forward": {"groups": 4}},
    ),
    Case(
        "more groups than there are",
        {
            "block": "encoder",
            "chan": 64,
            "heads": 4,
            "feed_forward": {
                "kind": "moe",
                "experts": 8,
                "experts_per_token": 2,
                "groups": 4,
                "groups_per_token": 5,
            },
        },
        "feed_forward.groups_per_token",
        "groups_per_token 5 exceeds groups 4; set at most 4",
        {"feed_forward": {"groups_per_token": 4}},
    ),
    Case(
        "groups that hold too few",
        {
            "block": "encoder",
            "chan": 64,
            "heads": 4,
            "feed_forward": {
                "kind": "moe",
                "experts": 8,
                "experts_per_token": 3,
                "groups": 4,
                "groups_per_token": 1,
            },
        },
        "feed_forward.groups_per_token",
        (
            "groups_per_token 1 groups of 2 experts hold 2, fewer than experts_per_token 3; set "
            "a larger groups_per_token, at most 4"
        ),
        {"feed_forward": {"groups_per_token": 2}},
    ),
    Case(
        "grouped in float64",
        {
            "block": "encoder",
            "chan": 64,
            "heads": 4,
            "run": {"dtype": "float64"},
            "feed_forward": {
                "kind": "moe",
                "experts": 8,
                "experts_per_token": 2,
                "expert_impl": "grouped",
            },
        },
        "feed_forward.expert_impl",
        "grouped_mm has no float64; use expert_impl loop",
        {"run": {"dtype": "bfloat16"}},
    ),
    Case(
        "grouped on meta",
        {
            "block": "encoder",
            "chan": 64,
            "heads": 4,
            "run": {"device": "meta"},
            "feed_forward": {
                "kind": "moe",
                "experts": 8,
                "experts_per_token": 2,
                "expert_impl": "grouped",
            },
        },
        "feed_forward.expert_impl",
        "grouped_mm on meta has bfloat16 alone, got dtype float32; use expert_impl loop",
        {"run": {"dtype": "bfloat16"}},
    ),
    Case(
        "grouped with odd rows",
        {
            "block": "encoder",
            "chan": 60,
            "heads": 4,
            "run": {"dtype": "bfloat16"},
            "feed_forward": {
                "kind": "moe",
                "experts": 8,
                "experts_per_token": 2,
                "expert_impl": "grouped",
            },
        },
        "feed_forward.expert_impl",
        "grouped_mm needs rows of a multiple of 16 bytes, got chan 60*2; use expert_impl loop",
        {"chan": 64},
    ),
    Case(
        "an even kernel",
        {"block": "encoder", "chan": 64, "heads": 4, "feed_forward": {"kind": "conv", "kernel": 4}},
        "feed_forward.kernel",
        "kernel must be odd to keep the map, got 4; use 5",
        {"feed_forward": {"kernel": 5}},
    ),
    Case(
        "conv in a decoder",
        {"block": "decoder", "chan": 64, "heads": 4, "feed_forward": {"kind": "conv"}},
        "feed_forward.kind",
        (
            "feed_forward.kind conv works on a map, and the tokens of block decoder lie on none; "
            "use mlp, or block encoder"
        ),
        {"block": "encoder"},
    ),
    Case(
        "conv without a map",
        {
            "block": "encoder",
            "chan": 64,
            "heads": 4,
            "feed_forward": {"kind": "conv"},
            "tokens": 96,
        },
        "image.map",
        (
            "feed_forward.kind conv needs a map, and tokens 96 is no square; set image.map, such "
            "as 8x12"
        ),
        {"image": {"map": "8x12"}},
    ),
    Case(
        "conv with a class token",
        {
            "block": "encoder",
            "chan": 64,
            "heads": 4,
            "feed_forward": {"kind": "conv"},
            "image": {"stem": "patch", "class_token": True},
        },
        "image.class_token",
        (
            "feed_forward.kind conv works on a map, where a class token has no place; leave "
            "class_token out"
        ),
        {"image": {"class_token": False}},
    ),
]
