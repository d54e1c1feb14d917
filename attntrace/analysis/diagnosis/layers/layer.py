"""Layers that read channels from one axis: bring them there and back, or build the layer anew."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from attntrace.analysis.diagnosis.call import FailedCall, Given, Key, Proposal
from attntrace.analysis.diagnosis.phrases import amended
from attntrace.analysis.diagnosis.sizes import inverse
from attntrace.analysis.diagnosis.words import method, plain, wrapped

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
        return fixed(call, {input_key(call): tensor}, said)
    after = method(*back)
    code = call.code({input_key(call): written(tensor)})
    whole = f"`{code}{after}`" if code else f"`{written(tensor)}` before and `{after}` after"
    return Proposal(
        said=f"{said}: {whole}",
        code=code and code + after,
        call=call.at({input_key(call): tensor}),
    )


def written(tensor: Given) -> str:
    """Return the code of a tensor after its steps, as people write it: "x[:, :64]", "ids - 1"."""
    text = tensor.name
    for name, args in tensor.steps:
        text = (
            _IDIOMS[name](text, *args) if name in _IDIOMS else wrapped(text) + method(name, *args)
        )
    return text


def _part(text: str, dim: int, begin: int, size: int) -> str:
    """Return a part of an axis as an index: "x[:, :64]"."""
    before = "..., " if dim < 0 else ":, " * dim
    return f"{wrapped(text)}[{before}{begin or ''}:{begin + size}]"


_IDIOMS: dict[str, Callable[..., str]] = {
    "narrow": _part,
    "add": lambda text, number: f"{text} + {number}",
    "sub": lambda text, number: f"{text} - {number}",
    "mean": lambda text, dim, _: f"{wrapped(text)}.mean({dim}, keepdim=True)",
}
"""How some methods are written instead."""


def fixed(call: FailedCall, changes: Mapping[Key, Given], said: str) -> Proposal:
    """Return the proposal of the same call with tensors that went through more steps."""
    return amended(call, changes, said, {key: written(one) for key, one in changes.items()})


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


def instead(call: FailedCall, op: str, args: tuple[Any, ...], said: str) -> Proposal:
    """Return another function of torch's in place of the one that failed."""
    return Proposal(said=said, call=replace(call, op=op, args=args, kwargs={}, module=None))
