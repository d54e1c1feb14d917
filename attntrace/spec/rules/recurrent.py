"""What the recurrent block needs."""

from __future__ import annotations

from collections.abc import Iterator

from attntrace.errors import Problem
from attntrace.spec.block import Spec


def recurrent_rules(spec: Spec) -> Iterator[Problem]:
    """Yield what is wrong in the recurrent section."""
    additive = spec.recurrent.alignment == "additive"
    if spec.block == "rnn-seq2seq" and additive and spec.attention.align_dim is None:
        yield Problem(
            "recurrent.alignment",
            "recurrent.alignment additive needs attention.align_dim, the width of "
            "v^T tanh(W [h; s])",
        )
