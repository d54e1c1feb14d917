"""Rules of the recurrent block, and of where a block runs."""

from __future__ import annotations

from tests.spec.rules.case import Case

CASES = [
    Case(
        "additive without its width",
        {"block": "rnn-seq2seq", "context_tokens": 7, "recurrent": {"alignment": "additive"}},
        "recurrent.alignment",
        ("recurrent.alignment additive needs attention.align_dim, the width of v^T tanh(W [h; s])"),
        {"attention": {"align_dim": 5}},
    ),
    Case(
        "float64 on mps",
        {"run": {"device": "mps", "dtype": "float64"}},
        "run.dtype",
        "mps has no float64; use float32, or device cpu",
        {"run": {"device": "cpu"}},
    ),
]
