"""Rotary tables, cos and sin: of another width than the head, another length, or without heads."""

from __future__ import annotations

import re
from collections.abc import Iterator

from attntrace.analysis.diagnosis.call import Given, Proposal
from attntrace.analysis.diagnosis.fitting import placing
from attntrace.analysis.diagnosis.fitting.changed import Changed
from attntrace.analysis.diagnosis.fitting.pair import Pair
from attntrace.analysis.diagnosis.shapes import placements
from attntrace.analysis.diagnosis.text import sizes
from attntrace.record import Shape

_ROTARY = re.compile(
    r"(^|[^a-z])(cos|sin|freqs?\w*|rope|rotary\w*|rot|angles?|theta)(d?)([^a-z]|$)"
)


def is_rotary(tensor: Given) -> bool:
    """Return whether a tensor goes by a name of a rotary table."""
    return bool(_ROTARY.search(tensor.name.lower()))


def proposals(pair: Pair) -> Iterator[Proposal]:
    """Yield ways to bring a rotary table to the width, the length and the layout of a head."""
    if 0 in (*pair.got, *pair.wanted):
        return
    width, depth = pair.got[-1], pair.wanted[-1]
    if width not in (depth, 1):
        yield from _widths(pair, width, depth)
    elif len(pair.got) == 2 and len(pair.wanted) == 4 and pair.got[0] == pair.wanted[1]:
        yield from placing.proposals(pair)
        yield from _of_heads(pair)


def _of_heads(pair: Pair) -> Iterator[Proposal]:
    """A table that was cut to the count of heads, by x.shape[1] of (B, H, T, D)."""
    heads, tokens = pair.wanted[1:3]
    main = pair.main.name
    yield pair.built(
        f"if dim 1 of {main} is its heads, cut the table to its tokens: {tokens} positions, "
        f"{main}.shape[-2], and not {heads}",
        tokens,
        pair.got[1],
    )


def _widths(pair: Pair, width: int, depth: int) -> Iterator[Proposal]:
    name, main = pair.other.name, pair.main.name
    shape = (*pair.got[:-1], depth)
    if depth == 2 * width:
        text = f"torch.cat([{name}, {name}], dim=-1)"
        twice = pair.other.then("repeat", *(1,) * (len(shape) - 1), 2)
        said = (
            f"{name} has one value for each pair, {depth} = 2*{width}: repeat it to head_dim, "
            f"`{text}` (or repeat_interleave(2, dim=-1) where pairs are neighbours)"
        )
        yield from _twice(pair, Changed(twice, text, shape), said)
    elif width == 2 * depth:
        new = Changed.of(pair.other).cut({len(pair.got) - 1: (0, depth)})
        said = (
            f"{main} holds half of each head, {width} = 2*{depth}: take half of the table, "
            f"head_dim/2 values, `{new.text}`"
        )
        yield from _twice(pair, new, said)
    said = f"build the rotary table with head_dim={depth} in place of {width}"
    if width % depth == 0 and width != 2 * depth:
        said += f" ({width} = {width // depth}*{depth} looks like the whole width of the model)"
    yield from _twice(pair, Changed(pair.other.of_shape(*shape), name, shape), said, built=True)
    if width < depth:
        new = Changed.of(pair.main).cut({len(pair.wanted) - 1: (0, width)})
        said = (
            f"rotate only the first {width} of {depth} (partial rotary, rotary_dim={width}): "
            f"`{new.text}`, and join the rest again"
        )
        yield pair.offer_main(said, new)


def _twice(pair: Pair, new: Changed, said: str, *, built: bool = False) -> Iterator[Proposal]:
    """Yield a change of the width, with the axes moved as well where they must be."""
    places: tuple[int | None, ...] | None = None
    if not pair.fits(new):
        ways = (p for p in placements(new.shape, pair.wanted) if _ends(p, new.shape))
        places = next(ways, None)
        if places is None:
            yield from _cut_twice(pair, new, said)
            return
    laid = new.arranged(places) if places else new
    if built:
        yield pair.built(said, *laid.shape)
    else:
        yield pair.offer(said, laid)


def _cut_twice(pair: Pair, new: Changed, said: str) -> Iterator[Proposal]:
    """Say the width alone where the length is wrong as well: nothing to try."""
    del new
    yield Proposal(said=f"{said}; the other sizes, {sizes(pair.got)}, are to be changed too")


def _ends(places: tuple[int | None, ...], shape: Shape) -> bool:
    return places[-1] == len(shape) - 1
