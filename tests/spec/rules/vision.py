"""Rules of images and maps."""

from __future__ import annotations

from tests.spec.rules.case import Case

CASES = [
    Case(
        "patches that leave a rest",
        {"block": "patch-embed", "image": {"size": "225x224"}},
        "image.patch",
        (
            "image 225x224 is not divisible by patch 16 (225 = 14*16 + 1); a convolution would "
            "silently drop the rest; use patch 1, or size 240x224"
        ),
        {"image": {"size": "240x224"}},
    ),
    Case(
        "patches of a square that leave a rest",
        {"block": "patch-embed", "image": {"size": 224, "patch": 15}},
        "image.patch",
        (
            "image 224x224 is not divisible by patch 15 (224 = 14*15 + 14); a convolution would "
            "silently drop the rest; use patch 14 or 16, or size 225x225"
        ),
        {"image": {"patch": 16}},
    ),
    Case(
        "splits of several lengths",
        {"block": "t2t", "image": {"kernels": [7, 3]}},
        "image.kernels",
        ("every soft split has a kernel, a stride and a pad, got 2 kernels, 3 strides and 3 pads"),
        {"image": {"kernels": [7, 3], "strides": [4, 2], "pads": [2, 1]}},
    ),
    Case(
        "a split of nothing",
        {
            "block": "t2t",
            "image": {"size": "8x8", "kernels": [9, 7], "strides": [4, 4], "pads": [2, 1]},
        },
        "image.kernels",
        "soft split 2 slides a kernel of 7 over a map of 1x1 with pad 1, which is too small",
        {"image": {"size": "32x32"}},
    ),
    Case(
        "torch between splits",
        {"block": "t2t", "image": {"token_block": "attention"}, "attention": {"impl": "torch"}},
        "attention.impl",
        (
            "nn.MultiheadAttention takes as many features as it returns, and a soft split's "
            "tokens are wider than token_dim; use impl eager or sdpa"
        ),
        {"attention": {"impl": "sdpa"}},
    ),
    Case(
        "tokens beside an image",
        {"block": "patch-embed", "tokens": 100},
        "tokens",
        "the image makes tokens 196, got tokens 100; leave it out",
        {"tokens": 196},
    ),
    Case(
        "dim beside an image",
        {"block": "patch-embed", "dim": 49},
        "dim",
        "the image makes dim 768, got dim 49; leave it out",
        {"dim": 768},
    ),
    Case(
        "a map beside an image",
        {"block": "encoder", "chan": 64, "heads": 4, "image": {"stem": "patch", "map": "14x14"}},
        "image.map",
        "the stem makes the map; leave it out",
        {"image": {"map": None}},
    ),
    Case(
        "a map of other tokens",
        {"tokens": 100, "image": {"map": "8x12"}},
        "image.map",
        "map 8x12 has 96 tokens, got tokens 100; set tokens 96",
        {"tokens": 96},
    ),
    Case(
        "a map of another context",
        {
            "block": "encoder-decoder",
            "chan": 64,
            "heads": 4,
            "context_tokens": 7,
            "image": {"map": "2x3"},
        },
        "image.map",
        "map 2x3 has 6 tokens, got context_tokens 7; set context_tokens 6",
        {"context_tokens": 6},
    ),
    Case(
        "half a channel",
        {"block": "psa", "chan": 63, "heads": 3},
        "image.expansion",
        "chan 63*expansion 0.5 = 31.5 is no whole number",
        {"chan": 66},
    ),
    Case(
        "values of another width",
        {"block": "psa", "chan": 64, "heads": 2, "value_head_dim": 8},
        "value_head_dim",
        (
            "heads*value_head_dim 16 is not the 32 channels that PSA attends to; leave "
            "value_head_dim out"
        ),
        {"value_head_dim": 16},
    ),
    Case(
        "psa without a map",
        {"block": "psa", "tokens": 96},
        "image.map",
        "psa works on a map, and tokens 96 is no square; set image.map, such as 8x12",
        {"image": {"map": "8x12"}},
    ),
    Case(
        "psa of one place",
        {"block": "psa", "batch": 1, "tokens": 1, "run": {"mode": "train"}},
        "run.mode",
        (
            "psa's batch norms in train mode have the variance of batch*tokens values, and one "
            "value has none; use run.mode eval, or more tokens"
        ),
        {"batch": 2},
    ),
    Case(
        "psa of another width",
        {"block": "psa", "dim": 49},
        "dim",
        "psa needs equal input and output channels, got dim 49 and chan 64",
        {"dim": 64},
    ),
    Case(
        "an even kernel",
        {"attention": {"qkv": "conv", "conv_kernel": 4}},
        "attention.conv_kernel",
        "conv_kernel must be odd to keep the map, got 4; use 5",
        {"attention": {"conv_kernel": 3}},
    ),
    Case(
        "conv in a decoder",
        {"block": "decoder", "chan": 64, "heads": 4, "attention": {"qkv": "conv"}},
        "attention.qkv",
        (
            "qkv=conv works on a map, and the tokens of a decoder lie on none; use qkv fused or "
            "separate"
        ),
        {"block": "encoder"},
    ),
    Case(
        "conv with an order",
        {"attention": {"qkv": "conv", "conv_kernel": 3}, "mask": {"kind": "causal"}},
        "attention.conv_kernel",
        (
            "a kernel of 3 mixes every token with its neighbours on the map, also with those that "
            "mask causal hides; use conv_kernel 1"
        ),
        {"attention": {"conv_kernel": 1}},
    ),
    Case(
        "conv without a map",
        {"tokens": 96, "attention": {"qkv": "conv"}},
        "image.map",
        "qkv=conv needs a map, and tokens 96 is no square; set image.map, such as 8x12",
        {"image": {"map": "8x12"}},
    ),
    Case(
        "conv with a class token",
        {
            "block": "encoder",
            "chan": 64,
            "heads": 4,
            "attention": {"qkv": "conv"},
            "image": {"stem": "patch", "class_token": True},
        },
        "image.class_token",
        "qkv=conv works on a map, where a class token has no place; leave class_token out",
        {"image": {"class_token": False}},
    ),
]
