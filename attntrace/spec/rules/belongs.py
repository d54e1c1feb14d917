"""Settings that the block, or the choice beside them, would ignore: silence would be a trap."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from attntrace.errors import Problem
from attntrace.spec.block import STACKS, Spec
from attntrace.spec.component import Component

_LAYERED = ("attention", *STACKS)
_BLOCKS: dict[str, tuple[str, ...]] = {
    "attention": (*_LAYERED, "t2t"),
    "attention.align_dim": (*_LAYERED, "rnn-seq2seq"),
    "attention.source": ("attention",),
    "positions": (*_LAYERED, "patch-embed"),
    "mask": _LAYERED,
    "cache": ("attention", "decoder"),
    "norm": STACKS,
    "feed_forward": STACKS,
    "ff_dim": STACKS,
    "layers": (*STACKS, "psa"),
    "stack": STACKS,
    "stack.cross": ("decoder",),
    "stack.queries": ("encoder-decoder",),
    "stack.encoder_layers": ("encoder-decoder",),
    "stack.decoder_layers": ("encoder-decoder",),
    "stack.all_layers": ("decoder", "encoder-decoder"),
    "image": (*_LAYERED, "patch-embed", "t2t", "psa"),
    "image.stem": ("encoder",),
    "recurrent": ("rnn-seq2seq",),
    "heads": (*_LAYERED, "psa"),
    "kv_heads": _LAYERED,
    "head_dim": (*_LAYERED, "psa"),
    "value_head_dim": (*_LAYERED, "psa"),
    "context_tokens": ("attention", "decoder", "encoder-decoder", "rnn-seq2seq"),
    "context_dim": ("attention", "decoder", "encoder-decoder", "rnn-seq2seq"),
}
"""Setting or section -> the blocks that it means something to; the others know no such thing."""

_CHOICES: dict[str, tuple[str, Callable[[Spec], bool]]] = {
    "attention.align_dim": (
        "attention.kind additive or recurrent.alignment",
        lambda spec: spec.kind == "additive" or spec.recurrent.alignment != "none",
    ),
    "attention.q_lora_rank": ("attention.kind mla", lambda spec: spec.kind == "mla"),
    "attention.kv_lora_rank": ("attention.kind mla", lambda spec: spec.kind == "mla"),
    "attention.nope_head_dim": ("attention.kind mla", lambda spec: spec.kind == "mla"),
    "attention.rope_head_dim": ("attention.kind mla", lambda spec: spec.kind == "mla"),
    "attention.window": ("attention.kind window", lambda spec: spec.kind == "window"),
    "attention.shift": ("attention.kind window", lambda spec: spec.kind == "window"),
    "attention.features": ("attention.kind linear", lambda spec: spec.kind == "linear"),
    "attention.kernel_features": (
        "attention.features performer",
        lambda spec: spec.kind == "linear" and spec.attention.features == "performer",
    ),
    "attention.conv_kernel": ("attention.qkv conv", lambda spec: spec.qkv == "conv"),
    "attention.qkv_layout": (
        "attention.qkv fused or conv",
        lambda spec: spec.qkv in ("fused", "conv"),
    ),
    "attention.qk_norm_over": (
        "attention.qk_norm",
        lambda spec: spec.attention.qk_norm != "none",
    ),
    "positions.max": ("positions.kind learned", lambda spec: spec.positions.kind == "learned"),
    "positions.stored": (
        "positions.kind sinusoidal",
        lambda spec: spec.positions.kind == "sinusoidal",
    ),
    "positions.kernel": ("positions.kind conv", lambda spec: spec.positions.kind == "conv"),
    "positions.buckets": ("positions.kind t5", lambda spec: spec.positions.kind == "t5"),
    "positions.max_distance": ("positions.kind t5", lambda spec: spec.positions.kind == "t5"),
    "positions.style": ("positions.kind rope", lambda spec: spec.positions.kind == "rope"),
    "positions.fraction": ("positions.kind rope", lambda spec: spec.positions.kind == "rope"),
    "mask.window": ("mask.kind sliding", lambda spec: "sliding" in spec.masks),
    "mask.lengths": ("mask.kind padding", lambda spec: "padding" in spec.masks),
    "norm.parallel_norms": ("norm.place parallel", lambda spec: spec.norm.place == "parallel"),
    "context_tokens": (
        "attention.source cross or stack.cross",
        lambda spec: spec.cross
        or spec.stack.cross
        or spec.block in ("encoder-decoder", "rnn-seq2seq"),
    ),
    "context_dim": (
        "attention.source cross or stack.cross",
        lambda spec: spec.cross
        or spec.stack.cross
        or spec.block in ("encoder-decoder", "rnn-seq2seq"),
    ),
}
"""Setting -> the choice that it means something to, in words and as a test."""


def belongs_rules(spec: Spec) -> Iterator[Problem]:
    """Yield a problem for each given setting that would change nothing."""
    for path in _given(spec):
        section, _, name = path.rpartition(".")
        blocks = _BLOCKS.get(path) or _BLOCKS.get(section)
        if blocks is not None and spec.block not in blocks:
            message = f"{name} means nothing to block {spec.block}; it is for {', '.join(blocks)}"
            yield Problem(path, message)
        elif path in _CHOICES:
            words, holds = _CHOICES[path]
            if not holds(spec):
                yield Problem(path, f"{name} means nothing here; it goes with {words}")


def _given(spec: Spec) -> Iterator[str]:
    """Yield the dotted path of every setting that is given and is not what it would be anyway."""
    for name in sorted(spec.model_fields_set):
        value = getattr(spec, name)
        if not isinstance(value, Component):
            yield name
            continue
        plain = type(value)()
        for field in sorted(value.model_fields_set):
            if getattr(value, field) != getattr(plain, field):
                yield f"{name}.{field}"
