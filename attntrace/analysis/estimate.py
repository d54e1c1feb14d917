"""A lower bound for the memory of a run, from its spec alone, before any tensor exists."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from attntrace.spec import Spec

_ITEM = {"float64": 8, "float32": 4, "bfloat16": 2, "float16": 2}


def least_nbytes(spec: Spec) -> int:
    """Return bytes that the run is sure to hold at once: parameters, input and its worst moment.

    What it needs above that is a matter of copies and of what autograd keeps.
    """
    item = _ITEM[spec.run.dtype]
    parameters = 3 * spec.dim * spec.width + spec.width * spec.chan
    x = spec.batch * spec.tokens * spec.dim
    return item * (parameters + x + _activations(spec))


def _activations(spec: Spec) -> int:
    """Return elements that are alive at the worst moment: of q, k, v and what is made of them."""
    part = spec.batch * spec.tokens * spec.width
    out = spec.batch * spec.tokens * spec.chan
    scores = spec.batch * spec.heads * spec.tokens**2
    qkv, attention = 3 * part, spec.attention
    at_the_end = qkv + out + (out if spec.skip != "none" else part)
    if attention.impl == "sdpa":
        return at_the_end
    if attention.impl == "eager":
        copies = part if spec.heads == 1 else 2 * part  # matmul makes q and k contiguous
        return max(at_the_end, qkv + copies + scores, qkv + 2 * scores)
    fused = attention.qkv_bias and spec.run.mode == "eval" and not spec.run.grad
    if fused and spec.heads % 2 == 0:  # the kernel's own scratch holds q, k, v and the scores
        return qkv + scores
    return qkv + (2 * scores if attention.need_weights != "none" else 2 * part)
