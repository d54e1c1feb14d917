"""What each setting means something to: the blocks, and the choice beside it."""

from __future__ import annotations

from collections.abc import Callable

from attntrace.spec.block import Spec
from attntrace.spec.symbols import STACKS

Test = Callable[[Spec], bool]

_LAYERED = ("attention", *STACKS)
_TARGETED = ("attention", "decoder", "encoder-decoder", "rnn-seq2seq")
_IMAGED = ("encoder", "patch-embed", "t2t")

BLOCKS: dict[str, tuple[str, ...]] = {
    "context_tokens": _TARGETED,
    "context_dim": _TARGETED,
    "heads": (*_LAYERED, "psa"),
    "kv_heads": _LAYERED,
    "head_dim": (*_LAYERED, "psa"),
    "value_head_dim": (*_LAYERED, "psa"),
    "ff_dim": STACKS,
    "layers": (*STACKS, "psa"),
    "attention": _LAYERED,
    "attention.source": ("attention",),
    "attention.impl": (*_LAYERED, "t2t"),
    "attention.align_dim": (*_LAYERED, "rnn-seq2seq"),
    "positions": (*_LAYERED, "patch-embed", "t2t"),
    "mask": _LAYERED,
    "cache": ("attention", "decoder"),
    "norm": STACKS,
    "norm.eps": _LAYERED,
    "feed_forward": STACKS,
    "stack": STACKS,
    "stack.token_types": ("encoder", "decoder"),
    "stack.pooler": ("encoder",),
    "stack.encoder_layers": ("encoder-decoder",),
    "stack.decoder_layers": ("encoder-decoder",),
    "stack.cross": ("decoder",),
    "stack.queries": ("encoder-decoder",),
    "stack.all_layers": ("decoder", "encoder-decoder"),
    "image": _IMAGED,
    "image.stem": ("encoder",),
    "image.map": (*_LAYERED, "psa"),
    "image.expansion": ("psa",),
    "recurrent": ("rnn-seq2seq",),
}
"""Setting or section -> the blocks that it means something to; the others know no such thing."""


def _kind(*kinds: str) -> Test:
    return lambda spec: spec.kind in kinds


def _no_kind(*kinds: str) -> Test:
    return lambda spec: spec.kind not in kinds


def _positions(*kinds: str) -> Test:
    return lambda spec: spec.positions.kind in kinds


def _feed_forward(*kinds: str) -> Test:
    return lambda spec: spec.feed_forward.kind in kinds


def _shares(spec: Spec) -> bool:
    return spec.feed_forward.kind == "moe" and spec.feed_forward.shared_experts > 0


def _fused(spec: Spec) -> bool:
    own = spec.kind in ("mla", "shared-head", "separate-heads") or spec.attention.impl == "torch"
    return spec.qkv in ("fused", "conv") and not own


def _has_context(spec: Spec) -> bool:
    always = spec.block in ("encoder-decoder", "rnn-seq2seq")
    return always or spec.cross or (spec.block == "decoder" and spec.stack.cross)


def _normed(spec: Spec) -> bool:
    """Whether some norm of this block has an eps."""
    inside = spec.attention.qk_norm in ("rmsnorm", "layernorm") or spec.kind == "mla"
    return inside or (spec.block in STACKS and spec.norm.kind != "none")


def _shifted(spec: Spec) -> bool:
    return spec.kind == "window" and spec.attention.shift > 0


_MLA = ("attention.kind mla", _kind("mla"))
_WINDOW = ("attention.kind window", _kind("window"))
_ROPE = ("positions.kind rope", _positions("rope"))
_T5 = ("positions.kind t5", _positions("t5"))
_SEVERAL = ("mlp", "glu", "moe", "conv")
_FORWARD = (f"feed_forward.kind {', '.join(_SEVERAL)}", _feed_forward(*_SEVERAL))
_MOE = ("feed_forward.kind moe", _feed_forward("moe"))
_NORM = ("norm.kind", lambda spec: spec.norm.kind != "none")
_STEM = ("a stem: image.stem, or block patch-embed or t2t", lambda spec: spec.stem != "none")
_T2T = ("image.stem t2t, or block t2t", lambda spec: spec.stem == "t2t")
_VOCAB = ("stack.vocab", lambda spec: spec.stack.vocab is not None)
_CONTEXT = ("attention.source cross or stack.cross", _has_context)
_BIASED = (
    "attention.impl eager or sdpa; nn.MultiheadAttention has qkv_bias alone",
    lambda spec: spec.attention.impl != "torch",
)

CHOICES: dict[str, tuple[str, Test]] = {
    "context_tokens": _CONTEXT,
    "context_dim": _CONTEXT,
    "ff_dim": _FORWARD,
    "attention.qkv_layout": ("a fused projection: attention.qkv fused or conv", _fused),
    "attention.conv_kernel": ("attention.qkv conv", lambda spec: spec.qkv == "conv"),
    "attention.q_bias": _BIASED,
    "attention.k_bias": _BIASED,
    "attention.v_bias": _BIASED,
    "attention.out_bias": ("attention.out_proj", lambda spec: spec.attention.out_proj),
    "attention.qk_norm_over": ("attention.qk_norm", lambda s: s.attention.qk_norm != "none"),
    "attention.kv_expand": ("kv_heads < heads", lambda spec: spec.kv_heads != spec.heads),
    "attention.q_lora_rank": _MLA,
    "attention.kv_lora_rank": _MLA,
    "attention.nope_head_dim": _MLA,
    "attention.rope_head_dim": _MLA,
    "attention.align_dim": (
        "attention.kind additive or recurrent.alignment",
        lambda spec: spec.recurrent.alignment != "none"
        if spec.block == "rnn-seq2seq"
        else spec.kind == "additive",
    ),
    "attention.features": ("attention.kind linear", _kind("linear")),
    "attention.kernel_features": (
        "attention.kind linear and attention.features performer",
        lambda spec: spec.kind == "linear" and spec.attention.features == "performer",
    ),
    "attention.window": _WINDOW,
    "attention.shift": (
        "attention.kind window, and in a stack with every second layer: layers 2 or more",
        lambda spec: spec.kind == "window" and (spec.block == "attention" or spec.layers > 1),
    ),
    "positions.on": ("positions.kind", lambda spec: spec.positions.kind != "none"),
    "positions.max": ("positions.kind learned", _positions("learned")),
    "positions.stored": ("positions.kind sinusoidal", _positions("sinusoidal")),
    "positions.theta": (
        "positions.kind rope, sinusoidal or sine-2d",
        _positions("rope", "sinusoidal", "sine-2d"),
    ),
    "positions.fraction": _ROPE,
    "positions.style": _ROPE,
    "positions.buckets": _T5,
    "positions.max_distance": _T5,
    "positions.kernel": ("positions.kind conv", _positions("conv")),
    "mask.window": ("mask.kind sliding", lambda spec: "sliding" in spec.masks),
    "mask.full_every": (
        "a sliding mask in a stack",
        lambda spec: "sliding" in spec.masks and spec.block in STACKS,
    ),
    "mask.fill": ("mask.kind", lambda spec: bool(spec.masks) or _shifted(spec)),
    "mask.lengths": ("mask.kind padding", lambda spec: "padding" in spec.masks),
    "norm.place": (
        "norm.kind",
        lambda spec: spec.norm.kind != "none" or spec.norm.place == "parallel",
    ),
    "norm.parallel_norms": (
        "norm.place parallel",
        lambda spec: spec.norm.place == "parallel" and spec.norm.kind != "none",
    ),
    "norm.final": _NORM,
    "norm.weight": ("norm.kind layernorm or rmsnorm", lambda s: s.norm.kind in ("layernorm", "rmsnorm")),
    "norm.bias": (
        "norm.kind layernorm, and norm.weight",
        lambda spec: spec.norm.kind == "layernorm" and spec.norm.weight,
    ),
    "norm.eps": ("a norm: norm.kind, attention.qk_norm or kind mla", _normed),
    "feed_forward.activation": _FORWARD,
    "feed_forward.bias": _FORWARD,
    "feed_forward.ratio": _FORWARD,
    "feed_forward.dropout": _FORWARD,
    "feed_forward.kernel": ("feed_forward.kind conv", _feed_forward("conv")),
    **{
        f"feed_forward.{name}": _MOE
        for name in (
            "experts", "experts_per_token", "expert_dim", "expert", "expert_impl",
            "shared_experts", "groups", "groups_per_token", "router", "normalize",
            "router_scale", "dense_layers",
        )
    },
    "feed_forward.shared_dim": ("feed_forward.shared_experts", _shares),
    "feed_forward.shared_gate": ("feed_forward.shared_experts", _shares),
    "feed_forward.groups_per_token": (
        "feed_forward.groups",
        lambda spec: spec.feed_forward.kind == "moe" and spec.feed_forward.groups > 1,
    ),
    "stack.embedding_dim": _VOCAB,
    "stack.project": _VOCAB,
    "stack.embedding_scale": _VOCAB,
    "stack.embedding_norm": _VOCAB,
    "stack.token_types": _VOCAB,
    "stack.tied": ("stack.head vocab", lambda spec: spec.stack.head == "vocab"),
    "stack.head_bias": ("stack.head", lambda spec: spec.stack.head != "none"),
    "stack.head_softcap": ("stack.head", lambda spec: spec.stack.head != "none"),
    "stack.head_scale": ("stack.head", lambda spec: spec.stack.head != "none"),
    "stack.classes": ("stack.head classes", lambda spec: spec.stack.head == "classes"),
    "stack.dropout_place": ("stack.dropout", lambda spec: spec.stack.dropout > 0),
    "image.channels": _STEM,
    "image.size": _STEM,
    "image.patch": ("image.stem patch, or block patch-embed", lambda spec: spec.stem == "patch"),
    "image.class_token": _STEM,
    "image.kernels": _T2T,
    "image.strides": _T2T,
    "image.pads": _T2T,
    "image.token_block": _T2T,
    "image.token_dim": _T2T,
}  # fmt: skip
"""Setting -> the choice that it means something to, in words and as a test."""
