"""What explainers say things with: names of ops, tensors beside their shapes, sizes, and lists."""

from __future__ import annotations

from collections.abc import Iterable

from attntrace.analysis.diagnosis.call import FailedCall, Given

LONGEST = 72
"""Letters of an expression that a sentence can still quote."""


def plain(op: str) -> str:
    """Return an op's own name: "bmm" of "aten.bmm.default", "matmul" of "__rmatmul__"."""
    name = op.split(".")[1] if op.startswith("aten.") else op
    name = name.removeprefix("__").removesuffix("__")
    return "matmul" if name in ("rmatmul", "imatmul") else name.removesuffix("_")


def quoted(call: FailedCall) -> str:
    """Return the failing expression as a sentence quotes it; the op where that is too long."""
    text = " ".join(call.text.split())
    return f"`{text}`" if 0 < len(text) <= LONGEST else f"`{plain(call.op)}`"


def sizes(shape: Iterable[int] | None) -> str:
    """Return a shape as Python writes it: "(2, 10, 64)"."""
    return str(tuple(shape or ()))


def shaped(tensor: Given) -> str:
    """Return a tensor's name beside its shape: "q (2, 6, 10, 16)"."""
    return f"{tensor.name} {sizes(tensor.shape)}"


def axis(dim: int, rank: int) -> str:
    """Return what a size is called: "the last size", "the size of axis 1"."""
    ends = {rank - 1: "the last size", rank - 2: "the second-last size"}
    return ends.get(dim, f"the size of axis {dim}") if rank > 1 else "the size"


def sized(tensor: Given, dim: int) -> str:
    """Return a size of a tensor with its place: "the last size of q, 32"."""
    dim %= tensor.rank
    return f"{axis(dim, tensor.rank)} of {tensor.name}, {(tensor.shape or ())[dim]}"


def listed(items: Iterable[object], last: str = "and") -> str:
    """Return items as a sentence lists them: "q, k and v"."""
    *most, end = [str(item) for item in items]
    return f"{', '.join(most)} {last} {end}" if most else end


def names_of(tensors: Iterable[Given]) -> str:
    """Return the names of tensors as a sentence lists them, each once: "q, k and v"."""
    return listed(dict.fromkeys(tensor.name for tensor in tensors))


def ticked(codes: Iterable[str]) -> str:
    """Return pieces of code as a sentence lists them, each once: "`k.mT` and `v.mT`"."""
    return listed(dict.fromkeys(f"`{code}`" for code in codes))


def counted(number: int, noun: str) -> str:
    """Return a number with its noun: "1 axis", "3 axes", "2 sizes"."""
    plural = noun[:-2] + "es" if noun.endswith("is") else noun + "s"
    return f"{number} {noun if number == 1 else plural}"


def a_or_an(noun: str) -> str:
    """Return a noun with its article: "an ndarray", "a tuple"."""
    is_an = noun[:1].lower() in "aeiou" or noun.startswith("nd")
    return f"an {noun}" if is_an else f"a {noun}"


def times(factors: Iterable[int]) -> str:
    """Return sizes as a product: "2*12*64"."""
    return "*".join(str(size) for size in factors) or "1"


def divided(number: int, by: int) -> str:
    """Return how a number divides: "64 = 6*10 + 4", "147 = 3*49" by 3."""
    whole, rest = divmod(number, by)
    return f"{number} = {by}*{whole}" + (f" + {rest}" if rest else "")
