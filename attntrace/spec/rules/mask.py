"""What masks and the cache need."""

from __future__ import annotations

from collections.abc import Iterator

from attntrace.errors import Problem
from attntrace.spec.block import Spec
from attntrace.spec.symbols import STACKS

_LARGEST = {"float16": 65504.0, "bfloat16": 3.3895e38, "float32": 3.4028e38, "float64": 1.7976e308}


def mask_rules(spec: Spec) -> Iterator[Problem]:
    """Yield what is wrong in the mask and cache sections."""
    if spec.block not in ("attention", *STACKS):
        return
    for mask in ("causal", "sliding"):
        if mask in spec.masks and spec.cross:
            yield Problem(
                "mask.kind",
                f"mask={mask} needs queries and keys of one sequence, and source=cross has "
                f"{spec.tokens} queries and {spec.key_tokens} keys; use mask.kind padding, or "
                "leave it out",
            )
    if "sliding" in spec.masks and spec.mask.window is None:
        yield Problem(
            "mask.kind", "mask=sliding needs window, the keys that a query sees, itself included"
        )
    yield from _queries(spec)
    yield from _lengths(spec)
    yield from _alone(spec)
    yield from _fill(spec)
    yield from _cache(spec)


def _lengths(spec: Spec) -> Iterator[Problem]:
    lengths = spec.mask.lengths
    keys = spec.context_tokens if spec.block == "encoder-decoder" else spec.key_tokens
    if lengths is None or keys is None:
        return
    if len(lengths) != spec.batch:
        yield Problem(
            "mask.lengths",
            f"lengths has {len(lengths)} entries, batch is {spec.batch}; give one a sequence",
        )
    elif max(lengths) > keys:
        yield Problem(
            "mask.lengths",
            f"lengths must be at most the {keys} keys, got {max(lengths)}; use {keys}",
        )


def _queries(spec: Spec) -> Iterator[Problem]:
    asked = [mask for mask in spec.masks if mask != "padding" and spec.mask.kind != "auto"]
    if spec.stack.queries and spec.block == "encoder-decoder" and asked:
        yield Problem(
            "mask.kind",
            f"mask={asked[0]} needs an order, and queries have none; use mask.kind padding, or "
            "leave it out",
        )


def _alone(spec: Spec) -> Iterator[Problem]:
    """Yield where padding hides every key that a sliding window leaves to the last query."""
    window, lengths, keys = spec.mask.window, spec.mask.lengths, spec.key_tokens
    if not {"padding", "sliding"} <= set(spec.masks) or window is None:
        return
    if spec.mask.fill != "-inf" or spec.block == "encoder-decoder":
        return  # there padding is the encoder's, and the window the decoder's
    eager = spec.attention.impl == "eager"  # a kernel knows no fill
    shortest = min(lengths) if lengths else max(1, keys - 1)
    if shortest <= keys - window:
        yield Problem(
            "mask.lengths",
            f"a sequence of {shortest} has only padding among the {window} of {keys} keys that its "
            "last query sees, and a softmax of nothing is NaN in eager, 0 in a kernel; use window "
            f"{keys - shortest + 1} or more{', or fill min' if eager else ''}",
        )


def _fill(spec: Spec) -> Iterator[Problem]:
    fill, dtype = spec.mask.fill, spec.run.dtype
    if isinstance(fill, float) and abs(fill) > _LARGEST[dtype]:
        yield Problem(
            "mask.fill",
            f"fill {fill:g} does not fit {dtype} (max {_LARGEST[dtype]:g}); use fill -inf or min",
        )
    elif isinstance(fill, float) and fill > -100:
        yield Problem(
            "mask.fill",
            f"fill {fill:g} hides nothing: exp({fill:g}) is no small share of a softmax; use -inf, "
            "min, or a number far below the scores",
        )


def _cache(spec: Spec) -> Iterator[Problem]:
    if spec.cache.past is None or spec.kind == "linear":  # which keeps no keys at all
        return
    if spec.cross:
        yield Problem(
            "cache.past",
            "a cache holds keys of the tokens' own, and with source=cross they come from a "
            "context; leave cache out",
        )
    elif "causal" not in spec.masks:
        yield Problem(
            "cache.past",
            "a cache needs mask causal: only then do old keys stay what they were; use mask.kind "
            "causal",
        )
