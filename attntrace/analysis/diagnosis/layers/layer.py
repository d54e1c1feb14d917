"""Layers that read channels from one axis: bring them there and back, or build the layer anew."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from attntrace.analysis.diagnosis.call import FailedCall, Given, Key, Proposal
from attntrace.analysis.diagnosis.shapes import inverse
from attntrace.analysis.diagnosis.text import plain
from attntrace.analysis.diagnosis.writing import amended, method, written

Step = tuple[Any, ...]
"""A method's name and its arguments: ("permute", 0, 2, 3, 1)."""


def layer(call: FailedCall) -> str:
    """Return what a sentence calls the layer: "`self.norm`", or the function."""
    module = call.module
    return f"`{module.text or module.path or module.type}`" if module else plain(call.op)


def kind(call: FailedCall) -> str:
    """Return the type of the layer: "BatchNorm2d"; the op where a function was called."""
    return call.module.type if call.module else plain(call.op)


def input_key(call: FailedCall) -> Key:
    """Return how the input of a layer was given."""
    return call.key(0, "input")


def elsewhere(x: Given, size: int) -> str:
    """Return where the size that is asked for stands instead: ", which is the size of axis 1"."""
    shape = x.shape or ()
    return f", which is the size of axis {shape.index(size)}" if shape.count(size) == 1 else ""


def moved(rank: int, source: int, target: int) -> tuple[int, ...]:
    """Return the order of axes in which one has moved and the others keep theirs."""
    order = [axis for axis in range(rank) if axis != source]
    order.insert(target, source)
    return tuple(order)


def reorder(order: tuple[int, ...]) -> Step:
    """Return the method that does it: transpose where two axes change places, else permute."""
    swapped = [axis for axis, source in enumerate(order) if axis != source]
    return ("transpose", *swapped) if len(swapped) == 2 else ("permute", *order)


def through(call: FailedCall, steps: list[Step], said: str, back: Step | None = None) -> Proposal:
    """Return the call with methods called on its input, and one on what it returns."""
    tensor: Given = call[input_key(call)]
    for name, *args in steps:
        tensor = tensor.then(name, *args)
    if back is None:
        return amended(call, said, {input_key(call): tensor})
    after = method(*back)
    code = call.code({input_key(call): written(tensor)})
    whole = f"`{code}{after}`" if code else f"`{written(tensor)}` before and `{after}` after"
    return Proposal(
        said=f"{said}: {whole}",
        code=code and code + after,
        call=call.at({input_key(call): tensor}),
    )


def ordered(call: FailedCall, order: tuple[int, ...], said: str, *, back: bool) -> Proposal:
    """Return the call with the axes of its input in another order, and that undone if asked."""
    undo = reorder(inverse(order)) if back else None
    return through(call, [reorder(order)], said, undo)


def rearranged(call: FailedCall, size: int, target: int, *, back: bool = True) -> list[Proposal]:
    """Return the proposal to move the axis of that size to where the layer reads the channels."""
    x: Given = call[input_key(call)]
    axes = [axis for axis, n in enumerate(x.shape or ()) if axis != target and n == size]
    if len(axes) != 1 or (x.rank > 3 and axes == [0]):
        return []  # a batch, or height and width, that has the size by chance
    said = f"move the {size} channels of {x.name} from axis {axes[-1]} to axis {target}"
    said += " and back" if back else ""
    return [ordered(call, moved(x.rank, axes[-1], target), said, back=back)]


def assigned(call: FailedCall, made: str) -> str | None:
    """Return the line that builds the layer: "self.norm = nn.LayerNorm(14)"."""
    return f"{call.module.text} = {made}" if call.module and call.module.text else None


def rebuilt(call: FailedCall, settings: dict[str, Any], shown: str, new: FailedCall) -> Proposal:
    """Return the proposal to build the layer with other settings: `nn.LayerNorm(14)`."""
    words = ", ".join(f"{name}={value}" for name, value in settings.items())
    if call.module is None:
        return Proposal(said=f"make its weights for {words}", call=new)
    module = replace(call.module, settings={**call.module.settings, **settings})
    made = f"nn.{kind(call)}({shown})"
    return Proposal(
        said=f"build {layer(call)} with {words}: `{made}`",
        code=assigned(call, made),
        call=replace(new, module=module),
    )


def taken(call: FailedCall, place: int, name: str, value: Any, why: str = "") -> Proposal:
    """Return the call with one setting replaced: "take kernel_size=2", or build the module so."""
    key, shown = call.key(place, name), repr(value).replace("'", '"')
    said = f"build {layer(call)} with" if call.module else "take"
    return Proposal(
        said=f"{said} {name}={shown}{why}",
        code=None if call.module else call.code({key: shown}),
        call=call.at({key: value}),
    )
