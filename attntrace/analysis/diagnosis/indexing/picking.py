"""Numbers picked along an axis: gather, scatter, index_select, index_add, one_hot."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from attntrace.analysis.diagnosis.call import Culprit, Explained, FailedCall, Given, Key, Proposal
from attntrace.analysis.diagnosis.indexing.lookup import IDS, held, into_range, outside
from attntrace.analysis.diagnosis.shapes import broadcast
from attntrace.analysis.diagnosis.text import plain
from attntrace.analysis.diagnosis.writing import amended


def explain(call: FailedCall) -> Explained | None:
    """Return why picking numbers along an axis failed."""
    found = _OPS.get(plain(call.op))
    return found(call) if found else None


def _along(call: FailedCall) -> tuple[Given, int, Given, Key] | None:
    """Return what is read along which axis by which index; None where the axis is none of it."""
    x, dim, index = call.argument(0, "input"), call.argument(1, "dim"), call.argument(2, "index")
    key = call.key(2, "index")
    if plain(call.op) == "take_along_dim":
        dim, index, key = (
            call.argument(2, "dim"),
            call.argument(1, "indices"),
            call.key(1, "indices"),
        )
    if not isinstance(x, Given) or not isinstance(index, Given) or type(dim) is not int:
        return None
    if not x.shape or index.shape is None or not -x.rank <= dim < x.rank:
        return None
    return x, dim % x.rank, index, key


def _wrong_ids(call: FailedCall, index: Given, key: Key) -> Explained | None:
    wanted = ("int64",) if plain(call.op) == "take_along_dim" else IDS
    if index.dtype in wanted:
        return None
    rule = f"{plain(call.op)} needs {index.name} to be int64, and it is {index.dtype}."
    fix = amended(call, "make it an index, long", {key: index.then("long")})
    return Explained(rule=rule, proposals=(fix,))


def _beyond(call: FailedCall, x: Given, dim: int, index: Given, key: Key) -> Explained | None:
    """Return which numbers of an index are beyond the axis."""
    size = (x.shape or ())[dim]
    if plain(call.op) == "take_along_dim" or not outside(index, size):
        return None  # take_along_dim counts on from the front again
    rule = (
        f"{plain(call.op)} reads {x.name}, {x.shape}, along axis {dim} of {size}, 0 to {size - 1}, "
    )
    rule += f"and {index.name} holds {held(index)}."
    culprits = (Culprit(tensor=x, dim=dim),)
    fixes = into_range(call, key, index, size)
    others = [d for d, n in enumerate(x.shape or ()) if d != dim and n > (index.most or 0)]
    if len(others) == 1 and index.rank == 1 and plain(call.op) == "index_select":
        said = f"read along axis {others[0]} of {(x.shape or ())[others[0]]}: dim={others[0]}"
        place = call.key(1, "dim")
        code = call.code({place: str(others[0])})
        fixes.insert(0, Proposal(said=said, code=code, call=call.at({place: others[0]})))
    return Explained(rule=rule, culprits=culprits, proposals=tuple(fixes))


def _gather(call: FailedCall) -> Explained | None:
    """Return why gather, take_along_dim or a scatter does not fit its index."""
    found = _along(call)
    if found is None:
        return None
    x, dim, index, key = found
    return (
        _wrong_ids(call, index, key)
        or _other_rank(call, x, dim, index, key)
        or _larger(call, x, dim, index, key)
        or _source(call, x, index)
        or _beyond(call, x, dim, index, key)
    )


def _other_rank(call: FailedCall, x: Given, dim: int, index: Given, key: Key) -> Explained | None:
    """Return why an index of fewer axes must be given the others."""
    shape, sizes = x.shape or (), index.shape or ()
    if index.rank == x.rank:
        return None
    rule = (
        f"{plain(call.op)} needs {index.name}, {sizes}, to have as many axes as {x.name}, {shape}, "
    )
    rule += f"{x.rank}, and it has {index.rank}."
    fixes = []
    if 0 < index.rank < x.rank:
        new, wide = index, list(shape)
        lead = index.rank if sizes[:dim] == shape[:dim] and index.rank > dim else dim
        for at in range(lead, lead + x.rank - index.rank):
            new = new.then("unsqueeze", at)
        wide[:lead] = [-1] * lead
        wide[dim] = -1
        said = f"give {index.name} the axes that it lacks"
        if index.rank + 1 < x.rank or lead != dim:
            new = new.then("expand", *wide)
        fixes.append(amended(call, said, {key: new}))
    return Explained(rule=rule, proposals=tuple(fixes))


def _larger(call: FailedCall, x: Given, dim: int, index: Given, key: Key) -> Explained | None:
    """Return which axis of an index is longer than what it reads."""
    shape, sizes = x.shape or (), index.shape or ()
    free = plain(call.op) == "take_along_dim"
    wrong = [
        at
        for at in range(x.rank)
        if at != dim and (sizes[at] > shape[at] if not free else sizes[at] not in (1, shape[at]))
    ]
    if not wrong or (free and broadcast(sizes, (*shape[:dim], 1, *shape[dim + 1 :]))):
        return None
    at = wrong[0]
    what = "1 or" if free else "no longer than"
    rule = f"{plain(call.op)} along axis {dim} needs axis {at} of {index.name}, {sizes[at]}, to be "
    rule += f"{what} that of {x.name}, {shape[at]}."
    fixes = []
    if x.rank == 2 and sizes[1 - dim] > shape[1 - dim] and sizes[dim] <= shape[1 - dim]:
        turned = index.then("transpose", 0, 1)
        fixes.append(amended(call, f"swap the axes of {index.name}", {key: turned}))
    elif not free:
        cut = index.then("narrow", at, 0, shape[at])
        said = f"cut axis {at} of {index.name} to {shape[at]}"
        fixes.append(amended(call, said, {key: cut}))
    culprits = (Culprit(tensor=index, dim=at), Culprit(tensor=x, dim=at))
    return Explained(rule=rule, culprits=culprits, proposals=tuple(fixes))


def _source(call: FailedCall, x: Given, index: Given) -> Explained | None:
    """Return why what is scattered is too small or of another dtype."""
    source = call.argument(3, "src")
    if not isinstance(source, Given):
        return None
    key = call.key(3, "src")
    if source.dtype != x.dtype:
        rule = f"{plain(call.op)} needs {source.name}, {source.dtype}, to be of the dtype of "
        fix = amended(call, f"cast {source.name}", {key: source.then("to", f"torch.{x.dtype}")})
        return Explained(rule=f"{rule}{x.name}, {x.dtype}.", proposals=(fix,))
    sizes, shape = index.shape or (), source.shape or ()
    wrong = [at for at in range(min(len(sizes), len(shape))) if sizes[at] > shape[at]]
    if len(sizes) == len(shape) and not wrong:
        return None
    rule = (
        f"{plain(call.op)} takes one number of {source.name}, {shape}, for each of {index.name}, "
    )
    wide = source.of_shape(*sizes)
    fix = Proposal(said=f"make {source.name} of shape {sizes}", call=call.at({key: wide}))
    culprits = tuple(Culprit(tensor=source, dim=at) for at in wrong[:1])
    return Explained(rule=f"{rule}{sizes}.", culprits=culprits, proposals=(fix,))


def _select(call: FailedCall) -> Explained | None:
    """Return why index_select, index_add or index_copy does not fit its index."""
    found = _along(call)
    if found is None:
        return None
    x, dim, index, key = found
    if index.rank > 1:
        rule = f"{plain(call.op)} takes an index of 1 axis, and {index.name}, {index.shape}, has "
        fixes = [amended(call, f"flatten {index.name}", {key: index.then("flatten")})]
        if index.rank == x.rank and plain(call.op) == "index_select":
            said = "pick other numbers in each row: `torch.gather`"
            new = replace(call, op="gather", args=(x, dim, index), kwargs={})
            fixes.append(Proposal(said=said, call=new))
        return Explained(rule=f"{rule}{index.rank}.", proposals=tuple(fixes))
    source = call.argument(3, "source")
    added = _added(call, x, dim, index, source) if isinstance(source, Given) else None
    return _wrong_ids(call, index, key) or added or _beyond(call, x, dim, index, key)


def _added(call: FailedCall, x: Given, dim: int, index: Given, source: Given) -> Explained | None:
    """Return why what is added is not one slice for each number of the index."""
    count = (index.shape or (1,))[0] if index.rank else 1
    wanted = (*(x.shape or ())[:dim], count, *(x.shape or ())[dim + 1 :])
    if source.shape == wanted:
        return None
    rule = f"{plain(call.op)} along axis {dim} of {x.name}, {x.shape}, with the {count} of "
    rule += f"{index.name} needs {source.name}, {source.shape}, to be {wanted}."
    if source.rank == len(wanted) and _but(source.shape, dim) == _but(wanted, dim):
        return _as_many(call, dim, index, source)
    key, fixes = call.key(3, "source"), []
    if source.rank == 2 and (source.shape or ())[::-1] == wanted:
        said = f"swap the axes of {source.name}"
        fixes.append(amended(call, said, {key: source.then("transpose", 0, 1)}))
    said = f"make {source.name} of shape {wanted}"
    fixes.append(Proposal(said=said, call=call.at({key: source.of_shape(*wanted)})))
    return Explained(rule=rule, culprits=_all(source), proposals=tuple(fixes))


def _but(shape: Sequence[int] | None, dim: int) -> tuple[int, ...]:
    sizes = tuple(shape or ())
    return (*sizes[:dim], *sizes[dim + 1 :])


def _as_many(call: FailedCall, dim: int, index: Given, source: Given) -> Explained:
    """Return that an index has more numbers than there are slices to add, or fewer."""
    count, has = (index.shape or (1,))[0], (source.shape or ())[dim]
    more, place, key = count > has, call.key(2, "index"), call.key(3, "source")
    gap = f"{max(count, has)} = {min(count, has)} + {abs(count - has)}"
    rule = (
        f"{plain(call.op)} adds one slice of {source.name} along axis {dim} for each number of "
        f"{index.name}, and these are {has} of {source.name}, {source.shape}, for {count} of "
        f"{index.name}: {gap}."
    )
    said = (
        f"compute {source.name} with the same index as it is added by, so that both have {count}: "
        f"if {index.name if more else source.name} was extended in between (self loops, padding), "
        "extend it before"
    )
    shape = [*(source.shape or ())]
    shape[dim] = count
    fixes = [Proposal(said=said, call=call.at({key: source.of_shape(*shape)}))]
    cut = index.then("narrow", 0, 0, has) if more else source.then("narrow", dim, 0, count)
    fixes.append(
        amended(call, f"or leave the last {abs(count - has)} out", {place if more else key: cut})
    )
    culprits = (Culprit(tensor=index, dim=0), Culprit(tensor=source, dim=dim))
    return Explained(rule=rule, culprits=culprits, proposals=tuple(fixes))


def _all(tensor: Given) -> tuple[Culprit, ...]:
    return tuple(Culprit(tensor=tensor, dim=dim) for dim in range(tensor.rank))[-1:]


def _one_hot(call: FailedCall) -> Explained | None:
    """Return why numbers of classes cannot be spread out."""
    ids = call.argument(0, "tensor") or call.argument(0, "input")
    count = call.argument(1, "num_classes", -1)
    if not isinstance(ids, Given) or not isinstance(count, int):
        return None
    key = call.key(0, "tensor")
    if ids.dtype != "int64":
        rule = f"one_hot needs {ids.name} to be int64, and it is {ids.dtype}."
        fix = amended(call, "make it an index, long", {key: ids.then("long")})
        return Explained(rule=rule, proposals=(fix,))
    least, most = ids.least, ids.most
    if least is None or most is None or (least >= 0 and (count < 0 or most < count)):
        return None
    top = f"0 to {count - 1} for num_classes={count}" if count > 0 else "not below 0"
    rule = f"one_hot needs classes {top}, and {ids.name} holds {held(ids)}."
    fixes = []
    if most >= count > 0:
        place = call.key(1, "num_classes")
        fixes.append(
            Proposal(
                said=f"take num_classes={most + 1}, for classes from 0 to {most}",
                code=call.code({place: str(most + 1)}),
                call=call.at({place: most + 1}),
            )
        )
    fixes += into_range(call, key, ids, max(count, most - least + 1))
    return Explained(rule=rule, proposals=tuple(fixes))


_OPS: dict[str, Callable[[FailedCall], Explained | None]] = {
    **dict.fromkeys(("gather", "take_along_dim"), _gather),
    **dict.fromkeys(("scatter", "scatter_add", "scatter_reduce"), _gather),
    **dict.fromkeys(("index_select", "index_add", "index_copy"), _select),
    "one_hot": _one_hot,
}
