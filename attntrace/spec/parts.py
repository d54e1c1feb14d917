"""The specs of a block's parts: each is a spec of its own, derived from the whole."""

from __future__ import annotations

from typing import Any

from attntrace.spec.block import Spec


def _with(spec: Spec, **changes: Any) -> Spec:
    """Return a spec with other values, each a whole field or a dict of a section's fields."""
    update = {
        name: getattr(spec, name).model_copy(update=value) if isinstance(value, dict) else value
        for name, value in changes.items()
    }
    return spec.model_copy(update=update)


def encoder_of(spec: Spec) -> Spec:
    """Return the encoder of an encoder-decoder: it works on the context, and sees all of it."""
    return _with(
        spec,
        block="encoder",
        tokens=spec.context_tokens or spec.tokens,
        context_tokens=None,
        dim=spec.context_dim,
        layers=spec.stack.encoder_layers or spec.layers,
        mask={"kind": tuple(kind for kind in spec.masks if kind == "padding")},
        stack={
            "head": "none",
            "queries": False,
            "all_layers": False,
            "tied": False,
            "pooler": False,
        },
    )


def decoder_of(spec: Spec) -> Spec:
    """Return the decoder of an encoder-decoder: causal, unless its tokens are queries."""
    kinds = tuple(kind for kind in spec.masks if kind != "padding")
    return _with(
        spec,
        block="decoder",
        layers=spec.stack.decoder_layers or spec.layers,
        context_dim=spec.chan,
        mask={"kind": () if spec.stack.queries else kinds},
        stack={"cross": True},
        attention={"qkv": spec.qkv},
        positions={"kind": "none", "on": "auto"} if spec.stack.queries else {},
    )


def sees_all(spec: Spec, number: int) -> bool:
    """Return whether a layer is one of those that see past the sliding window (Gemma 2 and 3)."""
    every = spec.mask.full_every
    return every is not None and (number + 1) % every == 0


def full_of(spec: Spec) -> Spec:
    """Return the same stack without its sliding window."""
    kinds = tuple(kind for kind in spec.masks if kind != "sliding")
    return _with(spec, mask={"kind": kinds, "window": None, "full_every": None})


def layer_of(spec: Spec, number: int) -> Spec:
    """Return the spec of one layer of a stack, counted from 0.

    Only the first may have a dim of its own; windows are shifted in every second layer (Swin);
    every n-th layer may see past the sliding window (Gemma 2); the first dense_layers of a mixture
    of experts have a plain feed-forward (DeepSeek).
    """
    if sees_all(spec, number):
        spec = full_of(spec)
    part = spec.feed_forward
    dense = part.kind == "moe" and number < part.dense_layers
    first = number == 0 and not spec.embeds
    skip = "value" if first and spec.attention.skip == "value" else "none"
    return _with(
        spec,
        dim=spec.dim if first else spec.chan,
        feed_forward={"kind": part.expert if dense else part.kind},
        attention={
            "skip": skip,
            "qkv": spec.qkv,
            "shift": spec.attention.shift if number % 2 else 0,
        },
    )


def shared_expert_of(layer: Spec) -> Spec:
    """Return the feed-forward of a mixture's shared experts: they are one, as wide as all."""
    return _with(layer, ff_dim=layer.shared_dim, feed_forward={"kind": "glu"})


def cross_of(layer: Spec) -> Spec:
    """Return the cross-attention of a decoder's layer: no mask of order, no cache, no rope.

    Positions that are added to q and k stay, as in DETR.
    """
    return _with(
        layer,
        dim=layer.chan,
        mask={"kind": ()},
        cache={"past": None},
        positions={} if layer.adds_to_qk else {"kind": "none", "on": "auto"},
        attention={"source": "cross", "skip": "none", "qkv": "separate"},
    )


def head_of(spec: Spec) -> Spec:
    """Return one of `heads` separate self-attentions: its own q, k and v, and no more."""
    return _with(
        spec,
        heads=1,
        kv_heads=1,
        chan=spec.value_head_dim,
        attention={
            "kind": "mha", "layout": "single", "qkv": "separate", "out_proj": False, "skip": "none", "qk_scale": _number(spec),
        },
    )  # fmt: skip


def _number(spec: Spec) -> float | str:
    return "none" if spec.scale is None else spec.scale


def window_of(spec: Spec) -> Spec:
    """Return the attention inside the windows of a map: each window is a sequence of its own."""
    side = spec.attention.window or 1
    rows, columns = spec.map or (side, side)
    return _with(
        spec,
        batch=spec.batch * (rows // side) * (columns // side),
        tokens=side * side,
        image={"map": None},
        attention={"kind": "auto", "skip": "value" if spec.skip == "value" else "none"},
    )


def context_of(spec: Spec) -> Spec:
    """Return the context of a cross-attention as a sequence of its own, for its positions."""
    return _with(
        spec,
        tokens=spec.context_tokens or spec.tokens,
        dim=spec.context_dim,
        attention={"source": "self"},
    )
