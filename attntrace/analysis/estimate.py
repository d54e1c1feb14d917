"""A lower bound for the memory of a run, from its spec alone, before any tensor exists.

It may be far below what the run needs, and must never be above it: a run that fits is not refused.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from attntrace.spec import Spec

_ITEM = {"float64": 8, "float32": 4, "bfloat16": 2, "float16": 2}
_STACKS = ("encoder", "decoder", "encoder-decoder")
_WITH_SCORES = ("mha", "gqa", "mqa", "mla", "shared-head")


def least_nbytes(spec: Spec) -> int:
    """Return bytes that the run is sure to hold at once: parameters, input and its worst moment.

    What it needs above that is a matter of copies and of what autograd keeps.
    """
    item = _ITEM[spec.run.dtype]
    if spec.qkv == "none":
        return item * _bare(spec)
    if spec.block == "attention":
        x = spec.batch * spec.tokens * spec.dim
        return item * (_projections(spec) + x + _activations(spec))
    if spec.block in _STACKS:
        return item * (_stack_parameters(spec) + max(_scores(spec), _logits(spec)))
    return 0


def _bare(spec: Spec) -> int:
    """Return elements of q, k and v as they come in, and of what attention makes of them."""
    q = spec.batch * spec.heads * spec.tokens * spec.head_dim
    kv = spec.kv_heads * (spec.head_dim + spec.value_head_dim)
    context = spec.batch * spec.tokens * spec.value_width
    return q + spec.batch * spec.key_tokens * kv + max(context, _scores(spec))


def _projections(spec: Spec) -> int:
    """Return weights of one attention layer, without biases."""
    if spec.kind in ("mha", "gqa", "mqa"):
        source = spec.context_dim if spec.cross else spec.dim
        kv = spec.kv_heads * (spec.head_dim + spec.value_head_dim)
        out = spec.value_width * spec.chan if spec.attention.out_proj else 0
        return spec.dim * spec.width + source * kv + out
    return spec.value_width * spec.chan if spec.attention.out_proj else 0


def _stack_parameters(spec: Spec) -> int:
    """Return weights of the layers and of the tables, without biases and norms."""
    stack, part = spec.stack, spec.feed_forward
    times = {"mlp": 2, "glu": 3, "conv": 2}
    dense = times.get(part.kind, 0) * spec.chan * spec.ff_dim
    depths = [spec.layers]
    if spec.block == "encoder-decoder":
        depths = [stack.encoder_layers or spec.layers, stack.decoder_layers or spec.layers]
    if stack.shared_layers:
        depths = [1 for _ in depths]
    routed = 0
    if part.kind == "moe" and part.experts is not None:
        each = times[part.expert] * spec.chan * spec.expert_dim
        routed = each * part.experts * sum(max(0, depth - part.dense_layers) for depth in depths)
    narrow = spec.chan if spec.embeds else min(spec.chan, spec.dim, spec.context_dim)
    attention = _projections(spec.model_copy(update={"dim": narrow}))
    tables = (stack.vocab or 0) * (stack.embedding_dim or spec.chan)
    return sum(depths) * (attention + dense) + routed + tables


def _activations(spec: Spec) -> int:
    """Return elements that are alive at the worst moment: of q, k, v and what is made of them."""
    part = spec.batch * spec.tokens * spec.width
    values = spec.batch * spec.tokens * spec.value_width
    out = spec.batch * spec.tokens * spec.chan
    plain = spec.kind == "mha" and not spec.cross and spec.cache.past is None
    plain &= spec.attention.layout == "heads-first"
    if not plain:
        return max(out, _scores(spec))
    qkv, attention = 2 * part + values, spec.attention
    at_the_end = qkv + out
    if attention.impl == "sdpa":
        return at_the_end
    if attention.impl == "eager":
        apart = min(spec.batch, spec.heads, spec.tokens) > 1  # else heads are a view of the batch
        copies = part + values if apart else 0  # matmul makes them contiguous
        scores = _scores(spec)
        return max(at_the_end, qkv + scores, qkv + copies + scores // 2)
    fused = attention.qkv_bias and spec.run.mode == "eval" and not spec.run.grad
    scores = spec.batch * spec.heads * spec.tokens**2
    if fused and spec.heads % 2 == 0 and not spec.masks:  # its scratch holds q, k, v and the scores
        return qkv + scores
    copies = part if spec.batch * spec.tokens == 1 else 2 * part
    return qkv + (2 * scores if attention.need_weights != "none" else copies)


def _scores(spec: Spec) -> int:
    """Return elements of scores and probs, which eager holds both while it takes the softmax."""
    if spec.attention.impl != "eager" or spec.kind not in _WITH_SCORES:
        return 0
    keys = spec.tokens if spec.block == "encoder-decoder" else spec.key_tokens
    return 2 * spec.batch * spec.heads * spec.tokens * keys


def _logits(spec: Spec) -> int:
    if spec.stack.head != "vocab":
        return 0
    return spec.batch * spec.tokens * (spec.stack.vocab or 0)
