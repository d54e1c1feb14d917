"""What each kind of position needs."""

from __future__ import annotations

from collections.abc import Iterator

from attntrace.errors import Problem
from attntrace.spec.block import STACKS, Spec
from attntrace.spec.positions import PLACES


def positions_rules(spec: Spec) -> Iterator[Problem]:
    """Yield what is wrong in the positions section."""
    if spec.block not in ("attention", *STACKS, "patch-embed"):
        return
    positions = spec.positions
    kind, place = positions.kind, positions.on
    if place != "auto" and place not in PLACES[kind]:
        places = ", ".join(PLACES[kind]) if kind != "none" else "nothing"
        yield Problem("positions.on", f"positions {kind} act on {places}, got on {place}")
    elif spec.block == "patch-embed" and spec.positions_on not in ("input", "none"):
        yield Problem(
            "positions.kind",
            f"block patch-embed adds positions to its tokens; {kind} act on {spec.positions_on}",
        )
    if spec.cross and spec.positions_on in ("scores", "value") and kind in ("swin", "conv"):
        yield Problem("positions.kind", f"positions {kind} need keys of the tokens' own, got source cross")
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
    if spec.rotary_dim % 2 or not spec.rotary_dim:
        what = (
            f"rope_head_dim {spec.rotary_dim}"
            if mla
            else f"head_dim {spec.head_dim}"
            + (f"*fraction {positions.fraction:g} = {spec.rotary_dim}" if positions.fraction != 1 else "")
        )
        yield Problem("positions.kind", f"rope needs an even rotary width, got {what}")
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
    needed = spec.past + spec.tokens if not spec.cross else max(spec.tokens, spec.keys)
    if spec.positions.max is not None and needed > spec.positions.max:
        yield Problem(
            "positions.max",
            f"tokens {needed} exceeds max {spec.positions.max} of learned positions; set "
            f"positions.max {needed}, or fewer tokens",
        )


def _t5(spec: Spec) -> Iterator[Problem]:
    positions = spec.positions
    one_way = positions.buckets // (1 if "causal" in spec.masks else 2)
    if one_way < 2:
        yield Problem(
            "positions.buckets",
            f"buckets must be at least 4, 2 in a causal mask, got {positions.buckets}",
        )
    elif positions.max_distance <= one_way // 2:
        yield Problem(
            "positions.max_distance",
            f"max_distance must be above {one_way // 2}, the distances that have a bucket each, "
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
    if kind == "sine-2d" and spec.chan % 4:
        yield Problem(
            "positions.kind",
            f"sine-2d gives a quarter of chan to each of sin and cos of row and column; chan "
            f"{spec.chan} is not divisible by 4",
        )
    if kind == "learned-2d" and spec.chan % 2:
        yield Problem(
            "positions.kind",
            f"learned-2d gives half of chan to the row and half to the column; chan {spec.chan} "
            "is odd",
        )
    if kind == "swin" and spec.kind != "window":
        yield Problem(
            "positions.kind", "swin is a bias inside windows; use attention.kind window"
        )
    if kind == "conv" and not spec.positions.kernel % 2:
        yield Problem(
            "positions.kernel", f"kernel must be odd to keep the map, got {spec.positions.kernel}"
        )
