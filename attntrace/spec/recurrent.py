"""Sequence to sequence with a recurrent encoder and decoder."""

from __future__ import annotations

from typing import Literal

from attntrace.spec.component import Component, setting


class RecurrentSpec(Component):
    """What the decoder of rnn-seq2seq looks back with."""

    alignment: Literal["none", "additive", "dot"] = setting(
        "none",
        "how a decoder state is aligned with the encoder states: not at all, v^T tanh(W [h; s]), or (W_Q s)^T (W_K h)",
        rule="additive needs attention.align_dim; dot may have it",
    )
    bias: bool = setting(True, "a bias in the cell: h = tanh(A [h; x] + b)")
