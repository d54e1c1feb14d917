"""Shapes that hold the right sizes at the wrong places: axes to add, to swap, to fold or split."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from itertools import islice
from math import prod
from typing import Any

from attntrace.analysis.diagnosis.call import Proposal
from attntrace.analysis.diagnosis.fitting.changed import Changed
from attntrace.analysis.diagnosis.fitting.pair import Pair, is_mask
from attntrace.analysis.diagnosis.shapes import placements
from attntrace.analysis.diagnosis.text import sizes
from attntrace.analysis.diagnosis.writing import wrapped
from attntrace.record import Shape

MOST_WAYS = 2
Steps = list[tuple[Any, ...]]
"""Methods with their arguments."""
Fold = tuple[str, str, Steps, Shape]
"""What is done, the code of it, the methods to call, and the shape that comes out."""
_REDUCTIONS = frozenset(
    {"mean", "sum", "amax", "amin", "std", "var", "norm", "prod", "logsumexp", "median"}
)
_REDUCED = ("mean", "avg", "mu", "std", "var", "sum", "max", "min", "norm", "denom", "total", "rms")


def proposals(pair: Pair) -> Iterator[Proposal]:
    """Yield ways to bring the axes of one where the other has its own."""
    if not any(size > 1 for size in pair.got):
        return
    kept = list(_kept(pair))
    yield from kept
    for places in islice(placements(pair.got, pair.wanted), 0 if kept else MOST_WAYS):
        new = Changed.of(pair.other).arranged(places)
        if new.text != pair.other.name and pair.fits(new):
            yield pair.offer(_said(pair, places, new), new)
        if _moved(places):
            break
    yield from _last(pair)
    yield from _folded(pair)
    yield from _outer(pair)


def shortened(pair: Pair) -> Iterator[Proposal]:
    """Yield a table cut to the tokens that there are, with its axes where `main` has them."""
    for new in islice(_cuts(pair), MOST_WAYS):
        yield pair.offer(
            f"take the first positions, as many as there are tokens: `{new.text}` has shape "
            f"{sizes(new.shape)}, which broadcasts with {sizes(pair.wanted)}",
            new,
        )


def _cuts(pair: Pair) -> Iterator[Changed]:
    lengths = sorted(set(pair.wanted[1:-1]), reverse=True)
    ways = ((dim, size) for size in lengths for dim in range(len(pair.got) - 1))
    for dim, size in ways:
        if pair.got[dim] <= size:
            continue
        cut = Changed.of(pair.other).cut({dim: (0, size)})
        for places in placements(cut.shape, pair.wanted):
            spots = {place: at for at, place in enumerate(places) if place is not None}
            is_last = spots[len(cut.shape) - 1] == len(pair.wanted) - 1
            if is_last and 0 < spots[dim] < len(pair.wanted) - 1:
                yield cut.arranged(places)
                break


def _outer(pair: Pair) -> Iterator[Proposal]:
    """A vector that goes with no axis of the other: one for each head, an outer product."""
    if len(pair.got) != 1 or pair.got[0] in pair.wanted or len(pair.wanted) > 2:
        return
    rank, is_left = len(pair.wanted), pair.key == 0 or len(pair.wanted) > 1
    left, offer = (pair.other, pair.offer) if is_left else (pair.main, pair.offer_main)
    new = Changed.of(left).arranged((0, *(None,) * rank))
    whole = (*(left.shape or ()), *(pair.wanted if is_left else pair.got))
    what = (
        "each with each (an outer product)" if rank == 1 else f"{left.name} on an axis of its own"
    )
    yield offer(f"pair {what}: `{new.text}` of shape {sizes(new.shape)} gives {sizes(whole)}", new)


def _said(pair: Pair, places: tuple[int | None, ...], new: Changed) -> str:
    shape = sizes(new.shape)
    end = f"`{new.text}` has shape {shape}, which broadcasts with {sizes(pair.wanted)}"
    if not _moved(places):
        count = sum(new.shape) and len(new.shape) - len(pair.got)
        axes = "an axis of size 1" if count == 1 else f"{count} axes of size 1"
        if len(new.shape) == len(pair.got):
            return f"move the axes of {pair.other.name}: {end}"
        kept = ", or keep the axis where it is made with keepdim=True" if _is_reduced(pair) else ""
        view = f", or view{sizes(_viewed(pair, new.shape))}" if count > 1 else ""
        return f"add {axes} to {pair.other.name} (unsqueeze{view}): {end}{kept}"
    if ".view(" in new.text:
        return f"view {pair.other.name} with its axes elsewhere: {end}"
    swap = "swap two axes of" if ".transpose(" in new.text else "permute the axes of"
    return f"{swap} {pair.other.name}: {end}"


def _moved(places: tuple[int | None, ...]) -> bool:
    order = [place for place in places if place is not None]
    return order != sorted(order)


def _viewed(pair: Pair, shape: Shape) -> Shape:
    """Return a shape with the leading axes that it may have, for code that writes them."""
    return (*(1,) * (len(pair.wanted) - len(shape)), *shape)


def _is_reduced(pair: Pair) -> bool:
    """Whether it is what is left of `main` once one axis was reduced."""
    name = pair.other.name.lower()
    return (
        pair.other.path is None
        and len(pair.got) == len(pair.wanted) - 1
        and any(word in name for word in _REDUCED)
    )


def _kept(pair: Pair) -> Iterator[Proposal]:
    """`x / x.sum(-1)`: the reduced axis is to be kept."""
    text = _keepdim(pair.other.name)
    if text is None or len(pair.got) != len(pair.wanted) - 1:
        return
    for places in islice(placements(pair.got, pair.wanted), 1):
        new = Changed.of(pair.other).arranged(places)
        said = (
            f"keep the reduced axis as one of size 1 with keepdim=True: `{text}` has shape "
            f"{sizes(new.shape)}, which broadcasts with {sizes(pair.wanted)}"
        )
        yield pair.offer(said, Changed(new.tensor, text, new.shape))


def _keepdim(text: str) -> str | None:
    """Return a call that reduces with keepdim=True; None where the text is none that could."""
    try:
        body = ast.parse(text, mode="eval").body
    except SyntaxError:
        return None
    if not isinstance(body, ast.Call) or not isinstance(body.func, ast.Attribute):
        return None
    given = [keyword.arg for keyword in body.keywords]
    if body.func.attr not in _REDUCTIONS or "keepdim" in given or not (body.args or given):
        return None
    return f"{text.rstrip()[:-1].rstrip().removesuffix(',')}, keepdim=True)"


def _last(pair: Pair) -> Iterator[Proposal]:
    """A vector over channels, against channels that are not last: `x.permute(0, 2, 3, 1)`."""
    if len(pair.got) != 1 or len(pair.wanted) < 3 or is_mask(pair.other):
        return
    channels = pair.got[0]
    if channels not in pair.wanted[1:-1] or pair.wanted.index(channels, 1) != 1:
        return
    rank = len(pair.wanted)
    places = (0, *range(2, rank), 1)
    new = Changed.of(pair.main).arranged(places)
    said = (
        f"bring the {channels} channels of {pair.main.name} to the end (channels last): "
        f"`{new.text}` has shape {sizes(new.shape)}"
    )
    yield pair.offer_main(said, new)


def _folded(pair: Pair) -> Iterator[Proposal]:
    """Axes that one has apart and the other as one: tokens of a map, heads of a width."""
    for name, text, steps, shape in _folds(pair.other.name, pair.got, pair.wanted):
        tensor = pair.other
        for method, *args in steps:
            tensor = tensor.then(method, *args)
        said = f"{name}: `{text}` has shape {sizes(shape)}, as {pair.main.name} has"
        yield pair.offer(said, Changed(tensor, text, shape))


def _folds(name: str, got: Shape, wanted: Shape) -> Iterator[Fold]:
    whole = wrapped(name)
    if len(got) == 4 and len(wanted) == 3 and got[2] * got[3] in wanted[1:]:
        count = got[2] * got[3]
        how = f"flatten the {got[2]}*{got[3]} = {count} places of {name} into one axis"
        if wanted[1:] == (count, got[1]):
            steps: Steps = [("flatten", 2), ("transpose", 1, 2)]
            yield how, f"{whole}.flatten(2).transpose(1, 2)", steps, (got[0], count, got[1])
        elif wanted[1:] == (got[1], count):
            yield how, f"{whole}.flatten(2)", [("flatten", 2)], (got[0], got[1], count)
    if prod(got) == prod(wanted) and got[-1] == wanted[-1] and got[:-1] != wanted[:-1]:
        sums = " = ".join("*".join(map(str, shape[:-1])) for shape in (got, wanted))
        how = f"{name} holds as many rows, {sums}: fold or split its leading axes"
        yield how, f"{whole}.reshape{wanted}", [("reshape", *wanted)], wanted
    if len(got) == 3 and len(wanted) == 4:
        yield from _unfolds(name, got, wanted)
    if len(got) == 4 and len(wanted) == 3:
        yield from _joined_heads(name, got, wanted)


def _unfolds(name: str, got: Shape, wanted: Shape) -> Iterator[Fold]:
    """(B, T, C) for a map (B, C, H, W), or for heads (B, H, T, D)."""
    batch, tokens, width = got
    whole = wrapped(name)
    if wanted[1] == width and wanted[2] * wanted[3] == tokens:
        high, wide = wanted[2:]
        text = f"{whole}.transpose(1, 2).unflatten(2, ({high}, {wide}))"
        how = f"lay the {tokens} = {high}*{wide} tokens of {name} out as a map"
        steps: Steps = [("transpose", 1, 2), ("unflatten", 2, (high, wide))]
        yield how, text, steps, (batch, width, high, wide)
    how = f"split the width of {name}, {width} = "
    for at in (1, 2):
        heads, depth = wanted[at], wanted[3]
        if heads * depth == width and tokens == wanted[3 - at]:
            text = f"{whole}.unflatten(-1, ({heads}, {depth}))"
            steps = [("unflatten", -1, (heads, depth))]
            if at == 1:
                text, steps = f"{text}.transpose(1, 2)", [*steps, ("transpose", 1, 2)]
            shape = (batch, *wanted[1:])
            yield f"{how}{heads}*{depth}, into heads", text, steps, shape


def _joined_heads(name: str, got: Shape, wanted: Shape) -> Iterator[Fold]:
    """(B, H, T, D) for tokens (B, T, H*D)."""
    for at in (1, 2):
        heads, tokens, depth = got[at], got[3 - at], got[3]
        if wanted[1:] == (tokens, heads * depth):
            swap: Steps = [("transpose", 1, 2)] if at == 1 else []
            text = f"{wrapped(name)}{'.transpose(1, 2)' if swap else ''}.flatten(2)"
            how = f"join the heads of {name}, {heads}*{depth} = {heads * depth}"
            yield how, text, [*swap, ("flatten", 2)], (got[0], tokens, heads * depth)
