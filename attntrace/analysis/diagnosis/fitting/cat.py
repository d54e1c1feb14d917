"""cat: every size but one must agree, and every rank."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from math import prod
from typing import Any

from attntrace.analysis.diagnosis.call import Culprit, Explained, Given, Key, Proposal
from attntrace.analysis.diagnosis.fitting.changed import Changed
from attntrace.analysis.diagnosis.fitting.listing import Joined, but, expanded, permuted, repeated
from attntrace.analysis.diagnosis.text import counted, divided, shaped, sizes
from attntrace.analysis.diagnosis.writing import wrapped
from attntrace.record import Shape

MOST_PROPOSED = 6
MOST_PADDED = 4
"""Places that a map may lack for it to be padded and not resized."""


def explained(joined: Joined, op: str, dim: Any) -> Explained | None:
    """Return why tensors cannot be joined along `dim`; None where that is not why."""
    tensors: list[Given] = [one for one in joined.parts if one.shape != (0,)]
    ranks = {one.rank for one in tensors}
    if not tensors or not isinstance(dim, int):
        return None
    if len(ranks) > 1:
        return _ranks(joined, op, tensors, dim)
    rank = ranks.pop()
    if not rank:
        said = "use torch.stack, which makes a new axis"
        stack = replace(joined.call, op="stack")
        return Explained(
            rule=f"{op} joins along an axis, and {tensors[0].name} has 0 dimensions.",
            proposals=(Proposal(said=said, call=stack),),
        )
    if not -rank <= dim < rank:
        return None
    return _sizes(joined, op, dim % rank)


def _ranks(joined: Joined, op: str, tensors: list[Given], dim: int) -> Explained:
    most = max(tensors, key=lambda one: one.rank)
    few = min(tensors, key=lambda one: one.rank)
    axis = dim % most.rank
    found = lifted(joined, most, few, axis)
    return Explained(
        rule=f"{op} needs tensors of one rank, and {shaped(few)} has {counted(few.rank, 'dimension')} "
        f"where {shaped(most)} has {most.rank}.",
        culprits=tuple(Culprit(tensor=one, dim=None) for one in (few, most)),
        proposals=tuple(found)[:MOST_PROPOSED],
    )


def lifted(joined: Joined, most: Given, few: Given, axis: int | None) -> Iterator[Proposal]:
    """Yield a tensor of a lower rank with the axes that it lacks.

    A vector for each sample, (B, C), or tokens without a batch, (P, C), joined to (B, T, C). `axis`
    is the one that sizes may differ in, None if there is none.
    """
    wanted, shape = most.shape or (), few.shape or ()
    lack = most.rank - few.rank
    ways = sorted(range(most.rank - lack + 1), key=lambda at: at != axis)
    for at in ways:
        new_sizes = tuple(1 if n == axis else wanted[n] for n in range(at, at + lack))
        full = (*shape[:at], *new_sizes, *shape[at:])
        if _agree(full, wanted, axis):
            new = _with_axes(few, at, new_sizes)
            said = (
                f"give {few.name} the {'axis' if lack == 1 else 'axes'} that it lacks (unsqueeze): "
                f"`{new.text}` has shape {sizes(new.shape)}"
            )
            yield joined.change(said, few, new)
            return


def _agree(one: Shape, other: Shape, axis: int | None) -> bool:
    return all(a == b or n == axis for n, (a, b) in enumerate(zip(one, other, strict=True)))


def _with_axes(few: Given, at: int, new_sizes: Shape) -> Changed:
    """Return it with axes at a place, as views of one element: `c.unsqueeze(1).expand(-1, 9, -1)`."""
    shape = few.shape or ()
    new = Changed.of(few)
    for _ in new_sizes:
        text = f"{wrapped(new.text)}.unsqueeze({at})"
        new = Changed(new.tensor.then("unsqueeze", at), text, (*new.shape[:at], 1, *new.shape[at:]))
    if all(size == 1 for size in new_sizes):
        return new
    if at == 0:
        new = Changed(few, few.name, (*(1,) * len(new_sizes), *shape))
    return expanded(new, {at + n: size for n, size in enumerate(new_sizes)})


def _sizes(joined: Joined, op: str, axis: int) -> Explained | None:
    tensors: list[Given] = [one for one in joined.parts if one.shape != (0,)]
    first = tensors[0]
    for other in tensors[1:]:
        wrong = _differ(first, other, axis)
        if wrong:
            break
    else:
        return None
    a, b = first.shape or (), other.shape or ()
    rest = f"every size but that of dim {axis}"
    pairs = [f"dim {at} is {a[at]} in {first.name} and {b[at]} in {other.name}" for at in wrong]
    return Explained(
        rule=f"{op} along dim {axis} needs {rest} to agree, but {' and '.join(pairs)}: "
        f"{shaped(first)} and {shaped(other)}.",
        culprits=tuple(Culprit(tensor=one, dim=at) for at in wrong for one in (other, first)),
        proposals=tuple(_sized(joined, (first, other), axis, wrong))[:MOST_PROPOSED],
    )


def _differ(one: Given, other: Given, axis: int) -> list[int]:
    a, b = one.shape or (), other.shape or ()
    return [at for at in range(len(a)) if at != axis and a[at] != b[at]]


def _sized(
    joined: Joined, pair: tuple[Given, Given], axis: int, wrong: list[int]
) -> Iterator[Proposal]:
    sure = [*repeated(joined, pair, wrong), *permuted(joined, pair, axis)]
    yield from sure
    if not sure:
        yield from _other_axis(joined, axis)
        if wrong == [len(joined.shapes[0]) - 1] and axis == wrong[0] - 1:
            yield _of_one_width(joined, pair, wrong[0])
            return
        yield from _resized(joined, pair, axis, wrong)
        yield from _built(joined, pair, axis, wrong)


def _of_one_width(joined: Joined, pair: tuple[Given, Given], at: int) -> Proposal:
    """Tokens joined along the sequence, of several widths: nothing to cut or to stretch."""
    one, other = pair
    a, b = (one.shape or ())[at], (other.shape or ())[at]
    what = "head size (head_dim)" if one.rank == 4 else "width"
    equal = f" ({divided(max(a, b), min(a, b))})" if min(a, b) > 1 else ""
    said = (
        f"give both one {what}{equal}: build {one.name} with {b} in dim {at}, as {other.name} has, "
        f"or {other.name} with {a}"
    )
    new = one.of_shape(*(one.shape or ())[:at], b)
    return replace(joined.change(said, one, Changed(new, one.name, new.shape or ())), code=None)


def _other_axis(joined: Joined, axis: int) -> Iterator[Proposal]:
    """Sizes that differ along one axis alone: the one that was meant."""
    for at in range(len(joined.shapes[0])):
        same = {but(shape, at) for shape in joined.shapes}
        if at != axis and len(same) == 1:
            key: Key = joined.call.key(1, "dim")
            code = joined.call.code({key: str(at)}) or _with_dim(joined, at)
            said = f"join along dim={at}, the only one where they differ"
            yield Proposal(
                said=said,
                code=code,
                call=joined.call.at(
                    {key: at} if key in (1, "dim") and joined.call[key] is not None else {"dim": at}
                ),
            )


def _with_dim(joined: Joined, at: int) -> str | None:
    text = joined.call.text
    return f"{text[:-1]}, dim={at})" if text.endswith(")") and "dim" not in text else None


def _resized(
    joined: Joined, pair: tuple[Given, Given], axis: int, wrong: list[int]
) -> Iterator[Proposal]:
    """A skip connection of another height and width, a sequence of another length."""
    small, big = sorted(pair, key=lambda one: prod((one.shape or ())[n] for n in wrong))
    a, b = small.shape or (), big.shape or ()
    if wrong == [0] or any(a[n] > b[n] for n in wrong):
        return
    more = {n: b[n] - a[n] for n in wrong}
    shape = tuple(b[n] if n in wrong else size for n, size in enumerate(a))
    if len(a) == 4 and min(wrong) > 1 > axis - 1:
        text = f"F.interpolate({small.name}, size={b[2:]})"
        said = f"resize {small.name} from {a[2]}*{a[3]} to {b[2]}*{b[3]}: `{text}`"
        yield joined.change(said, small, Changed(small.of_shape(*shape), text, shape))
        pads = (0, more.get(3, 0), 0, more.get(2, 0))
        text = f"F.pad({small.name}, {pads})"
        said = f"pad {small.name} at its ends: `{text}`"
        if max(more.values()) <= MOST_PADDED:
            yield joined.change(said, small, Changed(small.of_shape(*shape), text, shape))
    new = Changed.of(big).cut({n: (0, a[n]) for n in wrong})
    yield joined.change(f"crop {big.name} to the smaller size: `{new.text}`", big, new)


def _built(
    joined: Joined, pair: tuple[Given, Given], axis: int, wrong: list[int]
) -> Iterator[Proposal]:
    """Say what the two sizes are to each other, where one must be built otherwise."""
    first, other = pair
    a, b = first.shape or (), other.shape or ()
    at = wrong[-1]
    big, small = max(a[at], b[at]), min(a[at], b[at])
    said = f"make {other.name} with size {a[at]} in dim {at} in place of {b[at]}"
    if len(a) == 4 and at > 1 > axis - 1:
        said += ": give the network an input that all its strides divide"
    elif small > 1 and big % small == 0:
        said += f", {big} = {big // small}*{small}"
    shape = tuple(a[n] if n in wrong else size for n, size in enumerate(b))
    found = joined.change(said, other, Changed(other.of_shape(*shape), other.name, shape))
    yield Proposal(said=found.said, call=found.call)
