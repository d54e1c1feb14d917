"""Why a setting means nothing here, where that takes more than the name of a choice."""

from __future__ import annotations

from collections.abc import Callable

from attntrace.spec.block import Spec
from attntrace.spec.symbols import STACKS

OF_PROJECTIONS = {
    "dim", "context_dim", "attention.qkv_bias", "attention.q_bias", "attention.k_bias",
    "attention.v_bias", "attention.out_bias", "attention.skip", "attention.qk_norm",
    "attention.qk_norm_over", "attention.kv_expand",
}  # fmt: skip
"""What belongs to how q, k and v are made, and to what is made of the context."""


def _dim(spec: Spec) -> str | None:
    if spec.block in STACKS and spec.stack.vocab is not None:
        return (
            "dim means nothing here: token ids come in, and the table makes them embedding_dim wide"
        )
    if spec.stack.queries:
        return "dim means nothing here: with stack.queries the decoder starts from zeros"
    return None


def _ff_dim(spec: Spec) -> str | None:
    part = spec.feed_forward
    if part.kind == "moe" and part.expert_dim is not None and not part.dense_layers:
        return "ff_dim means nothing here: every layer has experts, and they are expert_dim wide"
    return None


def _ratio(spec: Spec) -> str | None:
    said = _ff_dim(spec)
    return None if said is None else said.replace("ff_dim", "ratio", 1)


def _layers(spec: Spec) -> str | None:
    both = spec.stack.encoder_layers is not None and spec.stack.decoder_layers is not None
    if spec.block == "encoder-decoder" and both:
        return "layers means nothing here: encoder_layers and decoder_layers are both given"
    return None


def _context_dim(spec: Spec) -> str | None:
    if spec.block == "encoder-decoder" and spec.stack.vocab is not None:
        return "context_dim means nothing here: token ids come in"
    return None


def _impl(spec: Spec) -> str | None:
    performer = "impl means nothing here: the performer has no softmax; use image.token_block transformer or attention"
    return {"performer": performer}.get(spec.image.token_block if spec.block == "t2t" else "")


def _qk_scale(spec: Spec) -> str | None:
    kinds = {
        "linear": "kind linear has no product of q and k to scale; leave qk_scale out",
        "additive": "kind additive has no product to scale: its scores are v^T tanh(W_q q + W_k k); leave qk_scale out",
    }
    return kinds.get(spec.kind)


def _scale_at(spec: Spec) -> str | None:
    impl = spec.attention.impl
    if impl != "eager":
        return f"impl={impl} scales inside its kernel; leave scale_at out, or use impl eager"
    if spec.scale is None:
        return "scale_at means nothing here: qk_scale is none"
    return _qk_scale(spec) and f"scale_at means nothing here: kind {spec.kind} has no scale"


def _q_bias(spec: Spec) -> str | None:
    if spec.kind == "mla" and spec.attention.q_lora_rank is None:
        return "q_bias means nothing here: kind mla has it on the way to q_lora_rank, which is not given"
    return None


def _v_bias(spec: Spec) -> str | None:
    if spec.kind == "mla":
        return (
            "v_bias means nothing here: kind mla makes k and v from one latent, which k_bias is for"
        )
    return None


def _need_weights(spec: Spec) -> str | None:
    return {
        "sdpa": "impl=sdpa never materialises the weights; use impl torch, or impl eager",
        "eager": "impl=eager shows them as probs in any case; leave need_weights at none",
    }.get(spec.attention.impl)


def _layout(spec: Spec) -> str | None:
    layout, impl = spec.attention.layout, spec.attention.impl
    if impl == "torch" or (impl == "sdpa" and layout not in ("heads-first", "single")):
        return f"impl={impl} has its own layout, got layout {layout}; leave layout out, or use impl eager"
    return None


def _fill(spec: Spec) -> str | None:
    impl, fill = spec.attention.impl, spec.mask.fill
    if impl == "eager":
        return None
    return f"impl={impl} fills with -inf, got fill {fill}; leave fill out, or use impl eager"


REASONS: dict[str, Callable[[Spec], str | None]] = {
    "dim": _dim,
    "context_dim": _context_dim,
    "layers": _layers,
    "ff_dim": _ff_dim,
    "feed_forward.ratio": _ratio,
    "attention.impl": _impl,
    "attention.qk_scale": _qk_scale,
    "attention.q_bias": _q_bias,
    "attention.v_bias": _v_bias,
    "attention.scale_at": _scale_at,
    "attention.need_weights": _need_weights,
    "attention.layout": _layout,
    "mask.fill": _fill,
}
"""Setting -> why it means nothing, where that takes more than the name of a choice."""
