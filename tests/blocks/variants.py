"""One small spec for each thing that a block can be: sizes that no two axes share."""

from __future__ import annotations

SMALL = {"batch": 2, "tokens": 9, "chan": 24, "heads": 4}
ALL_MASKS = {"kind": ["causal", "padding", "sliding"], "window": 3}
POSITIONS = (
    "none",
    "rope",
    "alibi",
    "t5",
    "sinusoidal",
    "learned",
    "sine-2d",
    "learned-2d",
    "conv",
)
STACK = {**SMALL, "layers": 3, "ff_dim": 40}
MOE = {"kind": "moe", "experts": 8, "experts_per_token": 2, "expert_dim": 16}
MLA = {
    "kind": "mla",
    "kv_lora_rank": 7,
    "q_lora_rank": 11,
    "nope_head_dim": 3,
    "rope_head_dim": 4,
}


def layer(**settings):
    """Return a spec of the block attention."""
    return {**SMALL, **settings}


def stack(block, **settings):
    """Return a spec of a stack."""
    return {**STACK, "block": block, **settings}


def attention_layers():
    """Yield name and spec of attention layers: every kind, layout, projection, mask and position."""
    for impl in ("eager", "sdpa", "torch"):
        for mask in ("none", "causal", "padding", "causal,padding", "sliding"):
            window = {"window": 4} if mask == "sliding" else {}
            yield (
                f"{impl}-{mask}",
                layer(dim=24, attention={"impl": impl}, mask={"kind": mask, **window}),
            )
        cross = {"impl": impl, "source": "cross"}
        given = {"dim": 24, "context_tokens": 7, "context_dim": 10, "mask": {"kind": "padding"}}
        yield f"{impl}-cross", layer(attention=cross, **given)
    yield from _of_each_kernel()
    for layout in ("token-first", "folded", "single"):
        heads = 1 if layout == "single" else 4
        attention = {"kind": "shared-head", "layout": layout, "scale_at": "masked_scores"}
        mask = {"kind": "causal", "fill": -1e10}
        yield f"shared-{layout}", layer(heads=heads, attention=attention, mask=mask)
    for layout in ("heads-first", "single"):
        heads = 1 if layout == "single" else 4
        additive = {"kind": "additive", "align_dim": 5, "layout": layout}
        mask = {"kind": ["causal", "padding"]}
        yield f"additive-{layout}", layer(heads=heads, attention=additive, mask=mask)
        for features in ("performer", "elu"):
            linear = {"kind": "linear", "features": features, "layout": layout}
            yield f"linear-{layout}-{features}", layer(heads=heads, attention=linear)
    train = {"softcap": 5.0, "scale_at": "scores", "dropout": 0.1}
    yield "softcap", layer(attention=train, run={"mode": "train"})


def _of_each_kernel():
    for impl in ("eager", "sdpa"):
        layouts = ("heads-first", "token-first", "folded", "single")
        for layout in layouts if impl == "eager" else ("heads-first", "single"):
            heads = 1 if layout == "single" else 4
            for kind in POSITIONS:
                yield (
                    f"{impl}-{layout}-{kind}",
                    layer(
                        dim=24,
                        heads=heads,
                        attention={"impl": impl, "layout": layout},
                        positions={"kind": kind},
                        mask={} if kind == "conv" else ALL_MASKS,
                    ),
                )
        for name, spec in _shapes_of_kv(impl):
            yield f"{impl}-{name}", spec


def _shapes_of_kv(impl):
    rope = {"kind": "rope"}
    for kind in ("sinusoidal", "sine-2d", "learned"):
        on_qk = {"kind": kind, "on": "qk"}
        yield f"qk-{kind}", layer(dim=24, attention={"impl": impl}, positions=on_qk)
        cross = {"impl": impl, "source": "cross"}
        if kind != "sine-2d":
            given = {"context_tokens": 7, "context_dim": 10}
            yield f"qk-cross-{kind}", layer(attention=cross, positions=on_qk, **given)
    yield "gqa", layer(kv_heads=2, attention={"impl": impl}, positions=rope)
    mqa = {"impl": impl, "kind": "mqa", "kv_expand": "broadcast"}
    yield "mqa", layer(attention=mqa, positions={"kind": "rope", "style": "interleaved"})
    fused = {"impl": impl, "qkv": "fused"}
    yield "gqa-fused", layer(kv_heads=2, value_head_dim=5, attention=fused)
    yield "h3d", layer(value_head_dim=5, attention={**fused, "qkv_layout": "h3d"})
    yield "kqv", layer(attention={**fused, "qkv_layout": "kqv"})
    yield "conv", layer(attention={"impl": impl, "qkv": "conv", "conv_kernel": 3})
    yield (
        "kv-fused",
        layer(kv_heads=2, attention={"impl": impl, "qkv": "kv-fused", "qk_norm": "rmsnorm"}),
    )
    yield (
        "separate-heads",
        layer(attention={"impl": impl, "kind": "separate-heads"}, mask={"kind": "causal"}),
    )
    yield (
        "shared-head",
        layer(attention={"impl": impl, "kind": "shared-head"}, mask={"kind": "causal"}),
    )
    window = {"impl": impl, "kind": "window", "window": 3, "shift": 1}
    yield "window", layer(tokens=36, attention=window, positions={"kind": "swin"})
    cached = {"tokens": 2, "mask": {"kind": "causal"}, "cache": {"past": 5}}
    normed = {"impl": impl, "qk_norm": "l2", "qk_norm_over": "width"}
    part = {"kind": "rope", "fraction": 0.67}
    yield "cache", layer(kv_heads=2, attention=normed, positions=part, **cached)
    turned = {"kind": "rope", "style": "interleaved"}
    mla = {"impl": impl, **MLA}
    yield "mla", layer(value_head_dim=5, attention=mla, positions=turned, **cached)
    sliding = {"mask": {"kind": ["causal", "sliding"], "window": 4}, "cache": {"past": 10}}
    yield "sliding-cache", layer(**{**cached, **sliding}, attention={"impl": impl})


def stacks():
    """Yield name and spec of encoders, decoders and both together."""
    for place in ("pre", "post", "sandwich", "output", "parallel"):
        yield f"encoder-{place}", stack("encoder", norm={"place": place})
    yield (
        "encoder-parallel-2",
        stack(
            "encoder",
            norm={"place": "parallel", "parallel_norms": 2, "kind": "batchnorm"},
            feed_forward={"kind": "glu", "activation": "silu"},
        ),
    )
    yield (
        "encoder-ids",
        stack(
            "encoder",
            stack={
                "vocab": 50,
                "token_types": 2,
                "embedding_norm": True,
                "pooler": True,
                "dropout": 0.1,
            },
            positions={"kind": "learned", "max": 16},
            mask={"kind": "padding"},
        ),
    )
    decoder = {
        "kv_heads": 2,
        "stack": {"vocab": 50, "head": "vocab", "tied": True},
        "positions": {"kind": "rope"},
        "feed_forward": {**MOE, "dense_layers": 1, "shared_experts": 1},
    }
    yield "decoder-moe", stack("decoder", **decoder)
    yield "decoder-moe-step", stack("decoder", **{**decoder, "tokens": 1, "cache": {"past": 6}})
    yield "decoder-prefill", stack("decoder", **{**decoder, "cache": {"past": 0}})
    window = {"kind": ["causal", "sliding"], "window": 4, "full_every": 3}
    words = {"vocab": 50, "head": "vocab", "head_softcap": 30.0}
    gemma = {"mask": window, "stack": words, "positions": {"kind": "rope"}}
    yield "decoder-pattern", stack("decoder", **gemma)
    yield "decoder-pattern-step", stack("decoder", **{**gemma, "tokens": 2, "cache": {"past": 10}})
    narrow = {"vocab": 50, "embedding_dim": 10, "project": True, "shared_layers": True}
    albert = {"stack": {**narrow, "token_types": 2, "embedding_norm": True}}
    relu2 = {"feed_forward": {"activation": "relu2"}, "norm": {"weight": False}}
    yield "encoder-shared", stack("encoder", **albert, **relu2, positions={"kind": "sinusoidal"})
    gated = {**MOE, "dense_layers": 1, "shared_experts": 1, "shared_dim": 20, "shared_gate": True}
    yield "decoder-gated-experts", stack("decoder", feed_forward=gated)
    yield "decoder-cross", stack("decoder", context_tokens=7, stack={"cross": True})
    yield from _encoder_decoders()
    yield from _vision()


def _encoder_decoders():
    yield (
        "original",
        stack(
            "encoder-decoder",
            context_tokens=7,
            positions={"kind": "sinusoidal"},
            norm={"place": "post", "final": "all"},
        ),
    )
    yield (
        "t5",
        stack(
            "encoder-decoder",
            context_tokens=7,
            positions={"kind": "t5"},
            stack={"vocab": 50, "head": "vocab", "tied": True, "head_scale": True},
            norm={"kind": "rmsnorm"},
            mask={"kind": ["causal", "padding"]},
        ),
    )
    yield (
        "detr",
        stack(
            "encoder-decoder",
            tokens=11,
            image={"map": [5, 6]},
            positions={"kind": "sine-2d", "on": "qk"},
            stack={"queries": True, "all_layers": True},
            norm={"place": "post", "final": "decoder"},
            mask={"kind": "padding"},
        ),
    )


def _vision():
    classes = {"head": "classes", "classes": 10}
    sizes = {"batch": 2, "block": "encoder", "chan": 24, "heads": 4, "layers": 2}
    patches = {"stem": "patch", "size": [12, 20], "patch": 4, "class_token": True}
    yield "vit", {**sizes, "image": patches, "positions": {"kind": "learned"}, "stack": classes}
    t2t = {"stem": "t2t", "size": [32, 32], "class_token": True}
    stored = {"kind": "sinusoidal", "stored": True}
    yield "t2t-vit", {**sizes, "image": t2t, "positions": stored, "stack": classes}
    window = {"kind": "window", "window": 3, "shift": 1}
    yield "swin", stack("encoder", tokens=36, attention=window, positions={"kind": "swin"})
    conv = {"feed_forward": {"kind": "conv"}, "positions": {"kind": "conv"}}
    yield "local-vit", stack("encoder", **conv)
    values = {"block": "encoder", "dim": 49, "chan": 64, "attention": {"skip": "value"}}
    yield "token-transformer", {**values, "ff_dim": 60}
    yield "patch-embed", {"block": "patch-embed", "batch": 2, "image": {"class_token": True}}
    yield "t2t", {"block": "t2t", "batch": 2, "image": {"size": [64, 64]}}
    yield "psa", {"block": "psa", "batch": 2, "chan": 64, "heads": 2, "image": {"map": [7, 9]}}
    for alignment in ("none", "additive", "dot"):
        align = {"attention": {"align_dim": 11}} if alignment == "additive" else {}
        given = {"block": "rnn-seq2seq", "context_tokens": 7, "tokens": 5, **align}
        yield f"rnn-{alignment}", {**given, "recurrent": {"alignment": alignment}}


VARIANTS = dict([*attention_layers(), *stacks()])
