"""Tensors of one call on several devices, and values asked of where there are none."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace

from attntrace.analysis.diagnosis.call import Explained, FailedCall, Given, Proposal, given_in
from attntrace.analysis.diagnosis.kinds.dtype_rules import bare
from attntrace.analysis.diagnosis.text import listed, names_of, ticked
from attntrace.analysis.diagnosis.writing import changed, recast, wrapped, written

ACROSS = frozenset({"copy", "copy_", "to", "setitem", "cpu", "cuda", "type_as", "to_dense"})
"""They take tensors of several devices."""
VALUES = frozenset({"item", "tolist", "numpy", "bool", "nonzero", "int", "float", "index",
                    "array", "equal", "cpu"})  # fmt: skip
"""They read values, which a tensor on meta has none of."""
LENGTHS = frozenset({"pack_padded_sequence", "_pack_padded_sequence"})
_MAKES = re.compile(
    r"(torch\.(?:zeros|ones|arange|full|tensor|eye|linspace|empty|rand\w*)\()([^()]*)\)"
)
"""An expression that makes a tensor, without a device."""
_GENERATOR = re.compile(r"Expected a '(\w+)' device type for generator but found '(\w+)'")


def explain(call: FailedCall) -> Explained | None:
    """Return which tensor is on another device than the others."""
    return next((found for check in CHECKS if (found := check(call)) is not None), None)


def _lengths(call: FailedCall) -> Explained | None:
    """Return that the lengths of a packed sequence are read on the CPU."""
    lengths = call.argument(1, "lengths")
    if call.op not in LENGTHS or not isinstance(lengths, Given) or lengths.device == "cpu":
        return None
    rule = f"`{call.op}` reads lengths on the cpu, and {lengths.name} is on {lengths.device}."
    moved = lengths.then("cpu")
    said = f"move them: `{written(moved)}`"
    return Explained(rule=rule, proposals=(changed(call, said, {call.key(1, "lengths"): moved}),))


def _indexed(call: FailedCall) -> Explained | None:
    """Return that an index is on a device that is neither the CPU nor that of its tensor."""
    if bare(call.op) not in {"getitem", "setitem"} or not isinstance(call[0], Given):
        return None
    x, indices = call[0], list(given_in(call[1]))
    strays = [one for one in indices if one.device not in {"cpu", x.device}]
    if not strays:
        return None
    rule = (
        f"An index must be on the cpu or where the tensor is, and {strays[0].name} is on "
        f"{strays[0].device} where {x.name} is on {x.device}."
    )
    return Explained(rule=rule, proposals=(_moved(call, strays, x),))


def _strays(call: FailedCall) -> Explained | None:
    """Return which tensors are not where the others are."""
    tensors = [one for _, one in call.tensors() if one.shape or one.device != "cpu"]
    if bare(call.op) in ACROSS | {"getitem"} | LENGTHS or len({t.device for t in tensors}) < 2:
        return None
    home = _home(tensors)
    strays = [one for one in tensors if one.device != home.device]
    away = names_of(strays)
    is_are = "are" if len({one.name for one in strays}) > 1 else "is"
    what = f"`{call.text}`" if 0 < len(call.text) < 60 else f"`{call.op}`"
    rule = (
        f"{what} needs all tensors on one device, and {away} {is_are} on {strays[0].device} "
        f"where {home.name} is on {home.device}."
    )
    owned = [one for one in strays if one.path is not None]
    proposals = _of_module(call, owned, strays, home) if owned else _of_tensor(call, strays, home)
    return Explained(rule=rule, proposals=tuple(proposals))


def _home(tensors: list[Given]) -> Given:
    """Return a tensor that is where all should be: on what is not the CPU, with the weights."""
    return min(tensors, key=lambda one: (one.device == "cpu", one.path is None))


def _moved(call: FailedCall, strays: list[Given], home: Given, more: str = "") -> Proposal:
    texts = {one.name: f"{wrapped(one.name)}.to({home.name}.device)" for one in strays}
    said = f"{more}move {listed(texts)} to {home.device}: {ticked(texts.values())}"
    return recast(
        call, said, [(one, one.then("to", home.device), texts[one.name]) for one in strays]
    )


def _of_tensor(call: FailedCall, strays: list[Given], home: Given) -> list[Proposal]:
    """Move a tensor; one that the module holds belongs in a buffer."""
    move = _moved(call, strays, home)
    one = strays[0]
    held = one.name.partition("[")[0]
    proposals = [move]
    there = _MAKES.sub(rf"\1\2, device={home.name}.device)", one.name)
    if there != one.name:
        made = recast(
            call, f"make it there: `{there}`", [(one, one.then("to", home.device), there)]
        )
        return [made, move]
    if re.fullmatch(r"self\.\w+", held):
        name = held.removeprefix("self.")
        said = (
            f"keep {held} as a buffer, so that model.to(...) moves it: "
            f'`self.register_buffer("{name}", {name})` in the constructor'
        )
        proposals.append(replace(move, said=said, code=None))
    elif home.path is not None:
        said = f"or move the inputs before the model is called: `.to({home.device!r})`"
        proposals.append(replace(move, said=said, code=None))
    elif one.device == "cpu":
        said = (
            f"or, where {one.name} comes from a tensor that the module holds, keep that with "
            f"`self.register_buffer(...)`, so that model.to(...) moves it"
        )
        proposals.append(replace(move, said=said, code=None))
    if home.device == "meta" and home.path is not None:
        said = (
            "or give the model its weights: those on meta have no values until "
            'model.to_empty(device="cpu") and load_state_dict'
        )
        proposals.append(replace(move, said=said, code=None))
    return proposals


def _of_module(
    call: FailedCall, owned: list[Given], strays: list[Given], home: Given
) -> list[Proposal]:
    """Move the module that a parameter belongs to, which model.to() did not reach."""
    layer = owned[0].name.rpartition(".")[0] or owned[0].name
    move = _moved(call, strays, home)
    said = (
        f"move {layer} with the rest of the model: `{layer}.to({home.name}.device)`; model.to(...) "
        f"reaches what is an attribute or in an nn.ModuleList, and no layer in a plain list"
    )
    others = [one for _, one in call.tensors() if one.device == home.device]
    back = _moved(call, others, owned[0], "or ")
    return [replace(move, said=said, code=None), back]


def _valueless(call: FailedCall) -> Explained | None:
    """Return that a tensor on meta has no values, and that numpy reads only the CPU."""
    x = call.argument(0, "input")
    if bare(call.op) not in VALUES or not isinstance(x, Given) or x.device == "cpu":
        return None
    if x.device == "meta":
        rule = f"`{bare(call.op)}` reads values, and {x.name} is on meta, which has none."
        said = 'make it on a device that has them: model.to_empty(device="cpu") with weights loaded'
        return Explained(rule=rule, proposals=(Proposal(said=said),))
    if bare(call.op) not in {"numpy", "array"}:
        return None
    rule = f"numpy reads memory of the cpu, and {x.name} is on {x.device}."
    moved = x.then("detach").then("cpu") if x.requires_grad else x.then("cpu")
    said = f"move it first: `{written(moved)}`"
    return Explained(rule=rule, proposals=(changed(call, said, {0: moved}),))


def _generator(call: FailedCall) -> Explained | None:
    found = _GENERATOR.search(call.message)
    if found is None:
        return None
    wanted, have = found.groups()
    rule = f"`{call.op}` draws on {wanted}, and its generator is on {have}."
    said = f'make the generator there: `torch.Generator(device="{wanted}")`'
    return Explained(rule=rule, proposals=(Proposal(said=said),))


CHECKS: tuple[Callable[[FailedCall], Explained | None], ...] = (
    _lengths,
    _indexed,
    _strays,
    _valueless,
    _generator,
)
