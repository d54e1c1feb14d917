"""Losses: where the classes stand, what targets hold, and sizes that must be equal."""

from __future__ import annotations

import math

from attntrace.analysis.diagnosis.call import Culprit, Explained, FailedCall, Given, Proposal
from attntrace.analysis.diagnosis.layers.classes import Classes
from attntrace.analysis.diagnosis.layers.layer import layer
from attntrace.analysis.diagnosis.shapes import broadcast
from attntrace.analysis.diagnosis.text import plain
from attntrace.analysis.diagnosis.writing import amended, instead

_CLASSES = ("cross_entropy", "nll_loss", "cross_entropy_loss", "nll_loss2d", "nll_loss_nd")
_EQUAL = ("binary_cross_entropy", "binary_cross_entropy_with_logits")
_ALIKE = (
    "mse_loss", "l1_loss", "smooth_l1_loss", "huber_loss", "kl_div", "poisson_nll_loss",
    "soft_margin_loss", "multilabel_soft_margin_loss", *_EQUAL,
)  # fmt: skip
_PAIRS = ("cosine_embedding_loss", "margin_ranking_loss", "triplet_margin_loss")


def explain(call: FailedCall) -> Explained | None:
    """Return why a loss failed."""
    op = plain(call.op)
    x, target = call.argument(0, "input"), call.argument(1, "target")
    if op in _PAIRS:
        return _pairs(call, op)
    if not isinstance(x, Given) or not isinstance(target, Given):
        return None
    if x.shape is None or target.shape is None:
        return None
    if op in _CLASSES:
        return Classes(call, x, target).explained() if x.rank else None
    return _alike(call, x, target) if op in _ALIKE else None


def _alike(call: FailedCall, x: Given, target: Given) -> Explained | None:
    """Return why two tensors are not of one shape or one kind of number."""
    one, other = x.shape or (), target.shape or ()
    strict = plain(call.op) in _EQUAL
    if one != other if strict else broadcast(one, other) is None:
        rule = f"{layer(call)} needs {target.name}, {other}, to have the shape of {x.name}, {one}"
        at = next(
            (n for n in range(-1, -min(len(one), len(other)) - 1, -1) if one[n] != other[n]), 0
        )
        rule += f": {one[at]} is not {other[at]}." if at and len(one) == len(other) else "."
        culprits = [Culprit(tensor=t, dim=t.rank + at) for t in (x, target) if at and t.rank]
        fixes = _reshaped(call, x, target)
        return Explained(rule=rule, culprits=tuple(culprits), proposals=tuple(fixes))
    return _weighted(call, x, strict=strict) or _whole(call, x, target)


def _reshaped(call: FailedCall, x: Given, target: Given) -> list[Proposal]:
    """Return one of the two with an axis more or less, or with the other's order."""
    one, other, fixes = x.shape or (), target.shape or (), []
    keys = call.key(0, "input"), call.key(1, "target")
    if one == (*other, 1):
        said = f"take the last axis, of size 1, off {x.name}"
        fixes.append(amended(call, said, {keys[0]: x.then("squeeze", -1)}))
        said = f"give {target.name} one"
        fixes.append(amended(call, said, {keys[1]: target.then("unsqueeze", -1)}))
    elif other == (*one, 1):
        said = f"take the last axis, of size 1, off {target.name}"
        fixes.append(amended(call, said, {keys[1]: target.then("squeeze", -1)}))
    elif x.rank == target.rank > 1 and other == (*one[:-2], one[-1], one[-2]):
        said = f"swap the last two axes of {target.name}"
        swapped = target.then("transpose", -2, -1)
        fixes.append(amended(call, said, {keys[1]: swapped}))
    elif math.prod(one) == math.prod(other):
        said = f"give {target.name} the shape of {x.name}, {one}"
        fixes.append(amended(call, said, {keys[1]: target.then("reshape", one)}))
    elif "int" in target.dtype and one[:-1] == other:
        said = f"{target.name} holds classes, one of {one[-1]} for each row: "
        said += f"`F.cross_entropy({x.name}, {target.name})`"
        fixes += [instead(call, "cross_entropy", (x, target), said)] if x.rank == 2 else []
        said = f"make rows of them: `F.one_hot({target.name}, {one[-1]}).float()`"
        rows = target.of_shape(*one).then("float")
        fixes.append(Proposal(said=said, call=call.at({keys[1]: rows})))
    elif x.rank == target.rank and one[:-1] == other[:-1]:
        said = f"let the layer that makes {x.name} give {other[-1]} numbers, not {one[-1]}"
        fixes.append(Proposal(said=said, call=call.at({keys[0]: x.of_shape(*other)})))
    elif x.rank == target.rank and one[1:] == other[1:]:
        place, longer = (0, x) if one[0] > other[0] else (1, target)
        least = min(one[0], other[0])
        said = f"take as many rows of {longer.name} as the other has, {least}"
        fixes.append(amended(call, said, {keys[place]: longer.then("narrow", 0, 0, least)}))
    return fixes


def _weighted(call: FailedCall, x: Given, *, strict: bool) -> Explained | None:
    """Return why the weights of a binary loss do not spread over its input."""
    given = [tensor for key, tensor in call.tensors() if key not in (0, 1, "input", "target")]
    shape = x.shape or ()
    wrong = [t for t in given if broadcast(t.shape or (), shape) != shape]
    if not strict or not wrong:
        return None
    rule = (
        f"{layer(call)} needs {wrong[0].name}, {wrong[0].shape}, to spread over {x.name}, {shape}"
    )
    key = next(key for key, tensor in call.tensors() if tensor is wrong[0])
    size = shape[-1] if shape else 1
    said = f"make {wrong[0].name} of {size} numbers, one for each of the last axis of {x.name}"
    fix = Proposal(said=said, call=call.at({key: wrong[0].of_shape(size)}))
    return Explained(rule=f"{rule}.", proposals=(fix,))


def _whole(call: FailedCall, x: Given, target: Given) -> Explained | None:
    """Return why whole numbers cannot be compared with what a model gives."""
    for place, tensor in ((1, target), (0, x)):
        if "float" not in tensor.dtype:
            rule = f"{layer(call)} compares numbers with a point, and {tensor.name} is "
            key = call.key(place, ("input", "target")[place])
            fix = amended(call, f"make {tensor.name} float", {key: tensor.then("float")})
            return Explained(rule=f"{rule}{tensor.dtype}.", proposals=(fix,))
    if plain(call.op) != "binary_cross_entropy" or x.dtype != target.dtype:
        return None
    rule = (
        f"{layer(call)} needs probabilities: all of {x.name} and of {target.name} between 0 and 1."
    )
    said = f"give it logits instead: `F.binary_cross_entropy_with_logits({x.name}, {target.name})`"
    fixes = [instead(call, "binary_cross_entropy_with_logits", (x, target), said)]
    fixes.append(amended(call, "squash the logits", {call.key(0, "input"): x.then("sigmoid")}))
    return Explained(rule=rule, proposals=tuple(fixes))


def _pairs(call: FailedCall, op: str) -> Explained | None:
    """Return why embeddings that are compared, and their labels, are of different sizes."""
    three = [tensor for _, tensor in call.tensors()][:3]
    if len(three) < 3 or any(tensor.shape is None for tensor in three):
        return None
    keys = [key for key, _ in call.tensors()][:3]
    a, b, last = three
    shapes = a.shape or (), b.shape or (), last.shape or ()
    alike = three if op == "triplet_margin_loss" else three[:2]
    common: tuple[int, ...] | None = ()
    for tensor in alike:
        common = None if common is None else broadcast(common, tensor.shape or ())
    if common is None:
        names = ", ".join(f"{t.name} {t.shape}" for t in alike)
        rule = f"{layer(call)} compares embeddings of one shape, and they are {names}."
        odd = next(n for n in range(1, 3) if shapes[n] != shapes[0])
        said = f"let the layer that makes {three[odd].name} give {shapes[0]}"
        fix = Proposal(said=said, call=call.at({keys[odd]: three[odd].of_shape(*shapes[0])}))
        culprits = [Culprit(tensor=t, dim=t.rank - 1) for t in (three[odd], a) if t.rank]
        return Explained(rule=rule, culprits=tuple(culprits), proposals=(fix,))
    rows = shapes[0][:-1] if op == "cosine_embedding_loss" else shapes[0]
    spread = len(shapes[2]) == len(rows) and broadcast(shapes[2], rows) is not None
    if op == "triplet_margin_loss" or spread:
        return None
    rule = f"{layer(call)} needs {last.name}, {shapes[2]}, to be {rows}, one label for each row of "
    fixes = []
    if math.prod(shapes[2]) == math.prod(rows):
        name, args = ("squeeze", (-1,)) if shapes[2] == (*rows, 1) else ("reshape", (rows,))
        fixes = [amended(call, f"bring {last.name} to {rows}", {keys[2]: last.then(name, *args)})]
    return Explained(rule=f"{rule}{a.name}, {shapes[0]}.", proposals=tuple(fixes))
