"""What each kind of position needs."""

from __future__ import annotations

from collections.abc import Iterator

from attntrace.errors import Problem
from attntrace.spec.block import Spec
from attntrace.spec.positions import PLACES
from attntrace.spec.symbols import STACKS


def positions_rules(spec: Spec) -> Iterator[Problem]:
    """Yield what is wrong in the positions section."""
    if spec.block not in ("attention", *STACKS, "patch-embed", "t2t"):
        return
    positions = spec.positions
    kind, place = positions.kind, positions.on
    if place not in ("auto", *PLACES[kind]) and kind != "none":
        places = " or ".join(PLACES[kind])
        yield Problem(
            "positions.on", f"positions {kind} act on {places}, got on {place}; leave on out"
        )
    elif spec.block in ("patch-embed", "t2t") and spec.positions_on not in ("input", "none"):
        fix = "use positions.on input" if place == "qk" else "use sinusoidal or learned"
        yield Problem(
            "positions.kind",
            f"block {spec.block} adds positions to its tokens; {kind} act on {spec.positions_on}; "
            f"{fix}",
        )
    if spec.cross and spec.positions_on in ("scores", "value"):
        yield Problem(
            "positions.kind",
            f"positions {kind} need keys of the tokens' own, got source cross; use none, or "
            "positions on the input",
        )
    if kind == "rope":
        yield from _rope(spec)
    if kind == "learned":
        yield from _learned(spec)
    if kind == "t5":
        yield from _t5(spec)
    if kind in ("sine-2d", "learned-2d", "swin", "conv"):
        yield from _on_map(spec)


def _rope(spec: Spec) -> Iterator[Problem]:
    positions, mla = spec.positions, spec.kind == "mla"
    ranked = not mla or spec.attention.rope_head_dim is not None  # else another rule asks for it
    if ranked and (spec.rotary_dim % 2 or not spec.rotary_dim):
        what = f"rope_head_dim {spec.rotary_dim}" if mla else f"head_dim {spec.head_dim}"
        if positions.fraction != 1 and not mla:
            what += f"*fraction {positions.fraction:g} = {spec.rotary_dim}"
        fix = "rope_head_dim" if mla else "head_dim" if positions.fraction == 1 else "fraction"
        yield Problem(
            "positions.kind", f"rope needs an even rotary width, got {what}; set another {fix}"
        )
    if mla and positions.fraction != 1:
        yield Problem(
            "positions.fraction", "kind mla turns all of rope_head_dim; leave fraction out"
        )
    if spec.cross:
        yield Problem(
            "positions.kind",
            "rope turns q and k by positions of one sequence; with source=cross use none",
        )


def _learned(spec: Spec) -> Iterator[Problem]:
    both = spec.cross or spec.block == "encoder-decoder"
    needed = max(spec.first_place + spec.tokens, (spec.context_tokens or 0) if both else 0)
    if spec.positions.max is not None and needed > spec.positions.max:
        yield Problem(
            "positions.max",
            f"tokens {needed} exceeds max {spec.positions.max} of learned positions; set "
            f"positions.max {needed}, or fewer tokens",
        )


def _t5(spec: Spec) -> Iterator[Problem]:
    positions = spec.positions
    causal = "causal" in spec.masks
    both_ways = not causal or spec.block == "encoder-decoder"
    least = positions.buckets // (2 if both_ways else 1)
    most = positions.buckets // (1 if causal else 2)
    if least < 2:
        yield Problem(
            "positions.buckets",
            f"buckets must be at least 4, or 2 where all masks are causal, got {positions.buckets}",
        )
    elif positions.max_distance <= most // 2:
        yield Problem(
            "positions.max_distance",
            f"max_distance must be above {most // 2}, the distances that have a bucket each, "
            f"got {positions.max_distance}",
        )


def _on_map(spec: Spec) -> Iterator[Problem]:
    kind = spec.positions.kind
    if spec.block == "encoder-decoder" and spec.image.map is None:
        yield Problem("image.map", f"positions {kind} need a map; set image.map, such as 25x34")
    elif spec.map is None:
        yield Problem(
            "image.map",
            f"positions {kind} need a map, and tokens {spec.tokens} is no square; set image.map, "
            "such as 8x12",
        )
    if spec.block == "encoder-decoder" and not spec.stack.queries:
        yield Problem(
            "positions.kind",
            f"positions {kind} lie on a map, and the decoder's tokens do not; use stack.queries, "
            "as DETR does, or other positions",
        )
    if spec.cache.past is not None:
        yield Problem(
            "cache.past",
            f"positions {kind} lie on a map, which a decode step has no more of than its tokens; "
            "leave cache out",
        )
    if kind == "swin" and spec.kind != "window":
        yield Problem("positions.kind", "swin is a bias inside windows; use attention.kind window")
    if kind in ("sine-2d", "learned-2d"):
        yield from _split_in_two(spec)
    if kind == "conv":
        yield from _conv(spec)


def _split_in_two(spec: Spec) -> Iterator[Problem]:
    """Yield what 2-D positions need: a width to share out, and one map for all tokens."""
    kind = spec.positions.kind
    name = "chan" if spec.embeds else "context_dim" if spec.block == "encoder-decoder" else "dim"
    width = getattr(spec, name)
    if kind == "sine-2d" and width % 4:
        yield Problem(
            "positions.kind",
            f"sine-2d gives a quarter of {name} to each of sin and cos of row and column; {name} "
            f"{width} is not divisible by 4",
        )
    if kind == "learned-2d" and width % 2:
        yield Problem(
            "positions.kind",
            f"learned-2d gives half of {name} to the row and half to the column; {name} {width} "
            "is odd",
        )
    if spec.cross:
        yield Problem(
            "positions.kind",
            f"positions {kind} lie on a map, and source=cross has two sequences; use block "
            "encoder-decoder, or other positions",
        )


def _conv(spec: Spec) -> Iterator[Problem]:
    """Yield what a convolution of the values needs."""
    if not spec.positions.kernel % 2:
        yield Problem(
            "positions.kernel",
            f"kernel must be odd to keep the map, got {spec.positions.kernel}; use "
            f"{spec.positions.kernel + 1}",
        )
    if spec.kv_heads != spec.heads:
        yield Problem(
            "positions.kind",
            f"positions conv work on the values of every head, got kv_heads {spec.kv_heads} and "
            f"heads {spec.heads}; leave kv_heads out",
        )
    if spec.image.class_token:
        yield Problem(
            "image.class_token",
            "positions conv work on a map, where a class token has no place; leave class_token out",
        )
    if ordered(spec):
        yield Problem(
            "positions.kind",
            f"positions conv mix every value with its neighbours on the map, also with those that "
            f"mask {ordered(spec)} hides; use other positions, or mask.kind none",
        )


def ordered(spec: Spec) -> str:
    """Return the mask that hides keys by their place, empty where there is none; DETR's queries have none."""
    masks = [mask for mask in spec.masks if mask != "padding"]
    return masks[0] if masks and not spec.stack.queries else ""
