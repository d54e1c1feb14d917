"""Tensors of several number formats in one call, and results that what they are put in cannot hold."""

from __future__ import annotations

from dataclasses import replace

from attntrace.analysis.diagnosis.call import Explained, FailedCall, Given, Key, Proposal
from attntrace.analysis.diagnosis.kinds import dtype_rules as rules
from attntrace.analysis.diagnosis.kinds.dtype_rules import (
    bare,
    in_place,
    is_float,
    is_whole,
    kind,
    rank,
)
from attntrace.analysis.diagnosis.text import listed, names_of, ticked
from attntrace.analysis.diagnosis.writing import changed, recast, wrapped, written

Tensors = list[tuple[Key, Given]]


def mixed(call: FailedCall) -> Explained | None:
    """Return which tensors are not of one format where they must be."""
    op = bare(call.op)
    if op not in rules.ONE_FORMAT:
        return None
    tensors = [(key, one) for key, one in call.tensors() if not _is_mask(call, key)]
    formats = {one.dtype for _, one in tensors}
    if len(formats) < 2:
        return _unsupported(call, tensors)
    if op == "multi_head_attention_forward" and len({one.dtype for _, one in tensors[:3]}) > 1:
        return None  # the module's own call has the names of the three
    own = [one for _, one in tensors if one.path is not None]
    numbers = [one for _, one in tensors]
    # weights of whole numbers are quantised, and no product is taken in them
    target = next((one for one in own if not is_whole(one.dtype)), min(numbers, key=_wanted))
    odd = [(key, one) for key, one in tensors if one.dtype != target.dtype]
    is_many = len(odd) > 1 and len({one.name for _, one in odd}) > 1
    rule = (
        f"`{call.op}` needs tensors of one dtype, and {names_of(one for _, one in odd)} "
        f"{'are' if is_many else 'is'} {odd[0][1].dtype} where {target.name} is {target.dtype}."
    )
    first = _special(call, odd, target) or [_to(call, odd, target)]
    return Explained(rule=rule, proposals=(*first, *_back(call, tensors, odd, own)))


def _is_mask(call: FailedCall, key: Key) -> bool:
    """Return whether a tensor only says where, which has rules of its own."""
    places = {"scaled_dot_product_attention": (3,), "MultiheadAttention": (3, 5)}
    return key in {"attn_mask", "key_padding_mask", *places.get(call.op, ())}


def _wanted(one: Given) -> tuple[bool, int]:
    """Order formats by how likely they are meant: floats first, and of these the narrowest.

    Mixing formats in arithmetic gives the widest one, so that a wide one came about by mixing.
    """
    return not is_float(one.dtype), rank(one.dtype)


def _to(call: FailedCall, odd: Tensors, target: Given, more: str = "") -> Proposal:
    """Cast tensors to the format of another."""
    texts = {one.name: f"{wrapped(one.name)}.to({target.name}.dtype)" for _, one in odd}
    said = f"{more}cast {listed(texts)} to {target.dtype}: {ticked(texts.values())}"
    to = ("to", f"torch.{target.dtype}")
    return recast(call, said, [(one, one.then(*to), texts[one.name]) for _, one in odd])


def _special(call: FailedCall, odd: Tensors, target: Given) -> list[Proposal]:
    """Say what whole numbers may have been meant for, and that complex ones cannot be cast."""
    key, one = odd[0]
    if one.dtype.startswith("complex"):
        less = one.then("abs")
        said = f"take the absolute value, the .real part or torch.view_as_real: `{written(less)}`"
        return [changed(call, said, {key: less})]
    if is_whole(one.dtype) and target.path is not None and target.dtype == "float32":
        cast = one.then("float")
        instead = ", or look ids up in an nn.Embedding first" if call.op == "linear" else ""
        return [changed(call, f"cast {one.name}{instead}: `{written(cast)}`", {key: cast})]
    return []


def _back(call: FailedCall, tensors: Tensors, odd: Tensors, own: list[Given]) -> list[Proposal]:
    """Cast the others instead: of a model all of it."""
    format_ = odd[0][1].dtype
    if not is_float(format_) or len({one.dtype for _, one in odd}) > 1:
        return []
    others = [(key, one) for key, one in tensors if one.dtype != format_]
    if not own:
        return [_to(call, others, odd[0][1], "or ")]
    said = f"or cast the model: `model.to(torch.{format_})`"
    to = ("to", f"torch.{format_}")
    moved = recast(call, said, [(one, one.then(*to), one.name) for _, one in others])
    return [replace(moved, code=None)]


def _unsupported(call: FailedCall, tensors: Tensors) -> Explained | None:
    """Return that products of truth values are not computed."""
    masks = [(key, one) for key, one in tensors if one.dtype == "bool"]
    truths = masks or [(key, one) for key, one in call.tensors() if one.dtype == "bool"]
    if len(truths) != len(call.tensors()) or len(truths) < 2:
        return None
    casts = {key: one.then("float") for key, one in truths}
    rule = f"`{call.op}` takes numbers, and {names_of(one for _, one in truths)} are of torch.bool."
    said = f"cast them to float32: {ticked(map(written, casts.values()))}"
    return Explained(rule=rule, proposals=(changed(call, said, casts),))


def stored(call: FailedCall) -> Explained | None:
    """Return that what is written into a tensor is of another format."""
    places = rules.STORED.get(bare(call.op))
    if places is None:
        return None
    held, put = (
        call.argument(place, name) for place, name in zip(places, ("input", "src"), strict=True)
    )
    names = {"index_copy": "source", "index_add": "source", "index_put": "values",
             "masked_scatter": "source"}  # fmt: skip
    name = names.get(bare(call.op), "src")
    put = put if isinstance(put, Given) else call.kwargs.get(name)
    if not isinstance(held, Given) or not isinstance(put, Given) or held.dtype == put.dtype:
        return None
    key = call.key(places[1], name)
    rule = (
        f"`{call.op}` writes only values of the dtype of {held.name}, {held.dtype}, into it, and "
        f"{put.name} is {put.dtype}."
    )
    cast, text = put.then("to", f"torch.{held.dtype}"), f"{wrapped(put.name)}.to({held.name}.dtype)"
    proposals = [changed(call, f"cast {put.name}: `{text}`", {key: cast}, {key: text})]
    if any(one.dtype == "bool" for _, one in call.tensors()):  # how many it picks, no trial knows
        one_number = put.of_shape().then("to", f"torch.{held.dtype}")
        proposals = [replace(proposals[0], call=call.at({key: one_number}))]
    if rank(put.dtype) > rank(held.dtype):
        wide = held.then("to", f"torch.{put.dtype}")
        said = f"or make {held.name} with dtype={put.name}.dtype, {put.dtype}"
        proposals.append(Proposal(said=said, call=call.at({0: wide})))
    return Explained(rule=rule, proposals=tuple(proposals))


def unholdable(call: FailedCall) -> Explained | None:
    """Return that a tensor cannot hold the result that is written into it."""
    op, held = bare(call.op), call.argument(0, "input")
    if not in_place(call.op) or not isinstance(held, Given):
        return None
    others = [one for _, one in call.tensors() if one is not held]
    result = max([held.dtype, *(one.dtype for one in others)], key=rank)
    numbers = [value for value in call.args[1:] if type(value) is float]
    if is_whole(result) and (op in rules.DIVIDING or (numbers and op in rules.MIXING)):
        result = "float32"
    if op not in rules.MIXING | rules.DIVIDING or kind(result) <= kind(held.dtype):
        return None
    whose = next((one.name for one in others if one.dtype == result), None)
    why = f", as {whose} is" if whose else ""
    rule = (
        f"`{call.op}` writes its result into {held.name}, {held.dtype}, which cannot hold "
        f"{result}{why}."
    )
    cast = held.then("to", f"torch.{result}")
    text = f"{held.name} = {written(held.then('float')) if result == 'float32' else written(cast)}"
    without = replace(call, op={"truediv": "div", "floordiv": "floor_divide"}.get(op, op))
    return Explained(
        rule=rule,
        proposals=(
            Proposal(said=f"cast {held.name} first: `{text}`", code=None, call=call.at({0: cast})),
            Proposal(
                said=f"or take a new tensor for the result: `{_out_of_place(call, op, held)}`",
                call=without,
            ),
        ),
    )


def _out_of_place(call: FailedCall, op: str, held: Given) -> str:
    signs = {
        "add": "+",
        "sub": "-",
        "mul": "*",
        "div": "/",
        "truediv": "/",
        "floordiv": "//",
        "pow": "**",
    }
    other = call.argument(1, "other")
    text = other.name if isinstance(other, Given) else repr(other)
    if op in signs and other is not None:
        return f"{held.name} = {held.name} {signs[op]} {text}"
    return f"{held.name} = {held.name}.{op}({text if other is not None else ''})"
