"""Masks: of another format than bool, or without the axes that scores have."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from attntrace.analysis.diagnosis.call import Culprit, Explained, FailedCall, Given, Proposal
from attntrace.analysis.diagnosis.fitting.changed import Changed
from attntrace.analysis.diagnosis.fitting.pair import Pair, of_first
from attntrace.analysis.diagnosis.shapes import placements
from attntrace.analysis.diagnosis.text import sizes
from attntrace.analysis.diagnosis.writing import changed, wrapped

_PLACE = {"masked_fill": 1, "where": 0, "masked_select": 1, "masked_scatter": 1}
"""Which argument of an op is its mask."""
_NAMES = {"where": "condition"}
_KEEPS = ("attention", "attn_mask", "keep", "valid", "tril", "causal", "src_mask", "tgt_mask")
"""Names of masks that usually have 1 where something stays."""
_NOT = ("invert", "bitwise_not")
_BITS = {"and": "&", "or": "|", "bitwise_and": "&", "bitwise_or": "|"}


def explain(call: FailedCall) -> Explained | None:
    """Return why a mask is of a wrong format, or its value no number; None where neither is."""
    op = call.op.strip("_")
    if op in _PLACE:
        return _not_bool(call, op) or _value(call, op)
    if op in _NOT:
        return _no_bits(call)
    if op in ("sub", "rsub", "neg"):
        return _minus(call)
    return _bits(call, op) if op in _BITS else None


def _not_bool(call: FailedCall, op: str) -> Explained | None:
    key = call.key(_PLACE[op], _NAMES.get(op, "mask"))
    mask = call[key]
    if not isinstance(mask, Given) or mask.dtype in ("bool", "uint8"):
        return None
    whole = wrapped(mask.name)
    as_bool = changed(
        call,
        f"make it bool, True where {mask.name} is not 0: `{whole}.bool()`",
        {key: mask.then("bool")},
    )
    zeros = changed(
        call,
        f"if 0 marks what to leave out, compare: `{mask.name} == 0` is of dtype bool",
        {key: mask.then("eq", 0)},
        {key: f"{mask.name} == 0"},
    )
    fills = op == "masked_fill" and any(word in mask.name.lower() for word in _KEEPS)
    return Explained(
        rule=f"{op} needs a mask of dtype bool, and {mask.name} {sizes(mask.shape)} is of dtype "
        f"{mask.dtype}.",
        proposals=(zeros, as_bool) if fills else (as_bool, zeros),
    )


def _value(call: FailedCall, op: str) -> Explained | None:
    value = call.argument(2, "value") if op == "masked_fill" else None
    if not isinstance(value, Given) or not value.rank:
        return None
    key, target, mask = call.key(2, "value"), call.argument(0, "input"), call.argument(1, "mask")
    where = replace(call, op="where", args=(mask, value, target), kwargs={})
    names = [one.name if isinstance(one, Given) else "..." for one in (mask, value, target)]
    code = f"torch.where({', '.join(names)})"
    found = [Proposal(said=f"take a tensor of values with `{code}`", code=code, call=where)]
    if all(size == 1 for size in value.shape or ()):
        text = f"{wrapped(value.name)}.squeeze()"
        said = f"give it as a number: `{text}` has no dimensions"
        found.insert(0, changed(call, said, {key: value.then("squeeze")}))
    return Explained(
        rule=f"masked_fill fills with one number, of 0 dimensions, and {value.name} has "
        f"{value.rank}: {sizes(value.shape)}.",
        culprits=(Culprit(tensor=value, dim=0),),
        proposals=tuple(found),
    )


def _no_bits(call: FailedCall) -> Explained | None:
    mask = call[0]
    if not isinstance(mask, Given) or not _is_float(mask):
        return None
    whole = wrapped(mask.name)
    return Explained(
        rule=f"`~` needs a tensor of bool or of whole numbers, and {mask.name} "
        f"{sizes(mask.shape)} is of dtype {mask.dtype}.",
        proposals=(
            Proposal(
                said=f"make the mask bool before it is inverted: `~{whole}.bool()`",
                code=f"~{whole}.bool()",
                call=call.at({0: mask.then("bool")}),
            ),
        ),
    )


def _bits(call: FailedCall, op: str) -> Explained | None:
    floats = [(key, tensor) for key, tensor in call.tensors() if _is_float(tensor)]
    if not floats:
        return None
    one = floats[0][1]
    changes = {key: one.then("bool") for key, one in floats}
    said = f"make it bool first: `{wrapped(one.name)}.bool()`"
    return Explained(
        rule=f"`{_BITS[op]}` needs tensors of bool or of whole numbers, and {one.name} "
        f"{sizes(one.shape)} is of dtype {one.dtype}.",
        proposals=(changed(call, said, changes),),
    )


def _is_float(tensor: Given) -> bool:
    return "float" in tensor.dtype or "complex" in tensor.dtype


def _minus(call: FailedCall) -> Explained | None:
    """`1 - mask`, which torch refuses for a bool mask."""
    masks = [tensor for _, tensor in call.tensors() if tensor.dtype == "bool"]
    numbers = [value for value in call.args if isinstance(value, (int, float))]
    if not masks or (len(call.tensors()) > len(masks)):
        return None
    mask = masks[0]
    whole = wrapped(mask.name)
    found = [
        Proposal(
            said=f"make numbers of it first: `{whole}.float()`",
            code=call.code({call.tensors()[0][0]: f"{whole}.float()"}),
            call=call.at({key: one.then("float") for key, one in call.tensors()}),
        )
    ]
    if numbers == [1] or call.op.strip("_") == "neg":
        inverted = replace(call, op="bitwise_not", args=(mask,), kwargs={})
        said = f"invert a bool mask with `~{whole}` (logical_not)"
        found.insert(0, Proposal(said=said, code=f"~{whole}", call=inverted))
    return Explained(
        rule=f"`-` is not defined for bool, and {mask.name} {sizes(mask.shape)} is of dtype bool.",
        proposals=tuple(found),
    )


def proposals(pair: Pair) -> Iterator[Proposal]:
    """Return ways to bring a mask to the axes and the length of the scores."""
    return of_first((_axes, _heads, _windows, _length), pair)


def _axes(pair: Pair) -> Iterator[Proposal]:
    """`mask[:, None, None, :]`: samples at the front, keys at the end."""
    ways = [
        places
        for places in placements(pair.got, pair.wanted)
        if (found := [place for place in places if place is not None]) == sorted(found)
    ]
    ways.sort(key=lambda places: (places[-1] is None, places[0] is None, _has_heads(places)))
    for places in ways[:1]:
        new = Changed.of(pair.other).arranged(places)
        if new.text == pair.other.name or not pair.fits(new):
            continue
        count = len(new.shape) - len(pair.got)
        axes = "one axis" if count == 1 else f"{count} axes"
        what = _axes_meant(pair, places)
        yield pair.offer(
            f"give {pair.other.name} {axes} of size 1{what} (unsqueeze): `{new.text}` has shape "
            f"{sizes(new.shape)}, which broadcasts with {sizes(pair.wanted)}",
            new,
        )


def _has_heads(places: tuple[int | None, ...]) -> bool:
    """Whether an axis of the mask would be that of the heads, for which there seldom is one."""
    return len(places) == 4 and places[1] is not None


def _axes_meant(pair: Pair, places: tuple[int | None, ...]) -> str:
    if len(pair.wanted) != 4 or places[0] is None:
        return ""
    names = {1: "heads", 2: "queries", 3: "keys"}
    return f" for {' and '.join(names[at] for at, place in enumerate(places) if place is None)}"


def _heads(pair: Pair) -> Iterator[Proposal]:
    """Scores whose heads are folded into the batch: (B*H, L, S) with a mask (B, L, S)."""
    if len(pair.wanted) != 3 or len(pair.got) not in (2, 3, 4):
        return
    folded, batch = pair.wanted[0], pair.got[0]
    if batch < 2 or folded % batch or folded == batch:
        return
    heads, new = folded // batch, Changed.of(pair.other)
    if len(pair.got) == 2:
        new = new.arranged((0, None, 1))
    elif len(pair.got) == 4:
        tensor = pair.other.then("squeeze", 1)
        new = Changed(tensor, f"{wrapped(pair.other.name)}.squeeze(1)", (batch, *pair.got[2:]))
    text = f"{wrapped(new.text)}.repeat_interleave({heads}, dim=0)"
    shape = (folded, *new.shape[1:])
    new = Changed(new.tensor.then("repeat_interleave", heads, 0), text, shape)
    if pair.fits(new):
        yield pair.offer(
            f"repeat the mask of each sample for its heads, {folded} = {batch}*{heads}: `{text}` "
            f"has shape {sizes(shape)}",
            new,
        )


def _windows(pair: Pair) -> Iterator[Proposal]:
    """Windows folded into the batch, (B*W, H, N, N), with a mask for each window, (W, N, N)."""
    if len(pair.wanted) != 4 or len(pair.got) != 3 or pair.wanted[0] % (pair.got[0] or 1):
        return
    times, windows = pair.wanted[0] // (pair.got[0] or 1), pair.got[0]
    text = f"{wrapped(pair.other.name)}.repeat({times}, 1, 1).unsqueeze(1)"
    tensor = pair.other.then("repeat", times, 1, 1).then("unsqueeze", 1)
    new = Changed(tensor, text, (pair.wanted[0], 1, *pair.got[1:]))
    if pair.fits(new):
        yield pair.offer(
            f"repeat the {windows} masks for each of {times} samples, {pair.wanted[0]} = "
            f"{times}*{windows}, with an axis for heads: `{text}` has shape {sizes(new.shape)}",
            new,
        )


def _length(pair: Pair) -> Iterator[Proposal]:
    """A causal mask of another length: `mask[:, :, :T, :T]`."""
    rank = len(pair.got)
    if rank < 2 or len(pair.wanted) < 2:
        return
    (rows, keys), (queries, length) = pair.got[-2:], pair.wanted[-2:]
    if rows >= length >= queries and keys >= length and rows == keys:
        begin = length - queries
        new = Changed.of(pair.other).cut({rank - 2: (begin, queries), rank - 1: (0, length)})
        text = (
            f"slice {pair.other.name}, built for {keys} tokens, to what the scores have, "
            f"{queries}*{length} (queries, keys): `{new.text}`"
        )
        if pair.fits(new):
            yield pair.offer(text, new)
    elif keys != length or rows not in (1, queries):
        yield from _longer(pair, (rows, keys), (queries, length))


def _longer(pair: Pair, got: tuple[int, int], wanted: tuple[int, int]) -> Iterator[Proposal]:
    (rows, keys), (queries, length) = got, wanted
    shape = (*pair.got[:-2], rows if rows == 1 else queries, length)
    build = f"build {pair.other.name} for {queries}*{length} (queries, keys)"
    more = length - keys
    if keys < length and rows in (1, queries):
        many = "key that was" if more == 1 else "keys that were"
        padded = f"F.pad({pair.other.name}, ({more}, 0), value={_open(pair.call)})"
        yield pair.offer(
            f"{build}: it lacks the {more} {many} put before the {keys} (a cache, a class token): "
            f"{_causal(pair.call, queries, length)}, or {padded}",
            Changed(pair.other.of_shape(*shape), padded, shape),
        )
    else:
        yield pair.built(
            f"{build}: its last sizes are {rows} and {keys}, for instance "
            f"{_causal(pair.call, queries, length)}",
            *shape,
        )


def _causal(call: FailedCall, queries: int, length: int) -> str:
    """Return the code of a causal mask as the op takes it: True for what is kept, or hidden."""
    more = length - queries
    if _open(call) == 0 and _open(call) is not False:
        return f'torch.full(({queries}, {length}), float("-inf")).triu({more + 1})'
    kept = f"tril({more})" if _open(call) else f"triu({more + 1})"
    return f"torch.ones({queries}, {length}, dtype=torch.bool).{kept}"


def _open(call: FailedCall) -> object:
    """Return the value that leaves a key in, as far as the op says it."""
    return {"masked_fill": False, "where": True}.get(call.op.strip("_"), 0)
