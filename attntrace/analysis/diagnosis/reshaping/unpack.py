"""Names for the sizes of a shape, or for the parts of a value: too many or too few."""

from __future__ import annotations

import re
from collections.abc import Iterator
from math import prod
from typing import Any

from attntrace.analysis.diagnosis.call import Culprit, Explained, FailedCall, Given, Proposal
from attntrace.analysis.diagnosis.text import shaped, sizes
from attntrace.analysis.diagnosis.writing import wrapped

_OF_SHAPE = re.compile(r"(\.shape|\.size\(\s*\))\s*$")
_BATCH = frozenset({"b", "n", "bs", "bsz", "batch", "batch_size", "nb", "batchsize", "bz", "num"})
_TOKENS = frozenset({"t", "l", "s", "seq", "seq_len", "length", "tokens", "len", "seqlen", "q_len"})
_MAP = frozenset({"h", "w", "height", "width", "hh", "ww"})


def explain(call: FailedCall) -> Explained | None:
    """Return why a value has not as many parts as there are names; None for other calls."""
    if call.op != "unpack":
        return None
    value, wanted = call[0], call[1]
    names = tuple(str(name) for name in call["names"] or ())
    if not isinstance(wanted, int):
        wanted = len(names)
    if wanted < 1 or any(name.startswith("*") for name in names):
        return None
    if isinstance(value, (list, tuple)):
        return _values(value, (wanted, names))
    if not isinstance(value, Given) or value.shape is None:
        return None
    if _is_shape(call, value):
        return _shape(value, wanted, names)
    return _tensor(value, wanted, names)


def _is_shape(call: FailedCall, value: Given) -> bool:
    """Whether the shape of the tensor was unpacked, and not the tensor."""
    if call["of"] is not None:
        return bool(call["of"] == "shape")
    if call.text:
        return bool(_OF_SHAPE.search(call.text))
    return f"got {value.rank})" in call.message or "got" not in call.message


def _named(wanted: int, names: tuple[str, ...]) -> str:
    return f"{wanted} names ({', '.join(names)})" if names else f"{wanted} names"


def _shape(value: Given, wanted: int, names: tuple[str, ...]) -> Explained | None:
    if value.rank == wanted:
        return None
    fewer = value.rank < wanted
    ways = _lacking(value, wanted, names) if fewer else _surplus(value, wanted, names)
    dims = "1 dimension" if value.rank == 1 else f"{value.rank} dimensions"
    more = "fewer" if fewer else "more"
    return Explained(
        rule=f"{_named(wanted, names)} take a shape of {wanted} dimensions, and {shaped(value)} "
        f"has {dims}, {abs(wanted - value.rank)} {more}.",
        culprits=(Culprit(tensor=value, dim=None),),
        proposals=tuple(ways),
    )


def _lacking(value: Given, wanted: int, names: tuple[str, ...]) -> Iterator[Proposal]:
    """Too few sizes: mostly an input without its batch axis."""
    whole, shape = wrapped(value.name), value.shape or ()
    lower = [name.lower().strip("_") for name in names]
    batched = not lower or lower[0] in _BATCH or lower[0] == ""
    lacks_channels = wanted == 4 and value.rank == 3 and bool(lower[1:]) and lower[1] == "c"
    side = _side(shape) if wanted == 4 and set(lower) & _MAP else None
    if side:
        yield Proposal(
            said=f"if {value.name} is tokens (batch, {side}*{side}, {shape[2]}), lay them out as a "
            f"map: `{whole}.transpose(1, 2).unflatten(2, ({side}, {side}))`",
            call=_of(value.then("transpose", 1, 2).then("unflatten", 2, (side, side)), wanted),
        )
    if batched and wanted - value.rank == 1:
        yield Proposal(
            said=f"add the batch axis, which the input lacks: `{whole}.unsqueeze(0)` (or x[None]) "
            f"has shape {sizes((1, *shape))}",
            call=_of(value.then("unsqueeze", 0), wanted),
        )
    if lacks_channels and value.rank == 3:
        full = (shape[0], 1, *shape[1:])
        yield Proposal(
            said=f"if it is the channels that are missing, `{whole}.unsqueeze(1)` has shape "
            f"{sizes(full)}",
            call=_of(value.then("unsqueeze", 1), wanted),
        )
    if not batched or wanted - value.rank != 1:
        missing = wanted - value.rank
        count = "axis" if missing == 1 else "axes"
        yield Proposal(
            said=f"give {value.name} {missing} more {count} (unsqueeze, view or unflatten) before"
        )
    kept = names[-value.rank :] if names and value.rank else ()
    if kept:
        yield Proposal(
            said=f"take the {value.rank} sizes that there are: `{', '.join(kept)} = {whole}.shape`",
            code=f"{', '.join(kept)} = {whole}.shape",
            call=_of(value, len(kept)),
        )


def _of(value: Given, wanted: int) -> FailedCall:
    """Return the unpacking of the shape of another tensor."""
    return FailedCall(op="unpack", args=(value, wanted), kwargs={"of": "shape"})


def _side(shape: tuple[int, ...]) -> int | None:
    """Return the side of a square of tokens, (B, side*side, C)."""
    if len(shape) != 3 or shape[1] == shape[2]:
        return None
    side = round(shape[1] ** 0.5)
    return side if side > 1 and side * side == shape[1] else None


def _surplus(value: Given, wanted: int, names: tuple[str, ...]) -> Iterator[Proposal]:
    """Too many sizes: a map where tokens are expected, or an axis of size 1."""
    whole, shape, rank = wrapped(value.name), value.shape or (), value.rank
    more = rank - wanted
    ones = [dim for dim, size in enumerate(shape) if size == 1]
    if more == 1:
        for dim in ones[:2]:
            rest = (*shape[:dim], *shape[dim + 1 :])
            yield Proposal(
                said=f"drop axis {dim}, of size 1: `{whole}.squeeze({dim})` has shape {sizes(rest)}",
                call=_of(value.then("squeeze", dim), wanted),
            )
    if rank == 4 and wanted == 3:
        yield from _as_tokens(value, names)
    if wanted > 1 and rank != 4:
        rest = (prod(shape[: more + 1]), *shape[more + 1 :])
        yield Proposal(
            said=f"fold the leading axes into one: `{whole}.flatten(0, {more})` has shape "
            f"{sizes(rest)}",
            call=_of(value.then("flatten", 0, more), wanted),
        )
    if names:
        left = ", ".join((*names[:-1], "*_", names[-1])) if wanted > 1 else f"{names[0]}, *_"
        yield Proposal(
            said=f"name only those that are needed, with a star for the rest: "
            f"`{left} = {whole}.shape`",
            code=f"{left} = {whole}.shape",
            call=_of(value, rank),
        )


def _as_tokens(value: Given, names: tuple[str, ...]) -> Iterator[Proposal]:
    """(B, C, H, W) where (B, T, C) is expected, or heads that are still apart."""
    whole, shape = wrapped(value.name), value.shape or ()
    batch, chan, high, wide = shape
    lower = [name.lower().strip("_") for name in names]
    tokens = f"`{whole}.flatten(2).transpose(1, 2)` has shape {sizes((batch, high * wide, chan))}"
    kept = f"`{whole}.flatten(2)` has shape {sizes((batch, chan, high * wide))}"
    if lower[1:2] == ["c"] or lower[1:2] == ["channels"]:
        yield Proposal(
            said=f"flatten the {high}*{wide} places of the map into one axis: {kept}",
            call=_of(value.then("flatten", 2), 3),
        )
    else:
        yield Proposal(
            said=f"flatten the map of {high}*{wide} into tokens: {tokens}",
            call=_of(value.then("flatten", 2).then("transpose", 1, 2), 3),
        )
        joined = (
            f"`{whole}.transpose(1, 2).flatten(2)` has shape {sizes((batch, high, chan * wide))}"
        )
        yield Proposal(
            said=f"if dim 1 is heads, join them, {chan}*{wide}: {joined}",
            call=_of(value.then("transpose", 1, 2).then("flatten", 2), 3),
        )


def _tensor(value: Given, wanted: int, names: tuple[str, ...]) -> Explained | None:
    """A tensor itself, which is taken apart along dim 0."""
    shape = value.shape or ()
    if shape[:1] == (wanted,):
        return None
    count = f"{shape[0]} parts along dim 0" if shape else "no parts, for it has 0 dimensions"
    return Explained(
        rule=f"{_named(wanted, names)} take {wanted} parts, and the tensor {shaped(value)} has "
        f"{count}.",
        culprits=(Culprit(tensor=value, dim=0),) if shape else (),
        proposals=tuple(_taken(value, wanted, names)),
    )


def _taken(value: Given, wanted: int, names: tuple[str, ...]) -> Iterator[Proposal]:
    shape, whole, text = value.shape or (), wrapped(value.name), ""
    left = ", ".join(names)
    sized = [dim for dim, size in enumerate(shape) if size == wanted]
    known = {"b", "n", "t", "l", "c", "h", "w", "d"} | _BATCH | _TOKENS | _MAP
    if value.rank == wanted and names and all(name.lower().strip("_") in known for name in names):
        code = f"{left} = {whole}.shape"
        said = f"take the shape apart, not the tensor: `{code}`"
        yield Proposal(said=said, code=code, call=_of(value, wanted))
        return
    if sized:
        text = f"{whole}.unbind({sized[0]})"
        yield Proposal(
            said=f"take it apart along dim {sized[0]}, of size {wanted}: `{text}`",
            code=f"{left} = {text}" if left else None,
            call=_parts(value.then("movedim", sized[0], 0), wanted),
        )
    elif shape and shape[-1] % wanted == 0 and wanted > 1 and not _one_kept(names):
        text, part = f"{whole}.chunk({wanted}, dim=-1)", shape[-1] // wanted
        yield Proposal(
            said=f"split the last axis, {shape[-1]} = {wanted}*{part}, with chunk: `{text}`",
            code=f"{left} = {text}" if left else None,
            call=_parts(value.then("unflatten", -1, (wanted, part)).then("movedim", -2, 0), wanted),
        )
    if sized or "chunk" in text:
        return
    first = names[0] if names else "x"
    code = f"{first} = {value.name}"
    if "(" in value.name or _one_kept(names):
        yield Proposal(
            said=f"take it as the one tensor that it is, for {value.name} returns no tuple: "
            f"`{code}`",
            code=code,
        )


def _parts(value: Given, wanted: int) -> FailedCall:
    """Return the taking apart of another tensor along its first axis."""
    return FailedCall(op="unpack", args=(value, wanted), kwargs={"of": "tensor"})


def _one_kept(names: tuple[str, ...]) -> bool:
    """Whether only the first of the parts is used: `out, _ = ...`, `x, weights = ...`."""
    return len(names) == 2 and (
        names[1].startswith("_") or any(word in names[1] for word in ("weight", "attn", "state"))
    )


def _values(
    value: list[Any] | tuple[Any, ...], names: tuple[int, tuple[str, ...]]
) -> Explained | None:
    """A tuple of another length, as `nn.LSTM`'s (output, (h, c)), or an unbind along the batch."""
    wanted, given = names
    if len(value) == wanted:
        return None
    tensors = [one for one in value if isinstance(one, Given)]
    shapes = {one.shape for one in tensors}
    alike = f", each of shape {sizes(tensors[0].shape)}" if len(tensors) == len(value) > 0 else ""
    alike = alike if len(shapes) == 1 else ""
    ways = []
    if len(value) > wanted:
        left = ", ".join((*given, "*_")) if given else "a, *_"
        text = (
            f"name the {len(value)} parts that there are, or the rest with a star: `{left} = ...`"
        )
        ways.append(Proposal(said=text))
    nested = [n for n, one in enumerate(value) if isinstance(one, (list, tuple))]
    if nested and len(value) < wanted:
        left = ", ".join(given[: nested[0]]) or "out"
        inner = ", ".join(given[nested[0] :]) or "h, c"
        text = f"part {nested[0]} is a tuple itself, take it apart too: `{left}, ({inner}) = ...`"
        ways.append(Proposal(said=text))
    if alike and wanted in (tensors[0].shape or ()):
        dim = (tensors[0].shape or ()).index(wanted)
        text = (
            f"take the tensor apart along the axis of size {wanted}: dim {dim + 1} (unbind, chunk)"
        )
        ways.insert(0, Proposal(said=text))
    count = f"{len(value)} {'part' if len(value) == 1 else 'parts'}"
    return Explained(
        rule=f"{_named(wanted, given)} take {wanted} parts, and the value has {count}{alike}.",
        proposals=tuple(ways),
    )
