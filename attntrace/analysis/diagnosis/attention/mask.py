"""The mask of scaled_dot_product_attention: its shape, its dtype, and is_causal beside it."""

from __future__ import annotations

from itertools import combinations

from attntrace.analysis.diagnosis.attention.roles import OP, Attended, culprit, size
from attntrace.analysis.diagnosis.call import Explained, Given, Proposal
from attntrace.analysis.diagnosis.text import sizes
from attntrace.analysis.diagnosis.writing import changed, wrapped, written

AXES = ("batch", "heads", "queries", "keys")


def misfit(a: Attended) -> Explained | None:
    """Return why its mask does not fit; None where it does, or where there is none."""
    mask = a.mask
    if mask is None or mask.shape is None:
        return None
    if not _fits(mask.shape, a.scores):
        return _shape(a, mask)
    if mask.dtype not in {"bool", "float32", a.q.dtype} or mask.dtype == "int64":
        return _dtype(a, mask)
    return _causal(a, mask) if a.call.argument(5, "is_causal") is True else None


def _fits(shape: tuple[int, ...], wanted: tuple[int, ...]) -> bool:
    """Return whether a shape broadcasts to another without making that one larger."""
    pairs = zip(reversed(shape), reversed(wanted), strict=False)
    return len(shape) <= len(wanted) and all(have in {1, want} for have, want in pairs)


def _shape(a: Attended, mask: Given) -> Explained:
    wanted, shape = a.scores, mask.shape or ()
    axes = AXES[-len(wanted) :] if len(wanted) == 4 else ("batch", "queries", "keys")
    rule = f"`{OP}` needs {mask.name} {sizes(shape)} to broadcast to {sizes(wanted)}, "
    rule += f"{', '.join(axes)}"
    dims = range(-1, -min(len(shape), len(wanted)) - 1, -1)
    dim = next((dim for dim in dims if shape[dim] not in {1, wanted[dim]}), None)
    if dim is None:
        rule += f", and it has {len(shape)} dimensions where they have {len(wanted)}."
        return Explained(rule=rule, culprits=(culprit(mask, -len(shape)),), proposals=_refits(a))
    name = axes[dim] if -dim <= len(axes) else "batch"
    meets = f"the {name} of {wanted[dim]}" if name == "batch" else f"the {wanted[dim]} {name}"
    rule += f", and its size {len(shape) + dim}, {shape[dim]}, meets {meets}."
    return Explained(rule=rule, culprits=(culprit(mask, dim),), proposals=_refits(a))


def _refits(a: Attended) -> tuple[Proposal, ...]:
    """Return every way to make a mask fit, the likeliest first."""
    mask = a.mask
    if mask is None:
        return ()
    ways = (*_spread(a, mask), *_parted(a, mask), *_turned(a, mask))
    return ways or tuple(_cut(a, mask))


def _propose(a: Attended, said: str, mask: Given, text: str | None = None) -> Proposal:
    key = a.key("attn_mask")
    code = text or written(mask)
    return changed(a.call, f"{said}: `{code}`", {key: mask}, {key: code})


def _spread(a: Attended, mask: Given) -> list[Proposal]:
    """Insert axes of length 1, so that one mask serves every head (and every query)."""
    shape, wanted = mask.shape or (), a.scores
    found = []
    for places in combinations(range(len(wanted)), len(wanted) - len(shape)):
        rest = iter(shape)
        spread = tuple(1 if dim in places else next(rest) for dim in range(len(wanted)))
        if _fits(spread, wanted):
            found.append((len(wanted) - 1 in places, 0 in places, places, spread))
    proposals = []
    for _, _, places, spread in sorted(found)[:1]:
        fitted = mask
        for place in places:
            fitted = fitted.then("unsqueeze", place)
        index = ", ".join("None" if dim in places else ":" for dim in range(len(wanted)))
        text = f"{wrapped(mask.name)}[{index}]" if len(places) > 1 else None
        said = f"give {mask.name} the shape {sizes(spread)}"
        said += ", unsqueezed twice" if len(places) == 2 else ""
        proposals.append(_propose(a, said, fitted, text))
    return proposals


def _parted(a: Attended, mask: Given) -> list[Proposal]:
    """Part an axis of batch * heads, as nn.MultiheadAttention wants it."""
    batch, heads = a.scores[:2] if len(a.scores) == 4 else (0, 0)
    if (mask.shape or ())[:1] != (batch * heads,) or mask.rank != 3:
        return []
    said = f"part its {batch * heads} = {batch} * {heads} into batch and heads"
    return [_propose(a, said, mask.then("view", batch, heads, *(mask.shape or ())[1:]))]


def _turned(a: Attended, mask: Given) -> list[Proposal]:
    queries, keys = a.scores[-2:]
    if (size(mask, -1), size(mask, -2)) != (queries, keys) or queries == keys:
        return []
    return [_propose(a, "swap queries and keys of the mask", mask.then("transpose", -2, -1))]


def _cut(a: Attended, mask: Given) -> list[Proposal]:
    """Cut a mask made for a longer sequence, or build one for this length."""
    queries, keys = a.scores[-2:]
    rows, columns = size(mask, -2), size(mask, -1)
    if rows in {1, queries} and columns in {1, keys}:
        return []
    kept = min(queries, rows)
    if columns >= keys and kept in {1, queries}:
        fitted, parts = mask, []
        for dim, have, want in ((-2, rows, queries), (-1, columns, keys)):
            fitted = fitted.then("narrow", dim, 0, want) if have > want else fitted
            parts.append(f":{want}" if have > want else ":")
        said = f"cut {mask.name} to {queries} queries and {keys} keys"
        return [_propose(a, said, fitted, f"{mask.name}[..., {', '.join(parts)}]")]
    shape = (queries, keys)
    code = f"torch.ones{sizes(shape)[:-1]}, dtype=torch.bool).tril({_offset(queries, keys)})"
    said = f"build the mask for {queries} queries and {keys} keys: `{code}` where it is causal"
    key = a.key("attn_mask")
    return [changed(a.call, said, {key: mask.of_shape(*shape)}, {key: code})]


def _offset(queries: int, keys: int) -> str:
    """Return the diagonal that lets the last query see every key, as after a cache."""
    return f"diagonal={keys - queries}" if keys > queries else ""


def _dtype(a: Attended, mask: Given) -> Explained:
    rule = (
        f"`{OP}` takes a mask of torch.bool, or of the dtype of {a.q.name}, {a.q.dtype}, to be "
        f"added; {mask.name} is {mask.dtype}."
    )
    if mask.dtype.startswith(("int", "uint")):
        said = f"cast {mask.name}, True where a query may look"
        return Explained(rule=rule, proposals=(_propose(a, said, mask.then("bool")),))
    cast = mask.then("to", f"torch.{a.q.dtype}")
    said = f"cast {mask.name} to the dtype of {a.q.name}"
    return Explained(
        rule=rule, proposals=(_propose(a, said, cast, f"{mask.name}.to({a.q.name}.dtype)"),)
    )


def _causal(a: Attended, mask: Given) -> Explained:
    queries, keys = a.scores[-2:]
    rule = (
        f"`{OP}` takes either attn_mask or is_causal=True, and here it has both, "
        f"{mask.name} {sizes(mask.shape)} and is_causal=True."
    )
    place = a.call.key(5, "is_causal")
    triangle = f"torch.ones({queries}, {keys}, dtype=torch.bool, device={a.q.name}.device).tril()"
    both = f"{mask.name} & {triangle}" if mask.dtype == "bool" else f"{mask.name}"
    fold = (
        f"set is_causal=False and fold the causal triangle into the mask: `{both}`"
        if mask.dtype == "bool"
        else f"set is_causal=False and let {mask.name} hold -inf above the diagonal itself"
    )
    alone = a.call.at({a.key("attn_mask"): None})
    return Explained(
        rule=rule,
        proposals=(
            changed(
                a.call,
                fold,
                {place: False},
                {place: "False", a.key("attn_mask"): both},
            ),
            Proposal(
                said="drop attn_mask where it only repeats the causal triangle",
                code=a.call.code({a.key("attn_mask"): "None"}),
                call=alone,
            ),
        ),
    )
