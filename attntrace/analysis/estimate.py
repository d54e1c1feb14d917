"""A lower bound for the memory of a run, from its spec alone, before any tensor exists."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from attntrace.spec import Spec

_ITEM = {"float64": 8, "float32": 4, "bfloat16": 2, "float16": 2}


def least_nbytes(spec: Spec) -> int:
    """Return bytes that the run is sure to hold at once: parameters, input and the worst moment.

    Eager, the worst moment is the softmax: qkv, scores and probabilities. Fused, it is q, k, v
    and two outputs of their width. What a run needs above that is a matter of copies.
    """
    item = _ITEM[spec.run.dtype]
    tokens = spec.batch * spec.tokens
    parameters = 3 * spec.dim * spec.width + spec.width * spec.chan
    scores = spec.batch * spec.heads * spec.tokens**2
    eager = spec.attention.impl == "eager"
    activations = 3 * tokens * spec.width + (2 * scores if eager else tokens * spec.width)
    if spec.attention.impl == "torch":
        activations = tokens * spec.chan  # its fused kernel shows no more than its output
    return item * (parameters + tokens * spec.dim + activations)
