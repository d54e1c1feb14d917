"""A tuple, a list, a dict, an array or an object where a tensor is wanted."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from attntrace.analysis.diagnosis.call import Explained, FailedCall, Given, Proposal
from attntrace.analysis.diagnosis.python.facts import Made, NoTensor
from attntrace.analysis.diagnosis.text import a_or_an, counted, quoted, sizes
from attntrace.analysis.diagnosis.writing import wrapped

_RETURNS = {
    "LSTM": "(output, (h, c))",
    "GRU": "(output, h)",
    "RNN": "(output, h)",
    "MultiheadAttention": "(output, weights)",
    "LSTMCell": "(h, c)",
}
"""What modules of torch's return that return no tensor alone."""
_METHODS = ("max", "min", "median", "sort", "topk", "mode", "kthvalue", "cummax", "cummin")
"""What returns (values, indices)."""
_SEQUENCES = ("tuple", "list", "Size")


def explain(call: FailedCall) -> Explained | None:
    """Return why a value is no tensor; None for other calls, and where the value is None."""
    about = call.about
    if not isinstance(about, NoTensor) or about.type in ("NoneType", "list of modules"):
        return None
    ways = [*_ways(call, about)]
    untried = [replace(one, call=None) for one in ways[:1] if one.call is not None]
    return Explained(rule=_rule(call, about), proposals=(*ways, *untried))


def _rule(call: FailedCall, about: NoTensor) -> str:
    is_number = type(about.value) in (int, float, bool)
    what = f"{a_or_an(about.type)} {_described(about)}"
    what = f"the {about.type} {about.value}" if is_number else what
    made = f", which `{about.made.text}` returns" if about.made and about.made.target else ""
    name = about.name if about.made and not about.made.text else f"`{about.name}`"
    if about.asked:
        return f"A tensor has `{about.asked}`, and {name} is {what}{made}."
    module = call.module.text if call.module else ""
    wants = quoted(call) if not module or call.text.startswith(f"{module}(") else f"`{module}`"
    return f"{wants} needs a tensor, and {name} is {what}{made}."


def _described(about: NoTensor) -> str:
    """Return what is in a value: "of 2, (output, (h, c))"."""
    if about.made is not None and about.made.type in _RETURNS:
        return _RETURNS[about.made.type]
    if _is_ranked(about):
        return "(values, indices)"
    if isinstance(about.value, Given):
        return f"of shape {sizes(about.value.shape)} and {about.value.dtype}"
    if about.parts:
        return "with " + ", ".join(f"`{name}`" for name, _ in about.parts[:4])
    if isinstance(about.value, (tuple, list)):
        shapes = [sizes(one.shape) if isinstance(one, Given) else str(one) for one in about.value]
        alike = len(set(shapes)) == 1 and len(shapes) > 2
        held = f"{shapes[0]} each" if alike else " and ".join(shapes[:4])
        return f"of {counted(len(shapes), 'part')}" + (f", {held}" if held else "")
    return "and no tensor"


def _is_ranked(about: NoTensor) -> bool:
    called = about.made.called if about.made else ""
    return about.type.startswith("torch.return_types") or (
        called.rpartition(".")[2] in _METHODS and "tuple" in about.type
    )


def _ways(call: FailedCall, about: NoTensor) -> Iterator[Proposal]:
    if about.parts:
        yield from _picked(call, about)
    elif about.type == "list" and isinstance(about.value, list):
        yield from _joined(call, about)
    elif isinstance(about.value, Given) and about.type == "ndarray":
        yield from _from_array(call, about)
    elif about.type == "ndarray":
        code = f"torch.from_numpy({about.name})"
        said = f"make a tensor of it, of the dtype of the others: `{code}.float()`"
        yield Proposal(said=said, code=_inserted(call, about, f"{code}.float()"))
    elif about.type in ("int", "float", "bool") and not about.asked:
        code = f"torch.tensor({about.name})"
        yield Proposal(said=f"make a tensor of it: `{code}`", code=_inserted(call, about, code))
    elif about.type in _SEQUENCES or "return_types" in about.type:
        yield from _first(call, about)


def _first(call: FailedCall, about: NoTensor) -> Iterator[Proposal]:
    """Take the first part, where the value is made, or where it is used."""
    made, parts = about.made, about.value if isinstance(about.value, tuple) else ()
    first = parts[0] if parts and isinstance(parts[0], Given) else None
    changed = _handed(call, about, first)
    what = "values" if _is_ranked(about) else "output"
    part = f"{wrapped(about.name)}[0]"
    if _is_ranked(about):
        part = f"{wrapped(about.name)}.values"
    if made is not None and made.type in ("Sequential", "LSTM", "GRU", "RNN") and not made.text:
        yield from _in_sequential(made, changed)
        return
    if made is not None and made.target:
        rest = "_" if len(parts) < 3 else "*_"
        code = f"{made.target}, {rest} = {made.text}"
        yield Proposal(
            said=f"keep the {what} alone where it is made: `{code}`", code=code, call=changed
        )
    yield Proposal(
        said=f"take the {what}, the first part: `{part}`",
        code=_inserted(call, about, part),
        call=changed,
    )


def _in_sequential(made: Made, changed: FailedCall | None) -> Iterator[Proposal]:
    """A module that returns a tuple hands it on to the next one."""
    code = f"out, _ = {made.called}(x)"
    yield Proposal(
        said=f"nn.Sequential hands the tuple on: call the {made.type} by itself, `{code}`, and give "
        "the layers after it the output, or wrap it in a module that returns [0]",
        code=code,
        call=changed,
    )


def _inserted(call: FailedCall, about: NoTensor, text: str) -> str | None:
    """Return the author's expression with something else in place of a value."""
    if about.key is not None:
        code = call.code({about.key: text})
        if code is not None:
            return code
    if about.asked and call.text.startswith(about.name):
        return text + call.text[len(about.name) :]
    return None


def _handed(call: FailedCall, about: NoTensor, value: Given | None) -> FailedCall | None:
    """Return the call with a tensor in place of what is none; None where there is nothing to run."""
    if value is None or about.key is None or not call.op:
        return None
    return call.at({about.key: value})


_LIKELY = ("last_hidden_state", "logits", "sample", "hidden_states", "output", "out", "x")


def _picked(call: FailedCall, about: NoTensor) -> Iterator[Proposal]:
    """Take one of the tensors of a dict or of an object."""
    order = sorted(about.parts, key=lambda part: _rank(part[0]))
    for name, value in order[:2]:
        tensor = value if isinstance(value, Given) else None
        shape = f", of shape {sizes(tensor.shape)}" if tensor else ""
        code = f"{wrapped(about.name)}{name}"
        yield Proposal(
            said=f"take the tensor out of it: `{code}`{shape}",
            code=_inserted(call, about, code),
            call=_handed(call, about, tensor),
        )


def _rank(name: str) -> int:
    word = name.strip(".[]'\"")
    return _LIKELY.index(word) if word in _LIKELY else len(_LIKELY)


def _joined(call: FailedCall, about: NoTensor) -> Iterator[Proposal]:
    """Make one tensor of a list of them."""
    parts: list[Any] = about.value
    tensors = [one for one in parts if isinstance(one, Given)]
    shapes = {one.shape for one in tensors}
    if not tensors or len(tensors) < len(parts):
        code = f"torch.tensor({about.name})"
        yield Proposal(said=f"make a tensor of it: `{code}`", code=_inserted(call, about, code))
        return
    if len(shapes) == 1:
        shape = tensors[0].shape or ()
        code = f"torch.stack({about.name})"
        stacked = tensors[0].of_shape(len(tensors), *shape)
        yield Proposal(
            said=f"stack the {len(tensors)} along a new axis: `{code}` has shape "
            f"{sizes(stacked.shape)}",
            code=_inserted(call, about, code),
            call=_handed(call, about, stacked),
        )
        if shape:
            last = (*shape[:-1], shape[-1] * len(tensors))
            code = f"torch.cat({about.name}, dim=-1)"
            yield Proposal(
                said=f"concatenate them along the last axis: `{code}` has shape {sizes(last)}",
                code=_inserted(call, about, code),
                call=_handed(call, about, tensors[0].of_shape(*last)),
            )


def _from_array(call: FailedCall, about: NoTensor) -> Iterator[Proposal]:
    """Make a tensor of an array, of the format that the call's tensors have."""
    array: Given = about.value
    others = [one for _, one in call.tensors()]
    others = [one for one in others if one.dtype.startswith(("float", "bfloat"))]
    dtype = others[0].dtype if others else "float32"
    is_float = array.dtype.startswith("float")
    code = f"torch.from_numpy({about.name})"
    if is_float and array.dtype != dtype:
        code += ".float()" if dtype == "float32" else f".to(torch.{dtype})"
    yield Proposal(
        said=f"make a tensor of it: `{code}`"
        + (f", {array.dtype} to {dtype}" if ")." in code else ""),
        code=_inserted(call, about, code),
        call=_handed(call, about, replace(array, dtype=dtype if is_float else array.dtype)),
    )
