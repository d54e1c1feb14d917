"""The state that an LSTM, a GRU or an RNN starts from."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from attntrace.analysis.diagnosis.call import (
    Called,
    Culprit,
    Explained,
    FailedCall,
    Given,
    Proposal,
    given_in,
)
from attntrace.analysis.diagnosis.recurrent.stepped import Stepped
from attntrace.analysis.diagnosis.text import sizes, ticked
from attntrace.analysis.diagnosis.writing import changed, written


def restated(one: Stepped, said: str, changes: dict[int, Given]) -> Proposal:
    """Propose another state, of which some tensors changed."""
    parts = [changes.get(id(tensor), tensor) for _, tensor, _ in one.states()]
    state: Any = parts[0] if isinstance(one.state, Given) else tuple(parts)
    texts = [
        written(part).replace(f".to(torch.{one.x.dtype})", f".to({one.x.name}.dtype)")
        for part in parts
    ]
    built = any(part.name == tensor.name and part.shape != tensor.shape
                for part, (_, tensor, _) in zip(parts, one.states(), strict=True))  # fmt: skip
    text = texts[0] if isinstance(one.state, Given) else f"({', '.join(texts)})"
    call = one.call.at({one.key: state})
    return Proposal(said=said, code=None if built else one.call.code({one.key: text}), call=call)


def single(call: FailedCall, module: Called, state: Given) -> Explained:
    """Return that an LSTM was given one tensor, whose second part it then asked for."""
    rule = (
        f"`{module.text or module.path or module.type}` takes its state as a tuple of two "
        f"tensors, (h, c), and it was given one of {sizes(state.shape)}."
    )
    batch, width = (state.shape or (1, 1))[1], module.settings.get("input_size", 1)
    first = module.settings.get("batch_first")
    x = state.of_shape(*((batch, 1) if first else (1, batch)), width)
    paired = replace(call, op=module.type, args=(x, (state, state)), kwargs={})
    said = "hand over h and a c of zeros as a tuple: `(h, torch.zeros_like(h))`"
    return Explained(rule=rule, proposals=(Proposal(said=said, call=paired),))


def kind(one: Stepped) -> Explained | None:
    """Return that an LSTM was not given a pair, or another module was given one."""
    if one.state is None:
        return None
    is_pair, wants_pair = not isinstance(one.state, Given), one.module.type.startswith("LSTM")
    if is_pair == wants_pair:
        return None
    given = list(given_in(one.state))
    if wants_pair:
        name = given[0].name
        rule = f"`{one.name}` takes its state as a tuple of two tensors, (h, c), and {name} is one."
        said = "hand over h and a c of zeros as a tuple"
        pair = (given[0], given[0])
        text = f"({name}, torch.zeros_like({name}))"
        return Explained(
            rule=rule,
            proposals=(changed(one.call, f"{said}: `{text}`", {one.key: pair}, {one.key: text}),),
        )
    if not given:
        return None
    rule = f"`{one.name}` takes its state as one tensor, and it was given a tuple of {len(given)}."
    said = f"hand over h alone: `{given[0].name}`"
    text = given[0].name
    return Explained(
        rule=rule, proposals=(changed(one.call, said, {one.key: given[0]}, {one.key: text}),)
    )


def misshapen(one: Stepped) -> Explained | None:
    """Return why a state does not have the shape that it must have."""
    for role, tensor, wanted in one.states():
        if tensor.shape is None or tensor.shape == wanted:
            continue
        off = [
            dim
            for dim, (have, want) in enumerate(zip(tensor.shape, wanted, strict=False))
            if have != want
        ]
        rule = (
            f"`{one.name}` needs {role if role != 'the state' else 'a state'} of {_axes(one)} = "
            f"{sizes(wanted)}, {_arithmetic(one, wanted)}and {tensor.name} is {sizes(tensor.shape)}."
        )
        return Explained(
            rule=rule,
            culprits=tuple(Culprit(tensor=tensor, dim=dim) for dim in off),
            proposals=tuple(_restates(one)),
        )
    return None


def _axes(one: Stepped) -> str:
    is_batched = one.x.rank == (2 if one.is_cell else 3)
    depth = [] if one.is_cell else ["num_layers * directions"]
    return f"({', '.join([*depth, *(['batch'] if is_batched else []), 'hidden_size'])})"


def _arithmetic(one: Stepped, wanted: tuple[int, ...]) -> str:
    if one.is_cell:
        return ""
    layers = one.setting("num_layers", 1)
    turned = " and batch_first does not turn it" if one.setting("batch_first") else ""
    return f"as {layers} * {one.directions} = {wanted[0]}{turned}, "


def _restates(one: Stepped) -> list[Proposal]:
    """Return the ways to give every tensor of the state its shape, the likeliest first."""
    found: list[Proposal] = []
    states = one.states()
    for said, step in _WAYS:
        fixed = {
            id(tensor): step(tensor, wanted)
            for _, tensor, wanted in states
            if tensor.shape != wanted
        }
        if all(tensor is not None for tensor in fixed.values()):
            done = {key: tensor for key, tensor in fixed.items() if tensor is not None}
            texts = ticked(map(written, done.values()))
            found.append(restated(one, f"{said}: {texts}", done))
    found += _turned(one)
    wanted = states[0][2]
    built = {id(tensor): tensor.of_shape(*want) for _, tensor, want in states}
    said = f"build the state as `torch.zeros{sizes(wanted)}`, or leave it out to start from zeros"
    return [*found, restated(one, said, built)]


def _moved(tensor: Given, wanted: tuple[int, ...]) -> Given | None:
    shape = tensor.shape or ()
    swapped = (shape[1], shape[0], *shape[2:]) if len(shape) == 3 else ()
    return tensor.then("transpose", 0, 1).then("contiguous") if swapped == wanted else None


def _deepened(tensor: Given, wanted: tuple[int, ...]) -> Given | None:
    shape = tensor.shape or ()
    is_missing = len(wanted) == 3 and shape == wanted[1:] and wanted[0] == 1
    return tensor.then("unsqueeze", 0) if is_missing else None


def _stacked(tensor: Given, wanted: tuple[int, ...]) -> Given | None:
    shape = tensor.shape or ()
    if len(wanted) != 3 or wanted[0] == 1:
        return None
    if shape == wanted[1:]:
        return tensor.then("unsqueeze", 0).then("repeat", wanted[0], 1, 1)
    if len(shape) == 3 and shape[0] < wanted[0] and shape[1:] == wanted[1:] and shape[0] == 1:
        return tensor.then("repeat", wanted[0], 1, 1)
    return None


def _widened(tensor: Given, wanted: tuple[int, ...]) -> Given | None:
    shape = tensor.shape or ()
    if (
        len(shape) == len(wanted) == 3
        and shape[1] == 1
        and (shape[0], shape[2]) == (wanted[0], wanted[2])
    ):
        return tensor.then("expand", *wanted).then("contiguous")
    return None


def _flat(tensor: Given, wanted: tuple[int, ...]) -> Given | None:
    shape = tensor.shape or ()
    is_long = len(shape) == len(wanted) + 1 and shape[0] == 1 and shape[1:] == wanted
    return tensor.then("squeeze", 0) if is_long else None


_Way = Callable[[Given, tuple[int, ...]], Given | None]
_WAYS: tuple[tuple[str, _Way], ...] = (
    ("put the layers first, and the batch second", _moved),
    ("add the axis of layers", _deepened),
    ("start every layer and direction from the same", _stacked),
    ("give every sample the same state", _widened),
    ("drop the axis of layers", _flat),
)


def _turned(one: Stepped) -> list[Proposal]:
    """Read the batch of the input from the other axis, where the state says that it is there."""
    if one.is_cell or one.x.rank != 3:
        return []
    batch = (one.x.shape or ())[1 - one.batch_dim]
    if any((t.shape or ())[1:] != (batch, want[-1]) for _, t, want in one.states()):
        return []
    flag = not one.setting("batch_first")
    build = one.constructor(batch_first=flag)
    said = f"build `{one.name}` with batch_first={flag}, the batch of {batch} being axis "
    said += f"{1 - one.batch_dim} of {one.x.name}: `{build}`"
    return [Proposal(said=said, call=one.rebuilt(batch_first=flag))]
