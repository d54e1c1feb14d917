"""Sentences about sizes: how a number divides, which size of which tensor, the changed code."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from attntrace.analysis.diagnosis.call import FailedCall, Given, Key, Proposal
from attntrace.analysis.diagnosis.words import listed, method, plain, wrapped

LONGEST = 72
"""Letters of an expression that a sentence can still quote."""


def quoted(call: FailedCall) -> str:
    """Return the failing expression as a sentence quotes it; the op where that is too long."""
    text = " ".join(call.text.split())
    return f"`{text}`" if 0 < len(text) <= LONGEST else f"`{plain(call.op)}`"


def times(sizes: Iterable[int]) -> str:
    """Return sizes as a product: "2*12*64"."""
    return "*".join(str(size) for size in sizes) or "1"


def divided(number: int, by: int) -> str:
    """Return how a number divides: "64 = 6*10 + 4", "147 = 3*49" by 3."""
    whole, rest = divmod(number, by)
    return f"{number} = {by}*{whole}" + (f" + {rest}" if rest else "")


def axis(dim: int, rank: int) -> str:
    """Return what a size is called: "the last size", "the size of axis 1"."""
    ends = {rank - 1: "the last size", rank - 2: "the second-last size"}
    return ends.get(dim, f"the size of axis {dim}") if rank > 1 else "the size"


def sized(tensor: Given, dim: int) -> str:
    """Return a size of a tensor with its place: "the last size of q, 32"."""
    dim %= tensor.rank
    return f"{axis(dim, tensor.rank)} of {tensor.name}, {(tensor.shape or ())[dim]}"


def stepped(tensor: Given, name: str | None = None) -> str:
    """Return the code of a tensor after its steps: "k.transpose(-2, -1)"."""
    text = tensor.name if name is None else name
    return (wrapped(text) if tensor.steps else text) + "".join(
        method(step, *args) for step, args in tensor.steps
    )


def amended(
    call: FailedCall,
    changes: Mapping[Key, Given],
    said: str,
    texts: Mapping[Key, str] | None = None,
) -> Proposal:
    """Return the proposal of the same call with other tensors, its code at the sentence's end.

    `texts` has what to write for them where that is not their names and steps.
    """
    texts = texts or {key: stepped(tensor) for key, tensor in changes.items()}
    code = call.code(texts)
    said = f"{said}: `{code or listed(texts.values())}`"
    return Proposal(said=said, code=code, call=call.at(changes))
