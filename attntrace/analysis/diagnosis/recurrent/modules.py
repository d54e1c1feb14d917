"""LSTM, GRU, RNN and their cells: what they take in, and the state that they start from."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace

from attntrace.analysis.diagnosis.call import Culprit, Explained, FailedCall, Given, Proposal
from attntrace.analysis.diagnosis.recurrent.packing import OP, unpackable
from attntrace.analysis.diagnosis.recurrent.state import kind, misshapen, restated, single
from attntrace.analysis.diagnosis.recurrent.stepped import BELOW, CELLS, LAYERS, Stepped
from attntrace.analysis.diagnosis.text import shaped
from attntrace.analysis.diagnosis.writing import changed, written

_WEIGHTS = re.compile(r"does not match weight dtype \(torch\.(\w+)\)")
"""Only the message has what the weights are made of, where the module refused."""


def explain(call: FailedCall) -> Explained | None:
    """Return why a recurrent module failed: the input's rank, width and dtype, then the state."""
    if call.op == OP:
        return unpackable(call)
    module, x = call.module, call.argument(0, "input")
    if module is None or module.type not in (*LAYERS, *CELLS) or not isinstance(x, Given):
        return None
    if call.op == "getitem" and module.type == "LSTM":
        return single(call, module, x)
    if x.shape is None or call.op not in (module.type, *BELOW):
        return None
    if call.op in BELOW:
        is_packed = isinstance(call[1], Given) and call[1].dtype == "int64"
        given_to = call.args[: 1 if is_packed else 2]
        call = replace(call, op=module.type, args=given_to, kwargs={})
    stepped = Stepped(call, module, x)
    return next((found for check in CHECKS if (found := check(stepped)) is not None), None)


def _rank(one: Stepped) -> Explained | None:
    allowed = (1, 2) if one.is_cell else (2, 3)
    if one.x.rank in allowed:
        return None
    batched = "(batch, input_size)" if one.is_cell else _layout(one)
    rule = (
        f"`{one.name}` takes {allowed[1]} dimensions, {batched}, or {allowed[0]} without a batch, "
        f"and {shaped(one.x)} has {one.x.rank}."
    )
    return Explained(rule=rule, proposals=tuple(_reranked(one, allowed[1])))


def _layout(one: Stepped) -> str:
    return (
        "(batch, length, input_size)"
        if one.setting("batch_first")
        else "(length, batch, input_size)"
    )


def _reranked(one: Stepped, rank: int) -> list[Proposal]:
    shape, width = one.x.shape or (), one.setting("input_size")
    steps: list[tuple[str, Given]] = []
    if one.x.rank == 1 and width == 1:
        said = "give each step one feature, and the sequence a batch of 1"
        steps.append(
            (said, one.x.then("view", *((1, -1, 1) if one.batch_dim == 0 else (-1, 1, 1))))
        )
    elif one.x.rank == rank + 1 and 1 in shape[:-1]:
        steps.append(("drop the axis of size 1", one.x.then("squeeze", shape.index(1))))
    elif one.x.rank == 4 and shape[1] * shape[3] == width:
        moved = one.x.then("permute", 0, 2, 1, 3).then("flatten", 2)
        said = f"put channels and the last axis together, {shape[1]} * {shape[3]} = {width}"
        steps.append((said, moved))
    elif one.x.rank == 4 and shape[-1] * shape[-2] == width:
        said = f"put the last two axes together, {shape[-2]} * {shape[-1]} = {width}"
        steps.append((said, one.x.then("flatten", 2)))
    elif one.x.rank == rank + 1:
        steps.append(("fold the first two axes into the batch", one.x.then("flatten", 0, 1)))
    return [_input(one, said, tensor) for said, tensor in steps]


def _input(one: Stepped, said: str, tensor: Given) -> Proposal:
    return changed(one.call, f"{said}: `{written(tensor)}`", {one.call.key(0, "input"): tensor})


def _width(one: Stepped) -> Explained | None:
    shape, want = one.x.shape or (), one.setting("input_size")
    if want is None or not shape or shape[-1] == want:
        return None
    rule = (
        f"`{one.name}` was built for input_size={want}, and the last size of "
        f"{shaped(one.x)} is {shape[-1]}."
    )
    proposals = [
        _input(one, f"put the {want} features last", one.x.then("transpose", dim, one.x.rank - 1))
        for dim in reversed(range(one.x.rank - 1))
        if shape[dim] == want
    ]
    if want == 1:
        proposals.append(_input(one, "give each step one feature", one.x.then("unsqueeze", -1)))
    build = one.constructor(input_size=shape[-1])
    said = f"build `{one.name}` with input_size={shape[-1]}: `{build}`"
    proposals.append(Proposal(said=said, call=one.rebuilt(input_size=shape[-1])))
    return Explained(
        rule=rule,
        culprits=(Culprit(tensor=one.x, dim=one.x.rank - 1),),
        proposals=tuple(proposals),
    )


def _ids(one: Stepped) -> Explained | None:
    """Return that the input is of whole numbers."""
    if not one.x.dtype.startswith(("int", "uint", "bool")):
        return None
    rule = f"`{one.name}` takes floats, and {one.x.name} is {one.x.dtype}."
    width, shape = one.setting("input_size"), one.x.shape or ()
    looked_up = one.x.of_shape(*shape, width).then("float")
    said = f"look the ids up first: `nn.Embedding({(one.x.most or 0) + 1}, {width})({one.x.name})`"
    call = one.call.at({one.call.key(0, "input"): looked_up})
    return Explained(
        rule=rule,
        proposals=(
            Proposal(said=said, call=call),
            _input(one, "or cast what are no ids", one.x.then("float")),
        ),
    )


def _number(one: Stepped) -> Explained | None:
    """Return that the input has another dtype than the weights, or the state than the input."""
    weights = _WEIGHTS.search(one.call.message)
    if weights is not None:
        rule = f"`{one.name}` has weights of {weights[1]}, and {one.x.name} is {one.x.dtype}."
        cast = one.x.then("to", f"torch.{weights[1]}")
        to_weights = _input(one, f"cast {one.x.name}", cast)
        if weights[1] != "float32":  # no trial knows in what the weights are
            to_weights = replace(to_weights, call=None)
        model = Proposal(said=f"or cast the model: `model.to(torch.{one.x.dtype})`")
        return Explained(rule=rule, proposals=(to_weights, model))
    odd = [tensor for _, tensor, _ in one.states() if tensor.dtype != one.x.dtype]
    if not odd:
        return None
    rule = (
        f"`{one.name}` needs a state of the dtype of {one.x.name}, {one.x.dtype}, and "
        f"{odd[0].name} is {odd[0].dtype}."
    )
    casts = {id(tensor): tensor.then("to", f"torch.{one.x.dtype}") for tensor in odd}
    said = f"cast it: `{odd[0].name}.to({one.x.name}.dtype)`"
    return Explained(rule=rule, proposals=(restated(one, said, casts),))


CHECKS: tuple[Callable[[Stepped], Explained | None], ...] = (
    _ids,
    _rank,
    _width,
    kind,
    misshapen,
    _number,
)
"""In the order in which a reader would want to hear of them."""
