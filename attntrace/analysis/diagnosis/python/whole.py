"""Sizes, axes and bounds that are no whole numbers: floats of a division, texts, negative ones."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import Any

from attntrace.analysis.diagnosis.call import Explained, FailedCall, Given, Key, Proposal
from attntrace.analysis.diagnosis.python.facts import NoTensor
from attntrace.analysis.diagnosis.text import plain, quoted, shaped
from attntrace.analysis.diagnosis.writing import wrapped

_SIZED = frozenset({
    "view", "reshape", "expand", "repeat", "zeros", "ones", "empty", "rand", "randn", "new_zeros",
    "new_ones", "new_empty", "new_full", "full", "unflatten", "tile", "broadcast_to", "split",
    "chunk", "narrow", "getitem", "range", "eye", "randint", "repeat_interleave", "topk", "flatten",
    "transpose", "permute", "unsqueeze", "squeeze", "tensor_split", "roll", "select", "index",
    "tril", "triu", "pad",
})  # fmt: skip
"""What takes nothing but whole numbers beside its tensor."""
_MAKING = frozenset({
    "zeros", "ones", "empty", "rand", "randn", "new_zeros", "new_ones", "new_empty", "new_full",
    "full",
})  # fmt: skip
"""What makes a tensor of sizes, of which none is below 0."""
_FORMATS = ("float16", "bfloat16", "float32", "float64", "int8", "int32", "int64", "bool")
_VALUES = {"full": 1, "new_full": 2, "randint": 9, "roll": 9, "pad": 2}
"""From which place on numbers are values."""


def explain(call: FailedCall) -> Explained | None:
    """Return which number is not whole, or below 0; None for other calls."""
    op = plain(call.op)
    named: list[tuple[Key, Any]] = [*enumerate(call.args), *call.kwargs.items()]
    for key, value in named:
        if op == "to" and value in _FORMATS:
            return _format(call, key, value)
        if isinstance(value, str) and _is_axis(op, key) and not value.startswith("torch."):
            return _text(call, key, value)
        if op not in _SIZED or (isinstance(key, int) and key >= _VALUES.get(op, 99)):
            continue
        for way, number in _parts(value):
            if isinstance(number, float):
                return _float(call, (key, way), number)
            if isinstance(number, Given) and key != 0 and op not in ("getitem", "index"):
                return _tensor(call, (key, way), number)
            if op in _MAKING and isinstance(number, int) and number < 0:
                return _negative(call, (key, way), number)
    return None


_AXES = frozenset({
    "softmax", "log_softmax", "sum", "mean", "max", "min", "argmax", "argmin", "cumsum", "unsqueeze",
    "squeeze", "transpose", "permute", "flatten", "std", "var", "size",
})  # fmt: skip
"""What takes axes by number in order."""


def _is_axis(op: str, key: Key) -> bool:
    return key in ("dim", "dims") or op in _AXES


Where = tuple[Key, int | str | None]


def _parts(value: Any) -> Iterator[tuple[int | str | None, Any]]:
    """Yield the numbers of an argument: of a list by place, of slices by the part of them."""
    if isinstance(value, (tuple, list)):
        for place, part in enumerate(value):
            for _, number in _parts(part):
                yield place, number
    elif isinstance(value, slice):
        for name in ("start", "stop", "step"):
            if isinstance(getattr(value, name), (int, float)):
                yield name, getattr(value, name)
    else:
        yield None, value


def _written(call: FailedCall, where: Where) -> str | None:
    """Return how the author wrote a number, where it stands alone in an argument."""
    key, place = where
    span = call.spans.get(key)
    if span is None:
        return None
    text = call.text[slice(*span)]
    if place is None:
        return text
    try:
        node = ast.parse(text.strip(), mode="eval").body
    except SyntaxError:
        return None
    if (
        isinstance(place, int)
        and isinstance(node, (ast.Tuple, ast.List))
        and place < len(node.elts)
    ):
        return ast.unparse(node.elts[place])
    return None


def _whole(text: str) -> str:
    """Return an expression that gives a whole number: `C // heads` of `C / heads`."""
    try:
        node = ast.parse(text.strip(), mode="eval").body
    except SyntaxError:
        return f"int({text})"
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div):
        return f"{ast.unparse(node.left)} // {ast.unparse(node.right)}"
    return f"int({ast.unparse(node)})"


def _changed(value: Any, place: int | str | None, new: Any) -> Any:
    if place is None:
        return new
    if isinstance(place, str):
        parts = {name: getattr(value, name) for name in ("start", "stop", "step")} | {place: new}
        return slice(parts["start"], parts["stop"], parts["step"])
    parts_ = list(value)
    inner = parts_[place]
    parts_[place] = _slices_whole(inner) if isinstance(inner, slice) else new
    return type(value)(parts_)


def _slices_whole(value: slice) -> slice:
    ends = (value.start, value.stop, value.step)
    return slice(*(int(end) if isinstance(end, float) else end for end in ends))


def _float(call: FailedCall, where: Where, number: float) -> Explained:
    key, place = where
    text = _written(call, where) or _of_slice(call, key)
    shown = f"`{text}`" if text else "one"
    value = call.kwargs[key] if isinstance(key, str) else call.args[key]
    changed = call.at({key: _changed(value, place, int(number))})
    new = _whole(text) if text else None
    code = call.text.replace(text, new) if text and new and call.text.count(text) == 1 else None
    if code is None and text and key in call.spans and place is None:
        code = call.code({key: new or ""})
    idiom = "divide with //, which gives a whole number" if new and "//" in new else "make it whole"
    if new is None:
        idiom = "divide with // where it is made"
    whole = number == int(number)
    proposals = [Proposal(said=f"{idiom}: `{new or 'a // b'}`", code=code, call=changed)]
    made = _made(call, text)
    if made is not None:
        said = f"divide with //, which gives a whole number, where {text} is made: `{made}`"
        proposals.insert(0, Proposal(said=said, code=made, call=changed))
    rest = "" if whole else ", which is not even a whole number"
    return Explained(
        rule=f"{quoted(call)} takes whole numbers, and {shown} is the float {number}{rest}.",
        proposals=tuple(proposals),
    )


def _made(call: FailedCall, text: str | None) -> str | None:
    """Return the assignment that makes a size whole: "hd = C // heads"."""
    about = call.about
    if not isinstance(about, NoTensor) or about.name != text or about.made is None:
        return None
    return f"{about.name} = {_whole(about.made.text)}"


def _of_slice(call: FailedCall, key: Key) -> str | None:
    """Return the one name or division that a slice has as a bound."""
    span = call.spans.get(key)
    if span is None:
        return None
    try:
        node = ast.parse(f"x[{call.text[slice(*span)]}]", mode="eval")
    except SyntaxError:
        return None
    bounds = [
        end
        for part in ast.walk(node)
        if isinstance(part, ast.Slice)
        for end in (part.lower, part.upper, part.step)
        if end is not None and not isinstance(end, (ast.Constant, ast.UnaryOp))
    ]
    return ast.unparse(bounds[0]) if len(bounds) == 1 else None


def _tensor(call: FailedCall, where: Where, tensor: Given) -> Explained | None:
    """A tensor among sizes, of more than one element or no whole number."""
    key, place = where
    if tensor.shape == () and tensor.dtype.startswith("int"):
        return None
    if op_takes_tensors(call, key):
        return None
    text = tensor.name
    value = call.kwargs[key] if isinstance(key, str) else call.args[key]
    changed = call.at({key: _changed(value, place, 1)})
    span = call.spans.get(key)
    code = None
    if span is not None:
        inside = call.text[slice(*span)]
        code = call.code({key: inside.replace(text, f"int({text})")})
    ways = [Proposal(said=f"make a number of it: `int({text})`", code=code, call=changed)]
    many = tensor.shape not in ((), (1,))
    ways = (
        [Proposal(said=f"hand over a size, `{wrapped(text)}.shape[0]`, or a number")]
        if many
        else ways
    )
    return Explained(
        rule=f"{quoted(call)} takes whole numbers, and {shaped(tensor)} is a tensor of "
        f"{tensor.dtype}.",
        proposals=tuple(ways),
    )


def op_takes_tensors(call: FailedCall, key: Key) -> bool:
    """Return whether a tensor may be meant as values in this place, and not as a size."""
    return plain(call.op) in ("range", "repeat_interleave", "full", "new_full", "tensor_split") or (
        key in ("dtype", "device", "input", "other")
    )


def _negative(call: FailedCall, where: Where, number: int) -> Explained:
    text = _written(call, where)
    shown = f"`{text}` is {number}" if text and text != str(number) else f"{number} was given"
    return Explained(
        rule=f"{quoted(call)} takes sizes of 0 and more, and {shown}.",
        proposals=tuple(_longer(call, where, text)),
    )


def _longer(call: FailedCall, where: Where, text: str | None) -> Iterator[Proposal]:
    key, place = where
    if text is None:
        return
    value = call.kwargs[key] if isinstance(key, str) else call.args[key]
    code = call.text.replace(text, f"max({text}, 0)") if call.text.count(text) == 1 else None
    yield Proposal(
        said=f"leave nothing to fill where there is too much: `max({text}, 0)`",
        code=code,
        call=call.at({key: _changed(value, place, 0)}),
    )
    try:
        node = ast.parse(text, mode="eval").body
    except SyntaxError:
        return
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Sub):
        turned = ast.unparse(replace_sides(node))
        yield Proposal(said=f"if the difference is meant the other way round: `{turned}`")


def replace_sides(node: ast.BinOp) -> ast.BinOp:
    """Return a difference the other way round."""
    return ast.BinOp(left=node.right, op=node.op, right=node.left)


def _format(call: FailedCall, key: Key, value: str) -> Explained:
    """The name of a number format, which `to` takes for a device."""
    code = call.code({key: f"torch.{value}"})
    return Explained(
        rule=f"{quoted(call)} takes a text for a device, and {value!r} is a number format.",
        proposals=(
            Proposal(
                said=f"give the format itself: `torch.{value}`",
                code=code,
                call=call.at({key: f"torch.{value}"}),
            ),
        ),
    )


def _text(call: FailedCall, key: Key, value: str) -> Explained:
    """The name of an axis, or a number in quotes."""
    tensor = call[0] if isinstance(call[0], Given) else None
    number = int(value) if value.lstrip("-").isdigit() else None
    known = {"last": -1, "first": 0, "batch": 0, "channel": 1, "channels": 1, "seq": 1}
    meant = number if number is not None else known.get(value.lower(), -1)
    changed = call.at({key: meant})
    said = f"give the axis as a number: `dim={meant}`"
    if tensor is not None and tensor.shape and -tensor.rank <= meant < tensor.rank:
        said += f" is the one of size {tensor.shape[meant]}"
    has = f", and {shaped(tensor)} has axes {-tensor.rank} to {tensor.rank - 1}" if tensor else ""
    return Explained(
        rule=f"{quoted(call)} takes its axis as a whole number, not as the text {value!r}{has}.",
        proposals=(Proposal(said=said, code=call.code({key: str(meant)}), call=changed),),
    )
