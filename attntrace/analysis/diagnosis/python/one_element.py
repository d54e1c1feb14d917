"""`int(x)`, `range(x)`, `x.item()`, `len(x)`: one number is asked of many, or a row of one number."""

from __future__ import annotations

from collections.abc import Iterator
from math import prod

from attntrace.analysis.diagnosis.call import Explained, FailedCall, Given, Proposal
from attntrace.analysis.diagnosis.text import counted, quoted, shaped, times
from attntrace.analysis.diagnosis.writing import wrapped

_EACH = {"int": "long", "float": "float", "complex": "cfloat"}
"""The method that converts every element."""
_FORMATS = {"int": "torch.int64", "float": "torch.float32", "complex": "torch.complex64"}
_NUMBERS = (*_EACH, "index", "item", "arange")
_ROWS = ("len", "iter", "unbind")


def explain(call: FailedCall) -> Explained | None:
    """Return why a tensor is no number, or has no length; None for other calls."""
    tensor = call[0]
    if not isinstance(tensor, Given) or tensor.shape is None:
        return None
    if call.op in _ROWS and not tensor.shape:
        return _no_row(call, tensor)
    if call.op in _NUMBERS and prod(tensor.shape) != 1:
        return _many(call, tensor)
    if call.op == "index" and tensor.dtype.startswith(("float", "bfloat")):
        return _no_whole(call, tensor)
    return None


def _many(call: FailedCall, tensor: Given) -> Explained:
    shape, rank = tensor.shape or (), tensor.rank
    count = f"{prod(shape)}, {times(shape)}" if rank > 1 else f"{prod(shape)}"
    return Explained(
        rule=f"{quoted(call)} takes a tensor of one element, and {shaped(tensor)} has {count}.",
        proposals=tuple(_for_many(call, tensor)),
    )


def _for_many(call: FailedCall, tensor: Given) -> Iterator[Proposal]:
    text, shape = wrapped(tensor.name), tensor.shape or ()
    if call.op in ("index", "arange"):
        function = call.text.partition("(")[0]
        if function.endswith("range") and shape:
            code = f"{function}({text}.shape[0])"
            said = f"count along the first axis, of size {shape[0]}: `{code}`"
            yield Proposal(said=said, code=code)
        yield Proposal(said=f"take its elements as numbers: `{text}.tolist()`")
        return
    if call.op in _EACH:
        code = f"{text}.{_EACH[call.op]}()"
        yield Proposal(said=f"convert each element: `{code}`", code=code, call=_run(tensor, call))
    else:
        code = f"{text}.tolist()"
        yield Proposal(
            said=f"take all of them, as lists: `{code}`", code=code, call=_run(tensor, call)
        )
    mean = _mean(tensor)
    code = f"{mean}.item()" if call.op == "item" else f"{call.op}({mean})"
    single = call.at({0: tensor.of_shape()})
    yield Proposal(said=f"make one number of them first: `{code}`", code=code, call=single)


def _run(tensor: Given, call: FailedCall) -> FailedCall:
    """Return the call of the method that takes every element."""
    if call.op in _FORMATS:
        return FailedCall(op="to", args=(tensor, _FORMATS[call.op]))
    return FailedCall(op="tolist", args=(tensor,))


def _mean(tensor: Given) -> str:
    is_float = tensor.dtype.startswith(("float", "bfloat", "complex"))
    return f"{wrapped(tensor.name)}.{'mean' if is_float else 'sum'}()"


def _no_whole(call: FailedCall, tensor: Given) -> Explained:
    """A list with a tensor of floats as its index."""
    code = call.text.replace(f"[{tensor.name}]", f"[int({tensor.name})]") if call.text else None
    code = code if code != call.text else None
    return Explained(
        rule=f"An index is a whole number, and {shaped(tensor)} is {tensor.dtype}.",
        proposals=(Proposal(said=f"make it whole: `{code or f'int({tensor.name})'}`", code=code),),
    )


def _no_row(call: FailedCall, tensor: Given) -> Explained:
    """A tensor of no dimensions, which has no parts."""
    asked = "len()" if call.op == "len" else "A loop"
    text = wrapped(tensor.name)
    code = f"{text}.reshape(1)"
    proposals = [
        Proposal(
            said=f"make it a vector of one element: `{code}`",
            code=call.code({0: code}),
            call=call.at({0: tensor.then("reshape", 1)}),
        ),
        Proposal(said=f"keep an axis where {tensor.name} is made: reduce over some, `dim=-1`"),
    ]
    return Explained(
        rule=f"{asked} needs an axis to go along, and {shaped(tensor)} has "
        f"{counted(0, 'dimension')}: it is one number.",
        proposals=tuple(proposals),
    )
