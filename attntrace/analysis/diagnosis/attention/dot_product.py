"""scaled_dot_product_attention, whose rules are said of queries, keys, values, heads and masks.

nn.MultiheadAttention and the layers that hold one are in `multihead`.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import combinations

from attntrace.analysis.diagnosis.attention.batch import batches
from attntrace.analysis.diagnosis.attention.mask import misfit
from attntrace.analysis.diagnosis.attention.roles import (
    OP,
    ROLES,
    Attended,
    clash,
    culprit,
    pairs,
    roles,
    size,
)
from attntrace.analysis.diagnosis.call import Explained, FailedCall, Given, Key, Proposal
from attntrace.analysis.diagnosis.text import names_of, shaped, sizes, ticked
from attntrace.analysis.diagnosis.writing import changed, with_keyword, written


def explain(call: FailedCall) -> Explained | None:
    """Return why an attention failed: head widths, lengths, heads, batches, then the mask."""
    if call.op != OP:
        return None
    q, k, v, mask = (call.argument(place, name) for place, name in enumerate(ROLES))
    if not all(isinstance(one, Given) and one.shape is not None for one in (q, k, v)):
        return None
    attended = Attended(call, q, k, v, mask if isinstance(mask, Given) else None)
    return next((found for check in CHECKS if (found := check(attended)) is not None), None)


def _ranks(a: Attended) -> Explained | None:
    short = [one for one in (a.q, a.k, a.v) if one.rank < 2]
    if short:
        one = short[0]
        rule = (
            f"`{OP}` needs queries, keys and values of at least 2 dimensions, (length, head_dim), "
            f"and {shaped(one)} has {one.rank}."
        )
        changes: dict[Key, Given] = {
            a.key(role): tensor.then("unsqueeze", 0)
            for role, tensor in (("query", a.q), ("key", a.k), ("value", a.v))
            if tensor.rank == 1
        }
        said = f"add the missing axis of length 1: {ticked(map(written, changes.values()))}"
        return Explained(rule=rule, proposals=(changed(a.call, said, changes),))
    most = max(a.q.rank, a.k.rank, a.v.rank)
    odd = [(role, one) for role, one in roles(a) if one.rank == most - 1]
    apart = next((p for p in pairs(a) if p[0].rank != p[1].rank and clash(*p) is not None), None)
    if not odd or most < 4 or apart is None:
        return None
    one, other = apart
    rule = (
        f"`{OP}` lines shapes up from the right, and {shaped(one)} has {one.rank} dimensions "
        f"where {shaped(other)} has {other.rank}: {names_of(t for _, t in odd)} "
        f"{'lacks' if len(odd) == 1 else 'lack'} the axis of heads."
    )
    fixed: dict[Key, Given] = {a.key(role): tensor.then("unsqueeze", 1) for role, tensor in odd}
    said = f"give every head the same one: {ticked(map(written, fixed.values()))}"
    return Explained(
        rule=rule,
        culprits=(culprit(odd[0][1], -3),),
        proposals=(changed(a.call, said, fixed),),
    )


def _width(a: Attended) -> Explained | None:
    if size(a.q, -1) == size(a.k, -1):
        return None
    width, other = size(a.q, -1), size(a.k, -1)
    rule = (
        f"`{OP}` needs the last size of {a.q.name}, {width}, to equal the last size of "
        f"{a.k.name}, {other}: both are the width of a head."
    )
    proposals = []
    if size(a.k, -2) == width:
        flipped = a.k.then("transpose", -2, -1)
        said = (
            f"hand over {a.k.name} as (..., length, head_dim), it is transposed inside: "
            f"`{written(flipped)}`"
        )
        proposals.append(changed(a.call, said, {a.key("key"): flipped}))
    proposals += _split_alike(a)
    shape = (*(a.k.shape or ())[:-1], width)
    said = f"build {a.k.name} with heads of {width}, as {a.q.name} has: {sizes(shape)}"
    call = a.call.at({a.key("key"): a.k.of_shape(*shape)})
    proposals.append(Proposal(said=said, call=call))
    return Explained(
        rule=rule, culprits=(culprit(a.k, -1), culprit(a.q, -1)), proposals=tuple(proposals)
    )


def _split_alike(a: Attended) -> list[Proposal]:
    """Split keys and values into the heads that the queries have, of as many features."""
    heads, width, features = size(a.q, -3), size(a.q, -1), size(a.k, -3) * size(a.k, -1)
    if a.k.rank < 4 or heads * width != features:
        return []
    changes = {
        a.key(role): one.of_shape(*(one.shape or ())[:-3], heads, size(one, -2), width)
        for role, one in roles(a)[1:]
        if size(one, -3) * size(one, -1) == features
    }
    said = (
        f"split {names_of(changes.values())} into {heads} heads of {width}, as "
        f"{a.q.name} is, and not into {size(a.k, -3)} heads of {size(a.k, -1)}: "
        f"{features} = {heads} * {width}"
    )
    return [Proposal(said=said, call=a.call.at(changes))]


def _lengths(a: Attended) -> Explained | None:
    keys, values = size(a.k, -2), size(a.v, -2)
    if keys == values:
        return None
    rule = (
        f"`{OP}` needs as many values as keys, and {a.v.name} has a length of {values} "
        f"where {a.k.name} has {keys}."
    )
    proposals = []
    for role, one, wanted in (("value", a.v, keys), ("key", a.k, values)):
        if one.rank > 2 and size(one, -3) == wanted:
            moved = one.then("transpose", -3, -2)
            what = "batch" if one.rank == 3 else "heads"
            said = f"swap {what} and length of {one.name}: `{written(moved)}`"
            proposals.append(changed(a.call, said, {a.key(role): moved}))
    if size(a.q, -2) == keys:
        said = (
            f"hand over query, key, value in this order, so that keys and values have the same "
            f"length, {keys}: {a.v.name}, {a.k.name}, {a.q.name}"
        )
        proposals.append(changed(a.call, said, {a.key("query"): a.v, a.key("value"): a.q}))
    shape = (*(a.v.shape or ())[:-2], keys, size(a.v, -1))
    said = f"make {a.v.name} from the sequence that {a.k.name} is made of, of length {keys}"
    call = a.call.at({a.key("value"): a.v.of_shape(*shape)})
    proposals.append(Proposal(said=said, call=call))
    return Explained(
        rule=rule, culprits=(culprit(a.v, -2), culprit(a.k, -2)), proposals=tuple(proposals)
    )


def _heads(a: Attended) -> Explained | None:
    heads, shared, of_v = (size(one, -3) for one in (a.q, a.k, a.v))
    grouped = bool(a.call["enable_gqa"])
    if min(a.q.rank, a.k.rank, a.v.rank) < 4 or heads == shared == of_v:
        return None
    if grouped and heads % shared == 0 and shared == of_v:
        return None
    if not grouped and {heads, shared, of_v} - {1} == {max(heads, shared, of_v)}:
        return None
    differs = a.k if shared != heads else a.v
    must = "a multiple of" if grouped else "equal to"
    unless = "with enable_gqa=True " if grouped else ""
    rule = (
        f"`{OP}` {unless}needs the {heads} heads of {a.q.name} to be {must} the "
        f"{size(differs, -3)} heads of {differs.name}, size {differs.rank - 3} of "
        f"{sizes(differs.shape)}."
    )
    proposals = [*_swapped(a), *([] if grouped else _grouped(a, heads, shared)), *_rebuilt(a)]
    return Explained(
        rule=rule, culprits=(culprit(differs, -3), culprit(a.q, -3)), proposals=tuple(proposals)
    )


def _swapped(a: Attended) -> list[Proposal]:
    """Swap heads and length of one tensor, or of two, where that brings them in line.

    First what leaves fewer heads than a length, then what changes fewer tensors.
    """
    found = []
    for chosen in (*combinations(roles(a), 1), *combinations(roles(a), 2)):
        shapes = [_moved(one, (role, one) in chosen) for role, one in roles(a)]
        if len({shape[:2] for shape in shapes}) == 1 and shapes[1][2] == shapes[2][2]:
            moved = {a.key(role): one.then("transpose", 1, 2) for role, one in chosen}
            said = (
                f"swap heads and length of {names_of(one for _, one in chosen)}, so that "
                f"all are (batch, heads, length, head_dim): {ticked(map(written, moved.values()))}"
            )
            few_heads = shapes[1][1] <= shapes[1][2]
            found.append((not few_heads, len(chosen), changed(a.call, said, moved)))
    return [proposal for *_, proposal in sorted(found, key=lambda each: each[:2])]


def _moved(one: Given, swap: bool) -> tuple[int, ...]:
    batch, heads, length, *_ = one.shape or ()
    return (batch, length, heads) if swap else (batch, heads, length)


def _grouped(a: Attended, heads: int, shared: int) -> list[Proposal]:
    """Let several heads of the queries share one of the keys."""
    if heads % shared or shared != size(a.v, -3):
        return []
    times = heads // shared
    repeated = a.keys_and_values("repeat_interleave", times, 1)
    texts = {
        key: f"{one.name}.repeat_interleave({times}, dim=1)"
        for key, one in zip(repeated, (a.k, a.v), strict=True)
    }
    return [
        Proposal(
            said=f"let {times} heads of {a.q.name} share one of {a.k.name}: `enable_gqa=True`",
            code=with_keyword(a.call, "enable_gqa=True"),
            call=a.call.given(enable_gqa=True),
        ),
        changed(
            a.call,
            f"repeat each of the {shared} heads of {a.k.name} and {a.v.name} {times} times: "
            f"{ticked(texts.values())}",
            repeated,
            texts,
        ),
    ]


def _rebuilt(a: Attended) -> list[Proposal]:
    """Build keys and values with as many heads, or with fewer that divide those of the queries."""
    heads, shared = size(a.q, -3), size(a.k, -3)
    divisors = [n for n in range(2, heads + 1) if heads % n == 0]
    fit = min(divisors, key=lambda n: abs(n - shared)) if a.call["enable_gqa"] else heads
    changes = {
        a.key(role): one.of_shape(*(one.shape or ())[:-3], fit, *(one.shape or ())[-2:])
        for role, one in roles(a)[1:]
        if size(one, -3) != fit
    }
    if not changes:
        return []
    said = f"build {names_of(changes.values())} with {fit} heads"
    said += f", as {a.q.name} has" if fit == heads else f", which divides {heads}"
    return [Proposal(said=said, call=a.call.at(changes))]


CHECKS: tuple[Callable[[Attended], Explained | None], ...] = (
    _ranks,
    _width,
    _heads,
    _lengths,
    batches,
    misfit,
)
"""In the order in which a reader would want to hear of them."""
