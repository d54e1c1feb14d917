"""Rules between sizes."""

from __future__ import annotations

from tests.spec.rules.case import Case

CASES = [
    Case(
        "heads that do not divide chan",
        {"chan": 60, "heads": 7},
        "heads",
        (
            "chan 60 is not divisible by heads 7 (60 = 7*8 + 4); nearest heads that divide 60: "
            "6, 10. Or set head_dim"
        ),
        {"heads": 6},
    ),
    Case(
        "heads that do not divide chan, head_dim given",
        {"chan": 60, "heads": 7},
        "heads",
        (
            "chan 60 is not divisible by heads 7 (60 = 7*8 + 4); nearest heads that divide 60: "
            "6, 10. Or set head_dim"
        ),
        {"head_dim": 8},
    ),
    Case(
        "additive heads",
        {"heads": 3, "attention": {"kind": "additive", "align_dim": 5}},
        "heads",
        (
            "chan 64 is not divisible by heads 3 (64 = 3*21 + 1); nearest heads that divide 64: "
            "2, 4. Or set value_head_dim"
        ),
        {"value_head_dim": 20},
    ),
    Case(
        "psa heads",
        {"block": "psa", "chan": 60, "heads": 4},
        "heads",
        (
            "chan*expansion 30 is not divisible by heads 4 (30 = 4*7 + 2); nearest heads that "
            "divide 30: 3, 5"
        ),
        {"heads": 6},
    ),
    Case(
        "kv_heads",
        {"chan": 64, "heads": 8, "kv_heads": 3},
        "kv_heads",
        (
            "heads 8 is not a multiple of kv_heads 3; each kv head must serve the same number of "
            "query heads (allowed: 1, 2, 4, 8, or heads 6 or 9)"
        ),
        {"kv_heads": 2},
    ),
    Case(
        "more kv_heads than heads",
        {"chan": 64, "heads": 2, "kv_heads": 5},
        "kv_heads",
        (
            "heads 2 is not a multiple of kv_heads 5; each kv head must serve the same number of "
            "query heads (allowed: 1, 2, or heads 5)"
        ),
        {"kv_heads": 1},
    ),
    Case(
        "no output projection",
        {"heads": 4, "head_dim": 10, "attention": {"out_proj": False}},
        "attention.out_proj",
        (
            "without an output projection the layer returns heads*value_head_dim 40 features, "
            "not chan 64; set chan 40, or out_proj true"
        ),
        {"chan": 40, "heads": 4},
    ),
    Case(
        "cross without a length",
        {"attention": {"source": "cross"}},
        "context_tokens",
        "source=cross needs context_tokens, the length of the key/value sequence",
        {"context_tokens": 7},
    ),
    Case(
        "decoder without a length",
        {"block": "decoder", "chan": 64, "heads": 4, "stack": {"cross": True}},
        "context_tokens",
        "stack.cross needs context_tokens, the length of the key/value sequence",
        {"context_tokens": 7},
    ),
    Case(
        "encoder-decoder without a length",
        {"block": "encoder-decoder"},
        "context_tokens",
        "encoder-decoder needs context_tokens, the length of what is encoded",
        {"context_tokens": 7},
    ),
    Case(
        "rnn without a length",
        {"block": "rnn-seq2seq"},
        "context_tokens",
        "rnn-seq2seq needs context_tokens, the length of the source sequence",
        {"context_tokens": 7},
    ),
]
