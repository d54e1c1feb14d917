"""Axes by number: one that a tensor does not have, permutations, transpositions and splits."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import pairwise
from typing import Any

from attntrace.analysis.diagnosis.call import Culprit, Explained, FailedCall, Given, Key, Proposal
from attntrace.analysis.diagnosis.reshaping.asked import numbers, whole
from attntrace.analysis.diagnosis.reshaping.parts import PARTS
from attntrace.analysis.diagnosis.text import counted, listed, plain, quoted
from attntrace.analysis.diagnosis.writing import amended, wrapped

FIRST = (
    "softmax", "log_softmax", "softmin", "argmax", "argmin", "cumsum", "cumprod", "cummax",
    "cummin", "logcumsumexp", "squeeze", "unbind", "size", "stride", "glu", "select", "narrow",
    "index_select", "gather", "scatter", "scatter_add", "index_add", "index_copy", "sort",
    "argsort", "flip", "sum", "mean", "amax", "amin", "aminmax", "max", "min", "prod", "any",
    "all", "std", "var", "logsumexp", "median", "mode", "unflatten", "unfold", "count_nonzero",
    "nansum", "nanmean", "std_mean", "var_mean", "take_along_dim",
)  # fmt: skip
"""Ops whose second argument is an axis, or several."""
SECOND = (
    "norm", "topk", "kthvalue", "chunk", "split", "tensor_split", "split_with_sizes", "roll",
    "normalize", "quantile", "diff", "repeat_interleave", "renorm", "cosine_similarity",
)  # fmt: skip
"""Ops whose third argument is."""
PAIRS = ("transpose", "swapaxes", "swapdims", "transpose_", "flatten", "movedim", "moveaxis")
"""Ops that take two of them."""
_KEYWORDS = ("dim", "dims", "axis", "dim0", "dim1", "axis0", "axis1", "start_dim", "end_dim")
IMAGES = (1, 3)
"""Channels of an image, at its front where it has no batch axis."""
_FLIPS = ("T", "mT", "H", "mH", "adjoint", "t")


def explain(call: FailedCall) -> Explained | None:
    """Return which axis is not there, or which parts do not add up."""
    op, x = plain(call.op), call.argument(0, "input")
    if not isinstance(x, Given) or x.shape is None:
        return None
    if op in _FLIPS:
        return _flip(call, x, op)
    if op == "permute":
        dims = whole(numbers(call, 1, "dims"))
        return None if dims is None else _permute(call, x, dims)
    found = _missing(call, x, op)
    special: Callable[[FailedCall, Given], Explained | None] | None = PARTS.get(op)
    return found or (special and special(call, x))


def _axes(call: FailedCall, op: str) -> Iterator[tuple[Key, int]]:
    """Yield the axes that a call names, each with its argument."""
    first = 1 if op in FIRST or op in PAIRS or op == "unsqueeze" else 2 if op in SECOND else None
    if first is None:
        return
    given: list[tuple[Key, Any]] = [(key, call[key]) for key in _KEYWORDS if key in call.kwargs]
    last = first + (2 if op in PAIRS else 1)
    given += [(place, call.args[place]) for place in range(first, min(last, len(call.args)))]
    for key, value in given:
        for dim in value if isinstance(value, (tuple, list)) else (value,):
            if type(dim) is int:
                yield key, dim


def _missing(call: FailedCall, x: Given, op: str) -> Explained | None:
    """Return what is said of an axis that the tensor does not have."""
    rank = max(x.rank, 1) + (op == "unsqueeze" and x.rank > 0)
    named = [*_axes(call, op)]
    odd = [(key, dim) for key, dim in named if not -rank <= dim < rank]
    if not odd:
        return None if op in PAIRS else _twice(call, x, [dim for _, dim in named])
    (_, dim), *_ = odd
    places = "which leaves places" if op == "unsqueeze" else "numbered"
    return Explained(
        rule=f"{quoted(call)} names axis {dim}, but {x.name} has {counted(x.rank, 'axis')}, "
        f"{x.shape}, {places} 0 to {rank - 1} or {-rank} to -1.",
        culprits=(Culprit(tensor=x, dim=None),),
        proposals=(*_other_axes(call, x, op, named, rank),),
    )


def _twice(call: FailedCall, x: Given, dims: list[int]) -> Explained | None:
    """Return what is said of an axis that is named twice, as 1 and -1 may be the same."""
    full = [dim % max(x.rank, 1) for dim in dims]
    same = [dim for dim, axis in zip(dims, full, strict=True) if full.count(axis) > 1]
    if not same:
        return None
    rule = f"{quoted(call)} names one axis of {x.name}, {x.shape}, twice: {listed(same)}."
    return Explained(rule=rule)


def _other_axes(
    call: FailedCall, x: Given, op: str, named: list[tuple[Key, int]], rank: int
) -> Iterator[Proposal]:
    dims = [dim for _, dim in named]
    lacks = max(max(dims) - rank + 1, -rank - min(dims))
    several = len(dims) > 1
    said = f"add the batch axis that {x.name} lacks, with unsqueeze(0)"
    batch = [amended(call, said, {call.key(0, "input"): x.then("unsqueeze", 0)})]
    batch = batch if lacks == 1 and op != "unsqueeze" else []
    if several:
        yield from batch
    moved = [dim - lacks if dim > 0 else dim for dim in dims] if several else [-(dims[0] > 0)]
    if len({dim % rank for dim in moved if -rank <= dim < rank}) == len(moved):
        yield _moved(
            call,
            {key: [] for key, _ in named},
            [(k, d) for (k, _), d in zip(named, moved, strict=True)],
        )
    if not several:
        yield from batch


def _moved(call: FailedCall, dims: dict[Key, list[int]], named: list[tuple[Key, int]]) -> Proposal:
    """Return the call with other axes."""
    for key, dim in named:
        dims[key].append(dim)
    changes = {
        k: tuple(ds) if isinstance(call[k], (tuple, list)) else ds[0] for k, ds in dims.items()
    }
    code = call.code({key: str(value) for key, value in changes.items()})
    names = listed(f"dim={value}" for value in changes.values())
    said = f"take {names}, {'the last axis' if [*changes.values()] == [-1] else 'which it has'}"
    if call.module is not None and code is None:
        said = f"build `{call.module.text or call.module.type}` with {names}"
    said += f": `{code}`" if code else ""
    return Proposal(said=said, code=code, call=call.at(changes))


def _flip(call: FailedCall, x: Given, op: str) -> Explained | None:
    """Return why a tensor has no transpose: .t() and .T take two axes, .mT at least two."""
    if (x.rank <= 2 and op in ("t", "T", "H")) or (x.rank >= 2 and op in ("mT", "mH", "adjoint")):
        return None
    wants = "at most 2 axes" if op == "t" else "2 axes" if op in ("T", "H") else "2 axes or more"
    spoken = f"`.{op}()`" if op in ("t", "adjoint") else f"`.{op}`"
    proposals = []
    if x.rank > 2:
        code = f"{wrapped(x.name)}.transpose(-2, -1)"
        swapped = replace(call, op="transpose", args=(x, -2, -1), kwargs={})
        said = f"swap the last two axes, as `.mT` does: `{code}`"
        proposals.append(Proposal(said=said, code=code, call=swapped))
        code = f"{wrapped(x.name)}.transpose(0, 1)"
        first = replace(call, op="transpose", args=(x, 0, 1), kwargs={})
        proposals.append(Proposal(said=f"or the first two: `{code}`", code=code, call=first))
    else:
        code = f"{wrapped(x.name)}.unsqueeze(-1)"
        column = replace(call, op="unsqueeze", args=(x, -1), kwargs={})
        said = f"make a column of {x.name}: `{code}`"
        proposals.append(Proposal(said=said, code=code, call=column))
    return Explained(
        rule=f"{spoken} takes a tensor of {wants}, but {x.name} has {x.rank}: {x.shape}.",
        culprits=(Culprit(tensor=x, dim=None),),
        proposals=tuple(proposals),
    )


def _permute(call: FailedCall, x: Given, dims: tuple[int, ...]) -> Explained | None:
    """Return why a permutation is none: it must name every axis once."""
    rank, said = x.rank, f"{x.name} has {counted(x.rank, 'axis')}: {x.shape}"
    if len(dims) != rank:
        return Explained(
            rule=f"{quoted(call)} orders {counted(len(dims), 'axis')}, {dims}, but {said}.",
            culprits=(Culprit(tensor=x, dim=None),),
            proposals=(*_fitted(call, x, dims),),
        )
    if odd := [dim for dim in dims if not -rank <= dim < rank]:
        lower = tuple(dim - 1 for dim in dims)
        fixes = [_ordered(call, lower, "count axes from 0")] if {*lower} == {*range(rank)} else []
        rule = f"{quoted(call)} names axis {odd[0]}, but {said}, numbered 0 to {rank - 1}."
        return Explained(rule=rule, proposals=tuple(fixes))
    full = [dim % rank for dim in dims]
    twice = next((dim for dim in full if full.count(dim) > 1), None)
    if twice is None:
        return None
    never = [dim for dim in range(rank) if dim not in full]
    return Explained(
        rule=f"{quoted(call)} names axis {twice} twice and axis {listed(never)} never: each of the "
        f"{rank} axes of {x.name} must stand there once.",
        proposals=(*_once(call, full, twice, never),),
    )


def _once(call: FailedCall, dims: list[int], twice: int, never: list[int]) -> Iterator[Proposal]:
    if len(never) != 1:
        return
    places = [place for place, dim in enumerate(dims) if dim == twice]
    for place in sorted(places, key=lambda place: abs(place - never[0])):
        order = tuple(never[0] if at == place else dim for at, dim in enumerate(dims))
        yield _ordered(call, order, f"name axis {never[0]} at place {place}")


def _fitted(call: FailedCall, x: Given, dims: tuple[int, ...]) -> Iterator[Proposal]:
    rank, many = x.rank, len(dims)
    plain_order = {*dims} == {*range(many)}
    if many == rank + 1:
        said = f"add the batch axis that {x.name} lacks, with unsqueeze(0)"
        batch = amended(call, said, {call.key(0, "input"): x.then("unsqueeze", 0)})
        fixed = replace(call, args=(x.then("unsqueeze", 0), dims), kwargs={})
        found = [replace(batch, call=fixed)]
        if plain_order and dims[0] == 0:
            without = tuple(dim - 1 for dim in dims[1:])
            found.append(_ordered(call, without, "or order the axes without it"))
        merged = [*_merged(call, dims)] if plain_order else []
        is_image = (x.shape or (0,))[0] in IMAGES
        yield from found if is_image else (*merged, *found)
    elif many < rank and plain_order:
        more = rank - many
        front = (*range(more), *(dim + more for dim in dims))
        axes = "axis" if more == 1 else f"{more} axes"
        yield _ordered(call, front, f"keep the first {axes} and order the rest")
        if dims[0] == 0:
            back = (*dims, *range(many, rank))
            yield _ordered(call, back, f"or keep the last {axes} in place")


def _merged(call: FailedCall, dims: tuple[int, ...]) -> Iterator[Proposal]:
    """Yield the same order of axes of which two that stay side by side are one already."""
    for one, other in pairwise(dims):
        if other == one + 1 and one > 0:
            kept = [dim - (dim > one) for dim in dims if dim != other]
            said = f"if axes {one} and {other} were made one before (flatten), move that one"
            yield _ordered(call, tuple(kept), said)
            return


def _ordered(call: FailedCall, order: tuple[int, ...], said: str) -> Proposal:
    x: Given = call.argument(0, "input")
    code = f"{wrapped(x.name)}.permute({', '.join(map(str, order))})"
    fixed = replace(call, args=(x, order), kwargs={})
    return Proposal(said=f"{said}: `{code}`", code=code, call=fixed)
