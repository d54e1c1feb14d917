"""Rules of positions."""

from __future__ import annotations

from tests.spec.rules.case import Case

CASES = [
    Case(
        "rope on the input",
        {"positions": {"kind": "rope", "on": "input"}},
        "positions.on",
        "positions rope act on qk, got on input; leave on out",
        {"positions": {"on": "qk"}},
    ),
    Case(
        "nothing on the input",
        {"positions": {"on": "input"}},
        "positions.on",
        "on means nothing here; it goes with positions.kind",
        {"positions": {"kind": "learned"}},
    ),
    Case(
        "learned on q and k of patches",
        {"block": "patch-embed", "positions": {"kind": "learned", "on": "qk"}},
        "positions.kind",
        (
            "block patch-embed adds positions to its tokens; learned act on qk; use positions.on "
            "input"
        ),
        {"positions": {"on": "input"}},
    ),
    Case(
        "alibi on patches",
        {"block": "patch-embed", "positions": {"kind": "alibi"}},
        "positions.kind",
        (
            "block patch-embed adds positions to its tokens; alibi act on scores; use sinusoidal "
            "or learned"
        ),
        {"positions": {"kind": "learned"}},
    ),
    Case(
        "t5 across",
        {"attention": {"source": "cross"}, "context_tokens": 7, "positions": {"kind": "t5"}},
        "positions.kind",
        (
            "positions t5 need keys of the tokens' own, got source cross; use none, or positions "
            "on the input"
        ),
        {"positions": {"kind": "sinusoidal"}},
    ),
    Case(
        "an odd rotary width",
        {"head_dim": 15, "positions": {"kind": "rope"}},
        "positions.kind",
        "rope needs an even rotary width, got head_dim 15; set another head_dim",
        {"head_dim": 16},
    ),
    Case(
        "an odd part",
        {"heads": 4, "positions": {"kind": "rope", "fraction": 0.2}},
        "positions.kind",
        ("rope needs an even rotary width, got head_dim 16*fraction 0.2 = 3; set another fraction"),
        {"positions": {"fraction": 0.25}},
    ),
    Case(
        "an odd rotary head of mla",
        {
            "heads": 3,
            "value_head_dim": 5,
            "attention": {"kind": "mla", "kv_lora_rank": 8, "nope_head_dim": 6, "rope_head_dim": 5},
            "positions": {"kind": "rope"},
        },
        "positions.kind",
        "rope needs an even rotary width, got rope_head_dim 5; set another rope_head_dim",
        {"attention": {"rope_head_dim": 6}},
    ),
    Case(
        "a part of mla's",
        {
            "heads": 3,
            "value_head_dim": 5,
            "attention": {"kind": "mla", "kv_lora_rank": 8, "nope_head_dim": 6, "rope_head_dim": 4},
            "positions": {"kind": "rope", "fraction": 0.5},
        },
        "positions.fraction",
        "kind mla turns all of rope_head_dim; leave fraction out",
        {"positions": {"fraction": 1.0}},
    ),
    Case(
        "rope across",
        {"attention": {"source": "cross"}, "context_tokens": 7, "positions": {"kind": "rope"}},
        "positions.kind",
        "rope turns q and k by positions of one sequence; with source=cross use none",
        {"positions": {"kind": "none"}},
    ),
    Case(
        "a learned table that is short",
        {"tokens": 1025, "positions": {"kind": "learned", "max": 1024}},
        "positions.max",
        (
            "tokens 1025 exceeds max 1024 of learned positions; set positions.max 1025, or fewer "
            "tokens"
        ),
        {"tokens": 1024},
    ),
    Case(
        "a learned table that is short for the cache",
        {
            "block": "decoder",
            "chan": 64,
            "heads": 4,
            "tokens": 1,
            "cache": {"past": 64},
            "positions": {"kind": "learned", "max": 64},
        },
        "positions.max",
        "tokens 65 exceeds max 64 of learned positions; set positions.max 65, or fewer tokens",
        {"positions": {"max": 65}},
    ),
    Case(
        "a learned table that is short for the context",
        {
            "block": "encoder-decoder",
            "chan": 64,
            "heads": 4,
            "context_tokens": 7,
            "tokens": 3,
            "positions": {"kind": "learned", "max": 6},
        },
        "positions.max",
        "tokens 7 exceeds max 6 of learned positions; set positions.max 7, or fewer tokens",
        {"context_tokens": 6},
    ),
    Case(
        "few buckets",
        {"positions": {"kind": "t5", "buckets": 3}},
        "positions.buckets",
        "buckets must be at least 4, or 2 where all masks are causal, got 3",
        {"positions": {"buckets": 4}},
    ),
    Case(
        "a short distance",
        {"positions": {"kind": "t5", "max_distance": 8}},
        "positions.max_distance",
        "max_distance must be above 8, the distances that have a bucket each, got 8",
        {"positions": {"max_distance": 9}},
    ),
    Case(
        "a short distance back",
        {
            "block": "encoder-decoder",
            "chan": 64,
            "heads": 4,
            "context_tokens": 7,
            "positions": {"kind": "t5", "max_distance": 9},
        },
        "positions.max_distance",
        "max_distance must be above 16, the distances that have a bucket each, got 9",
        {"positions": {"max_distance": 17}},
    ),
    Case(
        "a map for DETR",
        {
            "block": "encoder-decoder",
            "chan": 64,
            "heads": 4,
            "context_tokens": 7,
            "tokens": 9,
            "stack": {"queries": True},
            "positions": {"kind": "sine-2d", "on": "qk"},
        },
        "image.map",
        "positions sine-2d need a map; set image.map, such as 25x34",
        {"image": {"map": "1x7"}},
    ),
    Case(
        "no map",
        {"tokens": 96, "dim": 48, "positions": {"kind": "sine-2d"}},
        "image.map",
        ("positions sine-2d need a map, and tokens 96 is no square; set image.map, such as 8x12"),
        {"image": {"map": "8x12"}},
    ),
    Case(
        "a map for a decoder",
        {
            "block": "encoder-decoder",
            "chan": 64,
            "heads": 4,
            "context_tokens": 15,
            "image": {"map": "3x5"},
            "positions": {"kind": "sine-2d"},
        },
        "positions.kind",
        (
            "positions sine-2d lie on a map, and the decoder's tokens do not; use stack.queries, "
            "as DETR does, or other positions"
        ),
        {"tokens": 9, "stack": {"queries": True}},
    ),
    Case(
        "a map and a cache",
        {
            "dim": 64,
            "tokens": 1,
            "mask": {"kind": "causal"},
            "cache": {"past": 3},
            "positions": {"kind": "learned-2d"},
        },
        "cache.past",
        (
            "positions learned-2d lie on a map, which a decode step has no more of than its "
            "tokens; leave cache out"
        ),
        {"positions": {"kind": "learned"}},
    ),
    Case(
        "swin without windows",
        {"positions": {"kind": "swin"}},
        "positions.kind",
        "swin is a bias inside windows; use attention.kind window",
        {"attention": {"kind": "window", "window": 5}},
    ),
    Case(
        "quarters",
        {"dim": 50, "positions": {"kind": "sine-2d"}},
        "positions.kind",
        (
            "sine-2d gives a quarter of dim to each of sin and cos of row and column; dim 50 is "
            "not divisible by 4"
        ),
        {"dim": 52},
    ),
    Case(
        "halves",
        {"positions": {"kind": "learned-2d"}},
        "positions.kind",
        "learned-2d gives half of dim to the row and half to the column; dim 49 is odd",
        {"dim": 48},
    ),
    Case(
        "a map across",
        {
            "attention": {"source": "cross"},
            "context_tokens": 7,
            "dim": 64,
            "positions": {"kind": "sine-2d"},
        },
        "positions.kind",
        (
            "positions sine-2d lie on a map, and source=cross has two sequences; use block "
            "encoder-decoder, or other positions"
        ),
        {"positions": {"kind": "sinusoidal"}},
    ),
    Case(
        "an even kernel",
        {"positions": {"kind": "conv", "kernel": 4}},
        "positions.kernel",
        "kernel must be odd to keep the map, got 4; use 5",
        {"positions": {"kernel": 5}},
    ),
    Case(
        "conv with fewer kv heads",
        {"heads": 4, "kv_heads": 2, "positions": {"kind": "conv"}},
        "positions.kind",
        (
            "positions conv work on the values of every head, got kv_heads 2 and heads 4; leave "
            "kv_heads out"
        ),
        {"kv_heads": 4},
    ),
    Case(
        "conv with a class token",
        {
            "block": "encoder",
            "chan": 64,
            "heads": 4,
            "image": {"stem": "patch", "class_token": True},
            "positions": {"kind": "conv"},
        },
        "image.class_token",
        ("positions conv work on a map, where a class token has no place; leave class_token out"),
        {"image": {"class_token": False}},
    ),
    Case(
        "conv with an order",
        {"mask": {"kind": "causal"}, "positions": {"kind": "conv"}},
        "positions.kind",
        (
            "positions conv mix every value with its neighbours on the map, also with those that "
            "mask causal hides; use other positions, or mask.kind none"
        ),
        {"mask": {"kind": "padding"}},
    ),
]
