"""What the feed-forward needs."""

from __future__ import annotations

from collections.abc import Iterator

from attntrace.errors import Problem
from attntrace.spec.block import Spec
from attntrace.spec.component import MOST
from attntrace.spec.rules.belongs import would_be
from attntrace.spec.rules.sizes import indivisible
from attntrace.spec.symbols import STACKS

_ITEM = {"float32": 4, "bfloat16": 2, "float16": 2, "float64": 8}


def feed_forward_rules(spec: Spec) -> Iterator[Problem]:
    """Yield what is wrong in the feed_forward section."""
    if spec.block not in STACKS:
        return
    part = spec.feed_forward
    if part.ratio is not None and spec.ff_dim != would_be(spec, "ff_dim"):
        yield Problem(
            "feed_forward.ratio",
            f"ff_dim {spec.ff_dim} and ratio {part.ratio:g} are both given, and ratio*chan is "
            f"{would_be(spec, 'ff_dim')}; leave one out",
        )
    elif spec.ff_dim > MOST:
        yield Problem(
            "chan" if part.ratio is None else "feed_forward.ratio",
            f"ff_dim would be ratio*chan = {spec.ff_dim}, and the most is {MOST}; make one smaller",
        )
    if part.kind == "moe":
        yield from _moe(spec)
    if part.kind == "conv":
        yield from _conv(spec)


def _moe(spec: Spec) -> Iterator[Problem]:
    part = spec.feed_forward
    experts, chosen = part.experts, part.experts_per_token
    if experts is None or chosen is None:
        yield Problem(
            "feed_forward.kind",
            "feed_forward.kind moe needs experts and experts_per_token, such as 8 and 2",
        )
        return
    if part.dense_layers > spec.layers:
        yield Problem(
            "feed_forward.dense_layers",
            f"dense_layers {part.dense_layers} exceeds layers {spec.layers}; set at most "
            f"{spec.layers}",
        )
    if chosen > experts:
        yield Problem(
            "feed_forward.experts_per_token",
            f"experts_per_token {chosen} exceeds experts {experts}; set at most {experts}",
        )
    else:
        yield from _groups(spec, experts, chosen)
    if part.expert_impl == "grouped" and (reason := no_grouped(spec)):
        yield Problem("feed_forward.expert_impl", f"{reason}; use expert_impl loop")


def _groups(spec: Spec, experts: int, chosen: int) -> Iterator[Problem]:
    part = spec.feed_forward
    if part.groups == 1:
        return
    if experts % part.groups:
        yield Problem("feed_forward.groups", indivisible("experts", experts, "groups", part.groups))
        return
    allowed = part.groups_per_token or part.groups
    if allowed > part.groups:
        yield Problem(
            "feed_forward.groups_per_token",
            f"groups_per_token {allowed} exceeds groups {part.groups}; set at most {part.groups}",
        )
    elif allowed * (experts // part.groups) < chosen:
        yield Problem(
            "feed_forward.groups_per_token",
            f"groups_per_token {allowed} groups of {experts // part.groups} experts hold "
            f"{allowed * (experts // part.groups)}, fewer than experts_per_token {chosen}; set a "
            f"larger groups_per_token, at most {part.groups}",
        )


def no_grouped(spec: Spec) -> str | None:
    """Return why `torch.nn.functional.grouped_mm` cannot do the experts, None where it can."""
    dtype, item = spec.run.dtype, _ITEM[spec.run.dtype]
    if dtype == "float64":
        return "grouped_mm has no float64"
    if spec.run.device == "meta" and dtype != "bfloat16":
        return f"grouped_mm on meta has bfloat16 alone, got dtype {dtype}"
    for name, width in (("chan", spec.chan), ("expert_dim", spec.expert_dim)):
        if width * item % 16:
            return f"grouped_mm needs rows of a multiple of 16 bytes, got {name} {width}*{item}"
    return None


def expert_impl(spec: Spec) -> str:
    """Return how the experts are computed, "loop" or "grouped", with "auto" decided."""
    asked = spec.feed_forward.expert_impl
    if asked != "auto":
        return asked
    return "grouped" if spec.run.dtype == "bfloat16" and no_grouped(spec) is None else "loop"


def _conv(spec: Spec) -> Iterator[Problem]:
    if not spec.feed_forward.kernel % 2:
        yield Problem(
            "feed_forward.kernel",
            f"kernel must be odd to keep the map, got {spec.feed_forward.kernel}; use "
            f"{spec.feed_forward.kernel + 1}",
        )
    if spec.block != "encoder":
        yield Problem(
            "feed_forward.kind",
            f"feed_forward.kind conv works on a map, and the tokens of block {spec.block} lie on "
            "none; use mlp, or block encoder",
        )
    elif spec.map is None:
        yield Problem(
            "image.map",
            f"feed_forward.kind conv needs a map, and tokens {spec.tokens} is no square; set "
            "image.map, such as 8x12",
        )
    elif spec.image.class_token:
        yield Problem(
            "image.class_token",
            "feed_forward.kind conv works on a map, where a class token has no place; leave "
            "class_token out",
        )
