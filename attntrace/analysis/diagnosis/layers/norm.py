"""Normalisations: which axes they read, and how many channels they were built for."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import permutations
from typing import Any

from attntrace.analysis.diagnosis.call import Culprit, Explained, FailedCall, Given, Proposal
from attntrace.analysis.diagnosis.layers.layer import (
    assigned,
    elsewhere,
    input_key,
    kind,
    layer,
    ordered,
    rearranged,
    rebuilt,
    through,
)
from attntrace.analysis.diagnosis.text import divided, listed, plain, sized

RANKS = {
    "BatchNorm1d": (2, 3), "BatchNorm2d": (4,), "BatchNorm3d": (5,),
    "InstanceNorm1d": (2, 3), "InstanceNorm2d": (3, 4), "InstanceNorm3d": (4, 5),
}  # fmt: skip
"""How many axes a module's input may have: it refuses others before any function runs."""
LAYOUTS = {
    3: "(batch, channels) or (batch, channels, length)",
    4: "(batch, channels, height, width)",
    5: "(batch, channels, depth, height, width)",
}
TRAILING = ("layer_norm", "rms_norm", "native_layer_norm", "LayerNorm", "RMSNorm")
GROUPED = ("group_norm", "GroupNorm")
PER_CHANNEL = ("batch_norm", "instance_norm", "SyncBatchNorm", *RANKS)


def explain(call: FailedCall) -> Explained | None:
    """Return why a normalisation failed; None if its sizes are as they must be."""
    op, x = plain(call.op), call.argument(0, "input")
    if not isinstance(x, Given) or x.shape is None:
        return None
    if op in TRAILING:
        return _trailing(call, x)
    if op in GROUPED:
        return _channels(call, x) or _groups(call, x)
    if op in PER_CHANNEL:
        return _rank(call, x) or _channels(call, x) or _single_value(call, x)
    return None


def _weights(call: FailedCall) -> list[Given]:
    """Return the layer's own vectors: weight, bias and running statistics."""
    return [tensor for key, tensor in call.tensors() if key != input_key(call)]


def _resized(call: FailedCall, *shape: int) -> FailedCall:
    """Return the call with the layer's own vectors of another shape."""
    own = {key: tensor.of_shape(*shape) for key, tensor in call.tensors()}
    own.pop(input_key(call), None)
    return call.at(own)


def _trailing(call: FailedCall, x: Given) -> Explained | None:
    """Return why a layer norm does not fit the last axes of its input."""
    wanted = call.argument(1, "normalized_shape")
    if wanted is None and call.module:
        wanted = call.module.settings.get("normalized_shape")
    if isinstance(wanted, int):
        return _bare_size(call, wanted)
    shape, wanted = x.shape or (), tuple(wanted or ())
    count = len(wanted)
    if x.rank >= count and shape[x.rank - count :] == wanted:
        return _other_weight(call, wanted)
    if count == 1 and shape:
        rule = f"{layer(call)} normalises the last axis and needs {sized(x, -1)}, "
        rule += f"to equal its normalized_shape, {wanted[0]}"
        rule += elsewhere(x, wanted[0])
    else:
        rule = f"{layer(call)} needs the last {count} sizes of {x.name}, {shape[-count:]}, "
        rule += f"to equal its normalized_shape, {wanted}"
    fixes = _last_axis(call, x, wanted[0]) if count == 1 else _last_axes(call, x, wanted)
    moved = count == 1 and bool(elsewhere(x, wanted[0]))  # then the last size is as it must be
    given = [Culprit(tensor=x, dim=x.rank - 1)] if shape and not moved else []
    own = [
        Culprit(tensor=weight, dim=weight.rank - 1, setting="normalized_shape")
        for weight in _weights(call)[:1]
        if weight.rank
    ]
    return Explained(rule=f"{rule}.", culprits=(*own, *given), proposals=tuple(fixes))


def _last_axis(call: FailedCall, x: Given, size: int) -> list[Proposal]:
    """Return what makes the last axis have the size: its channels moved, split or merged."""
    shape = x.shape or ()
    if not shape:
        return []
    fixes = rearranged(call, size, x.rank - 1)
    if fixes:
        first = x.rank >= 3 and shape[1] == size and plain(call.op) == "layer_norm"
        return [*fixes, *([_over_channels(call, x, size)] if first else [])]
    if x.rank > 1 and shape[-1] * shape[-2] == size:
        said = f"merge the last two axes, {shape[-2]}*{shape[-1]} = {size}"
        fixes.append(through(call, [("flatten", -2)], said))
    if size > 1 and shape[-1] % size == 0:
        parts = shape[-1] // size
        said = f"split the last axis first, {divided(shape[-1], parts)}"
        fixes.append(through(call, [("unflatten", -1, (parts, size))], said))
    return [_reshaped(call, shape[-1]), *fixes]


def _reshaped(call: FailedCall, *shape: int) -> Proposal:
    """Return the proposal of another normalized_shape."""
    new = _resized(call, *shape)
    if call.module is None or call.argument(1, "normalized_shape") is not None:
        new = new.at({call.key(1, "normalized_shape"): shape})
    value: Any = shape if len(shape) > 1 else shape[0]
    return rebuilt(call, {"normalized_shape": value}, str(value), new)


def _over_channels(call: FailedCall, x: Given, size: int) -> Proposal:
    """Return the proposal of the norm that reads the channels from axis 1."""
    args = (x, 1, call.argument(2, "weight"), call.argument(3, "bias"))
    said = f"use the norm that reads the {size} channels from axis 1: `nn.GroupNorm(1, {size})`"
    new = replace(call, op="group_norm", args=args, kwargs={}, module=None)
    return Proposal(said=said, code=assigned(call, f"nn.GroupNorm(1, {size})"), call=new)


def _last_axes(call: FailedCall, x: Given, wanted: tuple[int, ...]) -> list[Proposal]:
    """Return the order of the last axes that fits, and the other widths to build for."""
    shape, count = x.shape or (), len(wanted)
    if x.rank < count:
        return []
    lead = tuple(range(x.rank - count))
    orders = (
        order
        for order in permutations(range(x.rank - count, x.rank))
        if tuple(shape[axis] for axis in order) == wanted
    )
    said = f"bring the last axes of {x.name} into the order {wanted} and back"
    fixes = [ordered(call, lead + order, said, back=True) for order in [*orders][:1]]
    if shape[-1] == wanted[-1]:
        fixes.append(_reshaped(call, shape[-1]))
    return [*fixes, _reshaped(call, *shape[-count:])]


def _bare_size(call: FailedCall, size: int) -> Explained:
    """Return why the function refuses a number that the module would have taken."""
    key, name = call.key(1, "normalized_shape"), plain(call.op)
    code = call.code({key: f"({size},)"})
    fix = Proposal(said=f"write the tuple `({size},)`", code=code, call=call.at({key: (size,)}))
    rule = f"The function {name} needs normalized_shape to be a tuple, ({size},), "
    return Explained(rule=rule + f"and it is the number {size}.", proposals=(fix,))


def _other_weight(call: FailedCall, wanted: tuple[int, ...]) -> Explained | None:
    """Return why a weight that was handed over does not fit normalized_shape."""
    wrong = [weight for weight in _weights(call) if weight.shape != wanted]
    if not wrong:
        return None
    name = wrong[0].name
    rule = f"{layer(call)} needs {name}, {wrong[0].shape}, to have the shape of normalized_shape, "
    fix = Proposal(said=f"build {name} with the shape {wanted}", call=_resized(call, *wanted))
    culprits = (Culprit(tensor=wrong[0], dim=0),) if wrong[0].rank else ()
    return Explained(rule=f"{rule}{wanted}.", culprits=culprits, proposals=(fix,))


def _groups(call: FailedCall, x: Given) -> Explained | None:
    """Return why a number of groups does not divide the channels."""
    groups = call.argument(1, "num_groups")
    if x.rank < 2 or not isinstance(groups, int):
        return None
    size, key = (x.shape or ())[1], call.key(1, "num_groups")
    if groups > 0 and size % groups == 0:
        return None
    rule = f"{layer(call)} needs num_groups, {groups}, to divide the {size} channels at axis 1 of "
    rule += f"{x.name}" + (f", and {divided(size, groups)}." if groups > 0 else ".")
    near = sorted((n for n in range(1, size + 1) if size % n == 0), key=lambda n: abs(n - groups))
    fixes = [
        Proposal(
            said=f"take num_groups={count}, which divides: {divided(size, count)}",
            code=call.code({key: str(count)}),
            call=call.at({key: count}),
        )
        for count in near[:2]
    ]
    last = (x.shape or ())[-1]
    if groups > 0 and last % groups == 0 and x.rank > 2:
        fixes = [*rearranged(call, last, 1), *fixes]
    return Explained(rule=rule, culprits=(Culprit(tensor=x, dim=1),), proposals=tuple(fixes))


def _built_for(call: FailedCall) -> tuple[str, int] | None:
    """Return how many channels the layer was built for, behind the setting's name."""
    setting = "num_channels" if plain(call.op) in GROUPED else "num_features"
    if call.module and isinstance(call.module.settings.get(setting), int):
        return setting, call.module.settings[setting]
    own = [tensor for tensor in _weights(call) if tensor.rank == 1]
    return (setting, (own[0].shape or ())[0]) if own else None


def _axis(call: FailedCall, x: Given) -> int:
    """Return where the channels are: axis 1, but 0 where an instance norm gets no batch."""
    ranks = RANKS.get(kind(call), ())
    return 0 if kind(call).startswith("Instance") and x.rank == ranks[0] else 1


def _channels(call: FailedCall, x: Given) -> Explained | None:
    """Return why the axis of the channels does not have what the layer was built for."""
    built = _built_for(call)
    if built is None:
        return None
    (setting, wanted), axis, shape = built, _axis(call, x), x.shape or ()
    if x.rank <= axis:
        rule = f"{layer(call)} needs at least 2 axes, (batch, {wanted}), and {x.name}, {shape}, "
        said = f"add the batch axis that {x.name} lacks, unsqueeze(0)"
        fix = through(call, [("unsqueeze", 0)], said)
        return Explained(rule=f"{rule}has {x.rank}.", proposals=(fix,))
    if shape[axis] == wanted:
        return None
    rule = f"{layer(call)} reads the channels from axis {axis} and needs its size in {x.name}, "
    rule += f"{shape[axis]}, to equal its {setting}, {wanted}{elsewhere(x, wanted)}"
    own = [Culprit(tensor=t, dim=0, setting=setting) for t in _weights(call)[:1] if t.rank == 1]
    fixes = rearranged(call, wanted, axis)
    if not fixes:
        groups = [str(call.argument(1, "num_groups"))] if setting == "num_channels" else []
        shown = ", ".join([*groups, str(shape[axis])])
        fixes = [rebuilt(call, {setting: shape[axis]}, shown, _resized(call, shape[axis]))]
    given = [] if elsewhere(x, wanted) else [Culprit(tensor=x, dim=axis)]
    return Explained(rule=f"{rule}.", culprits=(*own, *given), proposals=tuple(fixes))


def _rank(call: FailedCall, x: Given) -> Explained | None:
    """Return why a module refuses a number of axes."""
    ranks, built = RANKS.get(kind(call)), _built_for(call)
    if ranks is None or x.rank in ranks or built is None:
        return None
    rule = f"{layer(call)}, {kind(call)}({built[1]}), needs an input of {listed(ranks, 'or')} "
    rule += f"axes, {LAYOUTS[ranks[-1]]}, and {x.name}, {x.shape}, has {x.rank}."
    return Explained(rule=rule, proposals=tuple(_other_ranks(call, x, built[1])))


def _other_ranks(call: FailedCall, x: Given, wanted: int) -> list[Proposal]:
    """Return the axis that is missing, or the module for this number of axes."""
    shape, module, fixes = x.shape or (), call.module, []
    if shape and shape[0] == wanted and x.rank + 1 in RANKS[kind(call)]:
        said = f"add the batch axis that {x.name} lacks, unsqueeze(0)"
        fixes.append(through(call, [("unsqueeze", 0)], said))
    dims = min(max(x.rank - 2, 1), 3)
    if fixes or module is None or x.rank not in RANKS[f"{kind(call)[:-2]}{dims}d"][-2:]:
        return fixes
    made = f"{kind(call)[:-2]}{dims}d"
    op = made if call.op == module.type else call.op
    new = replace(call, op=op, module=replace(module, type=made))
    said = f"build {layer(call)} as `nn.{made}({wanted})`, which takes {x.rank} axes"
    if x.rank == 2 and made.startswith("Instance"):
        return fixes
    if shape[1] == wanted:
        code = assigned(call, f"nn.{made}({wanted})")
        return [*fixes, Proposal(said=said, code=code, call=new)]
    other = rearranged(new, wanted, 1)
    return [replace(fix, said=f"{said}, and {fix.said}", code=None) for fix in other]


def _single_value(call: FailedCall, x: Given) -> Explained | None:
    """Return why training needs more than one value a channel."""
    shape, instance = x.shape or (), "instance" in plain(call.op).lower()
    if not call.argument(5, "use_input_stats" if instance else "training", instance):
        return None
    if x.rank < 2 or math.prod(shape[2:] if instance else shape[:1] + shape[2:]) != 1:
        return None
    rule = f"{layer(call)} in training needs more than 1 value per channel to take a variance of, "
    rule += f"and {x.name}, {shape}, has 1."
    fixes = []
    if not instance:
        said = "train with at least 2 samples a batch (drop_last=True in the DataLoader)"
        more = call.at({input_key(call): x.of_shape(2, *shape[1:])})
        off = call.at({call.key(5, "training"): False})
        fixes = [Proposal(said=said, call=more)]
        fixes.append(Proposal(said="call `model.eval()` to run a single sample", call=off))
    return Explained(rule=rule, culprits=(Culprit(tensor=x, dim=0),), proposals=tuple(fixes))
