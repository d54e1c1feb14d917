"""Rules of masks and the cache."""

from __future__ import annotations

from tests.spec.rules.case import Case

CASES = [
    Case(
        "causal across",
        {
            "attention": {"source": "cross"},
            "tokens": 7,
            "context_tokens": 20,
            "mask": {"kind": "causal"},
        },
        "mask.kind",
        (
            "mask=causal needs queries and keys of one sequence, and source=cross has 7 queries and "
            "20 keys; use mask.kind padding, or leave it out"
        ),
        {"mask": {"kind": "padding"}},
    ),
    Case(
        "sliding across",
        {
            "attention": {"source": "cross"},
            "tokens": 7,
            "context_tokens": 20,
            "mask": {"kind": "sliding", "window": 3},
        },
        "mask.kind",
        (
            "mask=sliding needs queries and keys of one sequence, and source=cross has 7 queries and "
            "20 keys; use mask.kind padding, or leave it out"
        ),
        {"mask": {"kind": "padding", "window": None}},
    ),
    Case(
        "sliding without a window",
        {"mask": {"kind": "sliding"}},
        "mask.kind",
        "mask=sliding needs window, the keys that a query sees, itself included",
        {"mask": {"window": 8}},
    ),
    Case(
        "an order of queries",
        {
            "block": "encoder-decoder",
            "chan": 64,
            "heads": 4,
            "context_tokens": 7,
            "tokens": 9,
            "stack": {"queries": True},
            "mask": {"kind": "causal, padding"},
        },
        "mask.kind",
        (
            "mask=causal needs an order, and queries have none; use mask.kind padding, or leave "
            "it out"
        ),
        {"mask": {"kind": "padding"}},
    ),
    Case(
        "too few lengths",
        {"batch": 3, "mask": {"kind": "padding", "lengths": [5, 7]}},
        "mask.lengths",
        "lengths has 2 entries, batch is 3; give one a sequence",
        {"mask": {"lengths": [5, 7, 9]}},
    ),
    Case(
        "a length beyond the keys",
        {"batch": 2, "mask": {"kind": "padding", "lengths": [5, 101]}},
        "mask.lengths",
        "lengths must be at most the 100 keys, got 101; use 100",
        {"mask": {"lengths": [5, 100]}},
    ),
    Case(
        "a window of padding",
        {"batch": 2, "mask": {"kind": "padding, sliding", "window": 4, "lengths": [96, 100]}},
        "mask.lengths",
        (
            "a sequence of 96 has only padding among the 4 of 100 keys that its last query sees, "
            "and a softmax of nothing is NaN in eager, 0 in a kernel; use window 5 or more, or "
            "fill min"
        ),
        {"mask": {"window": 5}},
    ),
    Case(
        "a window of padding in a kernel",
        {
            "batch": 2,
            "attention": {"impl": "sdpa"},
            "mask": {"kind": "padding, sliding", "window": 4, "lengths": [96, 100]},
        },
        "mask.lengths",
        (
            "a sequence of 96 has only padding among the 4 of 100 keys that its last query sees, "
            "and a softmax of nothing is NaN in eager, 0 in a kernel; use window 5 or more"
        ),
        {"mask": {"window": 5}},
    ),
    Case(
        "a fill that does not fit",
        {"run": {"dtype": "float16"}, "mask": {"kind": "causal", "fill": -10000000000.0}},
        "mask.fill",
        "fill -1e+10 does not fit float16 (max 65504); use fill -inf or min",
        {"run": {"dtype": "bfloat16"}},
    ),
    Case(
        "a fill that hides nothing",
        {"mask": {"kind": "causal", "fill": -10}},
        "mask.fill",
        (
            "fill -10 hides nothing: exp(-10) is no small share of a softmax; use -inf, min, or "
            "a number far below the scores"
        ),
        {"mask": {"fill": -10000.0}},
    ),
    Case(
        "a cache without an order",
        {"cache": {"past": 3}},
        "cache.past",
        (
            "a cache needs mask causal: only then do old keys stay what they were; use mask.kind "
            "causal"
        ),
        {"mask": {"kind": "causal"}},
    ),
    Case(
        "a cache of a context",
        {"attention": {"source": "cross"}, "context_tokens": 7, "cache": {"past": 3}},
        "cache.past",
        (
            "a cache holds keys of the tokens' own, and with source=cross they come from a "
            "context; leave cache out"
        ),
        {"cache": {"past": None}},
    ),
]
