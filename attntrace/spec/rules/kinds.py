"""What each kind of attention needs, and what it cannot be combined with."""

from __future__ import annotations

from collections.abc import Iterator

from attntrace.errors import Problem
from attntrace.spec.block import Spec
from attntrace.spec.symbols import STACKS


def kind_rules(spec: Spec) -> Iterator[Problem]:
    """Yield what is wrong with the kind of attention."""
    by_kind = {
        "mla": _mla,
        "additive": _additive,
        "linear": _linear,
        "window": _window,
        "shared-head": _per_head,
        "separate-heads": _per_head,
    }
    if spec.block in ("attention", *STACKS) and spec.kind in by_kind:
        yield from by_kind[spec.kind](spec)
        yield from _plain(spec)


def _plain(spec: Spec) -> Iterator[Problem]:
    """Yield the choices that only plain dot-product attention has."""
    kind, attention = spec.kind, spec.attention
    if kind == "window":
        return
    if attention.impl != "eager" and not (
        kind in ("mla", "separate-heads", "shared-head") and attention.impl == "sdpa"
    ):
        yield Problem(
            "attention.impl",
            f"impl={attention.impl} computes softmax(q k^T) v, not what kind {kind} does; "
            "use impl eager",
        )
    if attention.qkv != "auto" and kind in ("mla", "shared-head", "separate-heads"):
        yield Problem("attention.qkv", f"kind {kind} has its own projections; leave qkv out")
    if attention.qk_norm != "none" and kind in ("mla", "additive"):
        yield Problem(
            "attention.qk_norm",
            f"kind {kind} {'norms its latents' if kind == 'mla' else 'has no product of q and k'}; "
            "leave qk_norm out",
        )
    if attention.softcap is not None and kind in ("additive", "linear"):
        yield Problem(
            "attention.softcap",
            f"kind {kind} has no scores to cap; leave softcap out"
            if kind == "linear"
            else "kind additive bounds its scores by tanh; leave softcap out",
        )


def _mla(spec: Spec) -> Iterator[Problem]:
    attention = spec.attention
    missing = [
        name
        for name in ("kv_lora_rank", "nope_head_dim", "rope_head_dim")
        if getattr(attention, name) is None
    ]
    if "value_head_dim" not in spec.model_fields_set:
        missing.append("value_head_dim")
    if missing:
        yield Problem("attention.kind", f"attention.kind mla needs {_and(missing)}")
        return
    parts = (attention.nope_head_dim or 0) + (attention.rope_head_dim or 0)
    if spec.head_dim != parts:
        yield Problem(
            "head_dim",
            f"in mla a head of q and k is nope_head_dim {attention.nope_head_dim} + rope_head_dim "
            f"{attention.rope_head_dim} = {parts} wide, got head_dim {spec.head_dim}; leave "
            "head_dim out",
        )
    if spec.positions.kind not in ("rope", "none"):
        yield Problem(
            "positions.kind",
            f"kind mla turns its rope_head_dim features by rope, got positions "
            f"{spec.positions.kind}; use rope",
        )
    if crosses(spec):
        yield Problem(
            "attention.kind",
            "kind mla makes k and v from the tokens' own latent, and has no place for a context; "
            "use kind mha",
        )
    if attention.layout != "heads-first":
        yield Problem("attention.layout", _heads_first(spec))


def _additive(spec: Spec) -> Iterator[Problem]:
    if spec.attention.align_dim is None:
        yield Problem("attention.kind", "attention.kind additive needs align_dim")
    elif spec.head_dim != spec.attention.align_dim:
        yield Problem(
            "head_dim",
            f"in kind additive q and k are align_dim {spec.attention.align_dim} wide, got head_dim "
            f"{spec.head_dim}; leave head_dim out",
        )
    if spec.attention.layout not in ("heads-first", "single"):
        yield Problem(
            "attention.layout",
            _heads_first(spec),
        )


def _linear(spec: Spec) -> Iterator[Problem]:
    if spec.masks:
        yield Problem(
            "mask.kind",
            f"kind linear sums over all keys before a query comes in, so it has no mask "
            f"{', '.join(spec.masks)}; set mask.kind none",
        )
    if spec.positions_on == "scores":
        yield Problem(
            "positions.kind",
            f"kind linear has no scores that positions {spec.positions.kind} could be added to; "
            "use sinusoidal, learned or rope",
        )
    if spec.cache.past is not None:
        yield Problem("cache.past", "kind linear keeps a sum, not keys; leave cache out")
    if spec.attention.layout not in ("heads-first", "single"):
        yield Problem(
            "attention.layout",
            _heads_first(spec),
        )
    if spec.attention.dropout:
        yield Problem(
            "attention.dropout", "kind linear has no probabilities to drop; leave dropout out"
        )


def _window(spec: Spec) -> Iterator[Problem]:
    attention = spec.attention
    window = attention.window
    if window is None:
        yield Problem("attention.kind", "attention.kind window needs window, its side in tokens")
        return
    if attention.shift and not 0 <= attention.shift < window:
        yield Problem(
            "attention.shift",
            f"shift must be between 0 and window {window} - 1, got {attention.shift}; use "
            f"{window // 2}",
        )
    grid = spec.map
    if grid is None:
        yield Problem(
            "image.map",
            f"kind window needs a map, and tokens {spec.tokens} is no square; set image.map, such "
            "as 8x12",
        )
    elif grid[0] % window or grid[1] % window:
        fitting = [n for n in range(1, min(grid) + 1) if grid[0] % n == 0 and grid[1] % n == 0]
        yield Problem(
            "attention.window",
            f"feature map {grid[0]}x{grid[1]} is not divisible by window {window}; "
            f"allowed: {', '.join(map(str, fitting))}",
        )
    if spec.masks or crosses(spec) or spec.cache.past is not None or spec.image.class_token:
        yield Problem(
            "attention.kind",
            "kind window is self-attention over a map, without class token, mask, cache or context; "
            "leave them out",
        )
    if attention.impl == "torch":
        yield Problem("attention.impl", "kind window is eager or sdpa, got impl torch; use sdpa")
    if attention.layout != "heads-first":
        yield Problem("attention.layout", _heads_first(spec))
    if spec.positions_on in ("qk", "scores") and spec.positions.kind != "swin":
        yield Problem(
            "positions.kind",
            f"positions {spec.positions.kind} are places in the whole sequence, and kind window "
            "attends inside windows; use swin, or positions on the input",
        )


def _per_head(spec: Spec) -> Iterator[Problem]:
    kind = spec.kind
    if kind == "shared-head" and crosses(spec) and spec.context_dim != spec.width:
        yield Problem(
            "context_dim",
            f"kind shared-head cuts the context of width context_dim {spec.context_dim} into "
            f"heads*head_dim {spec.width}; set context_dim {spec.width}",
        )
    if kind == "shared-head" and spec.dim != spec.width:
        yield Problem(
            "attention.kind",
            f"kind shared-head cuts x of width dim {spec.dim} into heads*head_dim {spec.width}; "
            f"set dim {spec.width}",
        )
    if kind == "shared-head" and spec.value_head_dim != spec.head_dim:
        yield Problem(
            "value_head_dim",
            f"kind shared-head cuts q, k and v from the same features, head_dim {spec.head_dim} "
            f"each, got value_head_dim {spec.value_head_dim}; leave it out",
        )
    if kind == "separate-heads":
        yield from _one_by_one(spec)


def _heads_first(spec: Spec) -> str:
    layout = spec.attention.layout
    return f"kind {spec.kind} computes heads first, got layout {layout}; use heads-first"


def _one_by_one(spec: Spec) -> Iterator[Problem]:
    """Yield what the heads of kind separate-heads cannot share."""
    if spec.attention.layout != "heads-first":
        yield Problem(
            "attention.layout",
            "kind separate-heads computes one head after the other; leave layout out",
        )
    if spec.positions_on == "scores":
        yield Problem(
            "positions.kind",
            f"positions {spec.positions.kind} have a bias for each head, and kind separate-heads "
            "computes one head after the other; use kind mha",
        )
    if spec.cache.past is not None:
        yield Problem(
            "cache.past", "kind separate-heads has no cache; use kind mha, or leave cache out"
        )


def crosses(spec: Spec) -> bool:
    """Whether keys and values come from a context somewhere in this block."""
    in_stack = spec.block == "decoder" and spec.stack.cross
    return spec.cross or in_stack or spec.block == "encoder-decoder"


def _and(words: list[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"
