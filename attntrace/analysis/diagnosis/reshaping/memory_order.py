"""Which axes of a tensor are in memory one after the other, so that `view` can merge them."""

from __future__ import annotations

import re
from dataclasses import replace
from itertools import pairwise
from math import prod

from attntrace.analysis.diagnosis.call import Culprit, Explained, FailedCall, Given, Key, Proposal
from attntrace.analysis.diagnosis.text import plain, quoted, times
from attntrace.analysis.diagnosis.writing import wrapped
from attntrace.record import Shape

_TURNS = re.compile(r"\.(transpose|permute|swapaxes|movedim|expand|t|mT|T)\b(\([^()]*\))?")


def explain(call: FailedCall, x: Given, wanted: tuple[int, ...]) -> Explained | None:
    """Return why `view` has no way to read a tensor's memory as the wanted shape.

    None where it has one, or where the strides are not known.
    """
    if x.shape is None or x.stride is None or not plain(call.op).startswith("view"):
        return None
    merged = _merged(x.shape, x.stride, _closed(x.shape, wanted))
    if merged is None:
        return None
    outer, inner = merged
    step, needed = x.stride[outer], x.stride[inner] * x.shape[inner]
    both = f"{times(x.shape[outer : inner + 1])} = {prod(x.shape[outer : inner + 1])}"
    turn = _TURNS.search(x.name)
    cause = f"after `{turn[0]}`" if turn else _cause(x.stride)
    return Explained(
        rule=f"{quoted(call)} merges axes {outer} and {inner} of {x.name}, {both}, which are not one "
        f"after the other in memory ({cause}): a step along axis {outer} is {step} and would "
        f"have to be {needed}; strides are {x.stride}, so the tensor is not contiguous.",
        culprits=(Culprit(tensor=x, dim=outer), Culprit(tensor=x, dim=inner)),
        proposals=(_reshape(call), _contiguous(call, x)),
    )


def _cause(stride: Shape) -> str:
    """Return what commonly leaves such strides behind."""
    if 0 in stride:
        return "as after expand"
    falls = [*stride] == sorted(stride, reverse=True)
    return "as after a slice" if falls else "as after transpose or permute"


def _closed(shape: Shape, wanted: tuple[int, ...]) -> tuple[int, ...]:
    known = prod(size for size in wanted if size != -1) or 1
    return tuple(prod(shape) // known if size == -1 else size for size in wanted)


def _merged(shape: Shape, stride: Shape, wanted: tuple[int, ...]) -> tuple[int, int] | None:
    """Return two neighbouring axes that share a wanted one and are apart in memory."""
    dims = [dim for dim, size in enumerate(shape) if size != 1]
    ends = {prod(wanted[:place]) for place in range(len(wanted) + 1)}
    for outer, inner in pairwise(dims):
        # a boundary between two axes that no wanted axis spans needs no order in memory
        apart = stride[outer] != stride[inner] * shape[inner]
        if apart and prod(shape[: outer + 1]) not in ends:
            return outer, inner
    return None


def _reshape(call: FailedCall) -> Proposal:
    name = plain(call.op).replace("view", "reshape")
    at = call.text.rfind(".view")
    code = (
        f"{call.text[:at]}.{name}{call.text[at + 1 + len(plain(call.op)) :]}" if at >= 0 else None
    )
    args = call.args
    if name == "reshape" and type(call[1]) is int:
        args = (args[0], tuple(args[1:]))
    fixed = replace(call, op=name, args=args)
    said = "use `.reshape(...)`, which copies where it must"
    return Proposal(said=f"{said}: `{code}`" if code else said, code=code, call=fixed)


def _contiguous(call: FailedCall, x: Given) -> Proposal:
    key: Key = call.key(0, "input")
    code = call.code({key: f"{wrapped(x.name)}.contiguous()"})
    said = "or copy first, with `.contiguous()`"
    changed = call.at({key: x.then("contiguous")})
    return Proposal(said=f"{said}: `{code}`" if code else said, code=code, call=changed)
