"""Pictures made larger or smaller: interpolate, pad, pixel_shuffle, grid_sample, affine_grid."""

from __future__ import annotations

from collections.abc import Callable
from math import isqrt, prod
from typing import Any

from attntrace.analysis.diagnosis.call import Culprit, Explained, FailedCall, Given, Proposal
from attntrace.analysis.diagnosis.layers.layer import input_key, layer, taken, through
from attntrace.analysis.diagnosis.text import counted, divided, plain
from attntrace.analysis.diagnosis.writing import amended

_MODES = {3: "linear", 4: "bilinear", 5: "trilinear"}
_RANKS = {"linear": 3, "bilinear": 4, "bicubic": 4, "trilinear": 5}


def explain(call: FailedCall) -> Explained | None:
    """Return why the resizing of a picture failed."""
    x, explain_op = call.argument(0, "input"), _OPS.get(plain(call.op))
    if explain_op is None or not isinstance(x, Given) or x.shape is None:
        return None
    return explain_op(call, x)


def _interpolate(call: FailedCall, x: Given) -> Explained | None:
    size, factor = call.argument(1, "size"), call.argument(2, "scale_factor")
    mode = call.argument(3, "mode", "nearest")
    needs = _RANKS.get(mode)
    if x.rank not in (3, 4, 5) or needs not in (None, x.rank):
        return _wrong_rank(call, x, mode, needs)
    if size is None and factor is None:
        rule = f"{layer(call)} needs a size or a scale_factor, and got neither."
        doubled = taken(call, 2, "scale_factor", 2, ", twice as large")
        return Explained(rule=rule, proposals=(doubled,))
    name, given, place = ("size", size, 1) if size is not None else ("scale_factor", factor, 2)
    sides = x.rank - 2
    if isinstance(given, (tuple, list)) and len(given) != sides:
        rule = f"{layer(call)} resizes {counted(sides, 'axis')} of {x.name}, {x.shape}, behind batch and "
        rule += f"channels, and {name}={tuple(given)} has {len(given)}."
        fixes = []
        if len(given) > sides:
            cut = tuple(given)[-sides:]
            fixes.append(taken(call, place, name, cut))
        fixes = [*_as_picture(call, x, len(given) + 2), *fixes]
        return Explained(rule=rule, proposals=tuple(fixes))
    if "float" in x.dtype or x.dtype == "uint8":
        return None
    rule = f"{layer(call)} needs numbers with a point, and {x.name} is {x.dtype}."
    said = f"make {x.name} a float tensor and turn the result back"
    fix = through(call, [("float",)], said, ("long",))
    return Explained(rule=rule, proposals=(fix,))


def _wrong_rank(call: FailedCall, x: Given, mode: Any, needs: int | None) -> Explained:
    wanted = str(needs) if needs else "3, 4 or 5"
    rule = f"{layer(call)} in mode {mode} takes {wanted} axes, (batch, channels, ...), and "
    rule += f"{x.name}, {x.shape}, has {x.rank}."
    fixes = _as_picture(call, x, needs or x.rank + 1)
    other = _MODES.get(x.rank)
    if other and needs:
        shown = "nearest" if mode == "nearest" else other
        fixes.append(taken(call, 3, "mode", shown, f", for {x.rank} axes"))
    return Explained(rule=rule, proposals=tuple(fixes))


def _as_picture(call: FailedCall, x: Given, rank: int) -> list[Proposal]:
    """Return tokens (batch, side*side, channels) as a picture, or the batch axis that is missing."""
    shape, fixes = x.shape or (), []
    if x.rank == 3 and rank == 4:
        side = isqrt(shape[1])
        if side > 1 and side * side == shape[1]:
            said = f"lay the {shape[1]} = {side}*{side} tokens of {x.name} out as a picture first"
            steps = [("unflatten", 1, (side, side)), ("permute", 0, 3, 1, 2)]
            fixes.append(through(call, steps, said))
    if x.rank + 1 == rank:
        said = f"add the batch axis that {x.name} lacks, unsqueeze(0), and take it off after"
        fixes.append(through(call, [("unsqueeze", 0)], said, ("squeeze", 0)))
    if x.rank + 2 == rank:
        said = f"add batch and channels to {x.name}"
        steps = [("unsqueeze", 0), ("unsqueeze", 0)]
        fixes.append(through(call, steps, said, ("squeeze",)))
    if x.rank == rank + 1:
        said = f"fold axis 1 of {x.name} into the batch and unfold it after"
        fixes.append(through(call, [("flatten", 0, 1)], said, ("unflatten", 0, shape[:2])))
    return fixes


def _pad(call: FailedCall, x: Given) -> Explained | None:
    pads, mode = call.argument(1, "pad"), call.argument(2, "mode", "constant")
    if not isinstance(pads, (tuple, list)) or not all(isinstance(n, int) for n in pads):
        return None
    pads = tuple(pads)
    if len(pads) % 2 or len(pads) > 2 * x.rank:
        rule = "`pad` takes two numbers an axis, before and behind, from the last axis on: at most "
        rule += f"{2 * x.rank} for the {x.rank} axes of {x.name}, {x.shape}, and {pads} has "
        cut = pads[: min(len(pads) - len(pads) % 2, 2 * x.rank)]
        fixes = [taken(call, 1, "pad", cut)] if cut else []
        return Explained(rule=f"{rule}{len(pads)}.", proposals=tuple(fixes))
    if mode != "constant" and x.rank not in (len(pads) // 2 + 1, len(pads) // 2 + 2):
        return _pad_rank(call, x, pads, mode)
    return _pad_size(call, x, pads, mode)


def _pad_rank(call: FailedCall, x: Given, pads: tuple[int, ...], mode: str) -> Explained:
    count = len(pads) // 2
    rule = f"{layer(call)} in mode {mode} with {len(pads)} numbers pads the last {count} of "
    rule += f"{count + 1} or {count + 2} axes, and {x.name}, {x.shape}, has {x.rank}."
    fixes = []
    sides = max(x.rank - 2, 1)
    if sides > count and sides <= 3:
        full = (*pads, *(0,) * (2 * (sides - count)))
        fixes.append(taken(call, 1, "pad", full, ", with 0 for the other sides"))
    if x.rank == count:
        said = f"add the axis that {x.name} lacks, unsqueeze(0)"
        fixes.append(through(call, [("unsqueeze", 0)], said, ("squeeze", 0)))
    fixes.append(taken(call, 2, "mode", "constant", ", which pads with zeros"))
    return Explained(rule=rule, proposals=tuple(fixes))


def _pad_size(call: FailedCall, x: Given, pads: tuple[int, ...], mode: str) -> Explained | None:
    most = {"reflect": -1, "circular": 0}.get(mode)
    shape = x.shape or ()
    for place, pad in enumerate(pads):
        dim = x.rank - 1 - place // 2
        size = shape[dim]
        if most is not None and pad > size + most:
            what = "less than" if most else "at most"
            rule = f"{layer(call)} in mode {mode} needs the padding, {pad}, to be {what} the size "
            rule += f"of axis {dim} of {x.name}, {size}."
            least = tuple(min(n, shape[x.rank - 1 - at // 2] + most) for at, n in enumerate(pads))
            fixes = [
                taken(call, 1, "pad", least, f", at most {size + most}"),
                taken(
                    call, 2, "mode", "replicate", ", which repeats the border as often as needed"
                ),
            ]
            culprits = (Culprit(tensor=x, dim=dim),)
            return Explained(rule=rule, culprits=culprits, proposals=tuple(fixes))
        before = pads[place - place % 2] + pads[place - place % 2 + 1]
        if size + before < 0:
            rule = f"{layer(call)} takes {-before} off axis {dim} of {x.name}, which has {size}."
            return Explained(rule=rule, culprits=(Culprit(tensor=x, dim=dim),))
    return None


def _shuffle(call: FailedCall, x: Given) -> Explained | None:
    factor = call.argument(1, "upscale_factor")
    shape = x.shape or ()
    if not isinstance(factor, int) or factor < 1 or x.rank < 3:
        return _few_axes(call, x)
    size, square = shape[-3], factor * factor
    if size % square == 0:
        return None
    rule = (
        f"{layer(call)} needs upscale_factor squared, {factor}*{factor} = {square}, to divide the "
    )
    rule += f"{size} channels of {x.name}, and {divided(size, square)}."
    fixes = [
        taken(call, 1, "upscale_factor", other, f", {other}*{other} = {other * other}")
        for other in range(isqrt(size), 1, -1)
        if size % (other * other) == 0
    ][:1]
    more = size + -size % square
    said = f"let the layer before give {more} = {more // square}*{square} channels"
    wider = x.of_shape(*shape[:-3], more, *shape[-2:])
    fixes.insert(0, Proposal(said=said, call=call.at({input_key(call): wider})))
    culprits = (Culprit(tensor=x, dim=x.rank - 3),)
    return Explained(rule=rule, culprits=culprits, proposals=tuple(fixes))


def _unshuffle(call: FailedCall, x: Given) -> Explained | None:
    factor = call.argument(1, "downscale_factor")
    if not isinstance(factor, int) or factor < 1 or x.rank < 3:
        return _few_axes(call, x)
    height, width = (x.shape or ())[-2:]
    wrong = height if height % factor else width
    if wrong % factor == 0:
        return None
    rule = f"{layer(call)} needs downscale_factor, {factor}, to divide height and width of "
    rule += f"{x.name}, {height} and {width}: {divided(wrong, factor)}."
    more = (-height % factor, -width % factor)
    wider = x.of_shape(*(x.shape or ())[:-2], height + more[0], width + more[1])
    said = f"pad {x.name} first: `F.pad({x.name}, (0, {more[1]}, 0, {more[0]}))`"
    fix = Proposal(said=said, call=call.at({input_key(call): wider}))
    culprit = Culprit(tensor=x, dim=x.rank - (2 if wrong == height else 1))
    return Explained(rule=rule, culprits=(culprit,), proposals=(fix,))


def _few_axes(call: FailedCall, x: Given) -> Explained | None:
    if x.rank >= 3:
        return None
    rule = f"{layer(call)} takes (batch, channels, height, width), and {x.name}, {x.shape}, has "
    return Explained(rule=f"{rule}{x.rank} axes.")


def _channel_shuffle(call: FailedCall, x: Given) -> Explained | None:
    groups = call.argument(1, "groups")
    if not isinstance(groups, int) or groups < 1 or x.rank < 2:
        return None
    size = (x.shape or ())[1]
    rule = f"{layer(call)} needs groups, {groups}, to divide the {size} channels of {x.name}: "
    near = [n for n in range(1, size + 1) if size % n == 0]
    best = min(near, key=lambda n: abs(n - groups))
    fix = taken(call, 1, "groups", best, f", {divided(size, best)}")
    culprits = (Culprit(tensor=x, dim=1),)
    return Explained(rule=f"{rule}{divided(size, groups)}.", culprits=culprits, proposals=(fix,))


def _affine_grid(call: FailedCall, theta: Given) -> Explained | None:
    """Return why numbers are no matrices of a size."""
    size = call.argument(1, "size")
    if not isinstance(size, (tuple, list)) or len(size) not in (4, 5):
        return None
    wanted = (size[0], len(size) - 2, len(size) - 1)
    if theta.shape == wanted:
        return None
    rule = f"affine_grid takes a matrix of {wanted[1]}*{wanted[2]} for each sample, {wanted}, and "
    rule += f"{theta.name} is {theta.shape}."
    fixes = []
    if prod(theta.shape or ()) == prod(wanted):
        said = f"make the {prod(wanted[1:])} numbers of each a matrix"
        matrices = theta.then("view", -1, *wanted[1:])
        fixes.append(amended(call, said, {call.key(0, "theta"): matrices}))
    culprits = tuple(Culprit(tensor=theta, dim=dim) for dim in range(theta.rank))[-1:]
    return Explained(rule=rule, culprits=culprits, proposals=tuple(fixes))


def _grid_sample(call: FailedCall, x: Given) -> Explained | None:
    grid, shape = call.argument(1, "grid"), x.shape or ()
    if not isinstance(grid, Given) or not grid.shape:
        return None
    key, points = call.key(1, "grid"), grid.shape
    if x.rank == grid.rank and points[-1] == x.rank - 2 and points[0] != shape[0]:
        rule = f"grid_sample needs the batch of {grid.name}, {points[0]}, to equal that of "
        rule += f"{x.name}, {shape[0]}."
        wide = grid.then("expand", shape[0], *(-1,) * (grid.rank - 1))
        fix = amended(call, "give every picture the same grid", {key: wide})
        return Explained(rule=rule, proposals=(fix,) if points[0] == 1 else ())
    if points[-1] == x.rank - 2:
        return None
    rule = f"grid_sample reads {x.rank - 2} coordinates from the last axis of {grid.name}, which "
    rule += f"has {points[-1]} in {points}."
    fixes = []
    if grid.rank == 4 and points[1] == 2:
        last = grid.then("permute", 0, 2, 3, 1)
        fixes.append(amended(call, "bring the coordinates to the end", {key: last}))
    culprits = (Culprit(tensor=grid, dim=grid.rank - 1),)
    return Explained(rule=rule, culprits=culprits, proposals=tuple(fixes))


_OPS: dict[str, Callable[[FailedCall, Given], Explained | None]] = {
    "interpolate": _interpolate,
    "pad": _pad,
    "pixel_shuffle": _shuffle,
    "pixel_unshuffle": _unshuffle,
    "channel_shuffle": _channel_shuffle,
    "grid_sample": _grid_sample,
    "affine_grid": _affine_grid,
}
