"""Windows that slide over an input: pooling, and unfold and fold with their blocks."""

from __future__ import annotations

import re
from math import prod
from typing import Any

from attntrace.analysis.diagnosis.call import Culprit, Explained, FailedCall, Given, Proposal
from attntrace.analysis.diagnosis.layers.layer import input_key, layer, taken, through
from attntrace.analysis.diagnosis.text import divided, listed, plain, times
from attntrace.analysis.diagnosis.writing import instead

SIDES = {1: ("length",), 2: ("height", "width"), 3: ("depth", "height", "width")}
_POOL = re.compile(r"(adaptive_)?(max|avg|lp)_pool([123])d(_with_indices)?")
Sides = tuple[int, ...]


def explain(call: FailedCall) -> Explained | None:
    """Return why a pooling, an unfold or a fold failed."""
    op, x = plain(call.op), call.argument(0, "input")
    if not isinstance(x, Given) or x.shape is None:
        return None
    found = _POOL.fullmatch(op)
    if found:
        dims = int(found[3])
        return _rank(call, x, dims) or (_adaptive if found[1] else _pool)(call, x, dims)
    if op in ("unfold", "im2col") and not is_method(call):
        return _unfold(call, x)
    return _fold(call, x) if op in ("fold", "col2im") else None


def each(value: Any, dims: int) -> Sides | None:
    """Return a setting for each side: 3 is (3, 3); None for what is no size."""
    if isinstance(value, int):
        return (value,) * dims
    if not isinstance(value, (tuple, list)) or not all(isinstance(n, int) for n in value):
        return None
    return tuple(value) * dims if len(value) == 1 else tuple(value) if len(value) == dims else None


def is_method(call: FailedCall) -> bool:
    """Return whether `unfold` is the tensor's, (dim, size, step), and not that of the windows."""
    begin, end = call.spans.get(0, (0, 0))
    if call.module or call.kwargs.keys() & {"kernel_size", "dilation", "padding"}:
        return False
    written = call.text[end:].lstrip(" )").startswith(".unfold")
    return written if call.text and end > begin else len(call.args) + len(call.kwargs) == 4


def too_small(
    call: FailedCall, x: Given, kernel: Sides, pads: Sides, dilation: Sides
) -> Explained | None:
    """Return why a kernel reaches further than the padded input, and the input that it fits in."""
    dims = len(kernel)
    sizes = (x.shape or ())[x.rank - dims :]
    reach = tuple(d * (k - 1) + 1 for d, k in zip(dilation, kernel, strict=True))
    wide = tuple(n + 2 * p for n, p in zip(sizes, pads, strict=True))
    wrong = [side for side in range(dims) if wide[side] < reach[side]]
    if not wrong:
        return None
    side = wrong[-1]
    made = f" = {sizes[side]} + 2 * {pads[side]} padding" if pads[side] else ""
    spread = f" = {dilation[side]} * ({kernel[side]} - 1) + 1" if dilation[side] > 1 else ""
    rule = f"{layer(call)} has a kernel of {reach[side]}{spread}, which does not fit in the "
    rule += f"{SIDES[dims][side]} of {x.name}, {wide[side]}{made}."
    least = tuple(max(n, r - 2 * p) for n, r, p in zip(sizes, reach, pads, strict=True))
    bigger = call.at({input_key(call): x.of_shape(*(x.shape or ())[: x.rank - dims], *least)})
    said = f"feed a larger input: {x.name} needs {listed(SIDES[dims])} of at least "
    fix = Proposal(said=said + f"{times(least)}, or fewer strides before", call=bigger)
    culprits = tuple(Culprit(tensor=x, dim=x.rank - dims + side) for side in wrong)
    return Explained(rule=rule, culprits=culprits, proposals=(fix,))


def _rank(call: FailedCall, x: Given, dims: int) -> Explained | None:
    shape, name = x.shape or (), x.name
    if x.rank in (dims + 1, dims + 2):
        return None
    axes = ", ".join(["channels", *SIDES[dims]])
    rule = (
        f"{layer(call)} takes {dims + 2} axes, (batch, {axes}), or {dims + 1} without the batch, "
    )
    rule += f"and {name}, {shape}, has {x.rank}."
    fixes = []
    if x.rank == dims:
        said = f"add the axis that {name} lacks, unsqueeze(0)"
        fixes.append(through(call, [("unsqueeze", 0)], said, ("squeeze", 0)))
    if dims == 1 and x.rank == 4:
        said = f"flatten height and width of {name}, {times(shape[2:])}"
        fixes.append(through(call, [("flatten", 2)], said))
        said = f"pool over both sides with {_renamed(call, 2)}"
        op = re.sub("1d", "2d", plain(call.op))
        fixes.append(instead(call, op, (x, *call.args[1:]), said))
    if x.rank == dims + 3:
        said = f"fold axis 1 of {name} into the batch, {times(shape[:2])}, and unfold it after"
        fixes.append(through(call, [("flatten", 0, 1)], said, ("unflatten", 0, shape[:2])))
    return Explained(rule=rule, proposals=tuple(fixes))


def _renamed(call: FailedCall, dims: int) -> str:
    name = call.module.type if call.module else plain(call.op)
    return f"`{'nn' if call.module else 'F'}.{re.sub(r'[123]d$', f'{dims}d', name)}`"


def _pool(call: FailedCall, x: Given, dims: int) -> Explained | None:
    kernel = each(call.argument(1, "kernel_size"), dims)
    pads = each(call.argument(3, "padding", 0), dims)
    spread = call.argument(4, "dilation", 1) if plain(call.op).startswith("max") else 1
    dilation = each(spread, dims)
    if kernel is None or pads is None or dilation is None or not all(kernel):
        return None
    if any(2 * p > k for p, k in zip(pads, kernel, strict=True)):
        rule = f"{layer(call)} needs padding, {pads[0]}, to be at most half of kernel_size, "
        fixed = tuple(k // 2 for k in kernel)
        fix = taken(call, 3, "padding", fixed[0], f", half of {kernel[0]}")
        return Explained(rule=f"{rule}{kernel[0]}.", proposals=(fix,))
    found = too_small(call, x, kernel, pads, dilation)
    if found is None:
        return None
    sizes = (x.shape or ())[-dims:]
    fits = tuple(min(k, n + p) for k, n, p in zip(kernel, sizes, pads, strict=True))
    shown: Any = fits[0] if len(set(fits)) == 1 else fits
    smaller = taken(call, 1, "kernel_size", shown, f", which is left of {x.name}")
    word = "avg" if "avg" in plain(call.op) else "max"
    said = f"pool whatever is left to 1: `nn.Adaptive{word.title()}Pool{dims}d(1)`"
    one = instead(call, f"adaptive_{word}_pool{dims}d", (x, 1), said)
    return Explained(
        rule=found.rule,
        culprits=found.culprits,
        proposals=(smaller, one, *found.proposals),
    )


def _adaptive(call: FailedCall, x: Given, dims: int) -> Explained | None:
    size = call.argument(1, "output_size")
    if not isinstance(size, (tuple, list)) or len(size) == dims:
        return None
    fix = taken(call, 1, "output_size", tuple(size)[-dims:])
    rule = f"{layer(call)} makes {len(SIDES[dims])} sides of {x.name}, {listed(SIDES[dims])}, and "
    rule += "output_size "
    return Explained(rule=f"{rule}{tuple(size)} has {len(size)}.", proposals=(fix,))


def _unfold(call: FailedCall, x: Given) -> Explained | None:
    settings = [call.argument(1, "kernel_size")]
    settings += [call.argument(2, "dilation", 1), call.argument(3, "padding", 0)]
    kernel, dilation, pads = (each(setting, 2) for setting in settings)
    if kernel is None or dilation is None or pads is None:
        return None
    return _rank(call, x, 2) or too_small(call, x, kernel, pads, dilation)


def _fold(call: FailedCall, x: Given) -> Explained | None:
    names = ("output_size", "kernel_size", "dilation", "padding", "stride")
    defaults = (None, None, 1, 0, 1)
    given = (call.argument(place + 1, name, defaults[place]) for place, name in enumerate(names))
    parts = [each(value, 2) for value in given]
    shape, name = x.shape or (), x.name
    if any(part is None for part in parts) or x.rank not in (2, 3):
        return None
    size, kernel, dilation, pads, stride = (part or () for part in parts)
    steps = [
        (n + 2 * p - d * (k - 1) - 1) // s + 1
        for n, k, d, p, s in zip(size, kernel, dilation, pads, stride, strict=True)
    ]
    block, blocks = prod(kernel), prod(steps)
    if shape[-2] % block == 0 and shape[-1] == blocks:
        return None
    culprits = [Culprit(tensor=x, dim=x.rank - 1)]
    if shape[-2] % block == 0:
        rule = (
            f"{layer(call)} builds {size} of {times(steps)} = {blocks} blocks and needs the last "
        )
        rule += f"size of {name}, {shape[-1]}, to equal {blocks}."
    else:
        rule = f"{layer(call)} reads axis {x.rank - 2} of {name}, {shape[-2]}, as channels * "
        rule += f"{times(kernel)}, and {divided(shape[-2], block)}."
        culprits = [Culprit(tensor=x, dim=x.rank - 2)]
    fixes = []
    if shape[-1] % block == 0 and shape[-2] == blocks:
        said = f"bring the {blocks} blocks to the last axis of {name}"
        fixes.append(through(call, [("transpose", x.rank - 2, x.rank - 1)], said))
    more = shape[-1] - blocks
    if shape[-2] % block == 0 and 0 < more < 3:
        said = f"drop the class token, {more} in front of the {blocks} blocks"
        fixes.append(through(call, [("narrow", -1, more, blocks)], said))
    side = round(shape[-1] ** 0.5)
    if shape[-2] % block == 0 and side * side == shape[-1]:
        fitting = tuple(
            (side - 1) * s - 2 * p + d * (k - 1) + 1
            for k, d, p, s in zip(kernel, dilation, pads, stride, strict=True)
        )
        why = f", which has {side}*{side} = {shape[-1]} blocks"
        fixes.append(taken(call, 1, "output_size", fitting, why))
    if shape[-2] % block and not fixes:
        more = shape[-2] + -shape[-2] % block
        said = f"let the layer before give {divided(more, block)} channels"
        wider = x.of_shape(*shape[:-2], more, shape[-1])
        fixes.append(Proposal(said=said, call=call.at({input_key(call): wider})))
    return Explained(rule=rule, culprits=tuple(culprits), proposals=tuple(fixes))
