"""An operand of einsum whose heads and features are still one axis."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import prod

from attntrace.analysis.diagnosis.call import Given
from attntrace.analysis.diagnosis.products.equation import named, ranked
from attntrace.analysis.diagnosis.text import listed, times
from attntrace.record import Shape


def unsplit(
    terms: Sequence[str], operands: Sequence[Given], place: int
) -> tuple[Given, str] | None:
    """Return the operand with an axis split into letters that other operands have sizes for.

    "bnhd" of (3, 18, 32), where another operand has 4 at h, is (3, 18, 4, 8). None where the sizes
    do not tell.
    """
    tensor, term = operands[place], terms[place]
    known = dict(_known(terms, operands))
    for dim, parts in _ways(term, tensor.shape or (), known):
        letters = listed(term[dim : dim + len(parts)])
        split = tensor.then("unflatten", dim, parts)
        whole = (*(tensor.shape or ())[:dim], *parts, *(tensor.shape or ())[dim + 1 :])
        said = (
            f"split axis {dim} of {tensor.name}, {prod(parts)} = {times(parts)}, into {letters}, as "
            f"`.view({', '.join(map(str, whole))})` does"
        )
        return split, said
    return None


def _known(terms: Sequence[str], operands: Sequence[Given]) -> Iterator[tuple[str, int]]:
    for term, tensor in zip(terms, operands, strict=True):
        if ranked(term, tensor.rank):
            yield from (
                (letter, (tensor.shape or ())[dim]) for letter, dim in named(term, tensor.rank)
            )


def _ways(term: str, shape: Shape, known: dict[str, int]) -> Iterator[tuple[int, Shape]]:
    """Yield an axis with the sizes that it splits into, all other axes as the letters have them."""
    more = len(term) - len(shape)
    if "." in term or more < 1:
        return
    for dim in range(len(shape)):
        front, run, back = term[:dim], term[dim : dim + more + 1], term[dim + more + 1 :]
        rest = zip(front + back, (*shape[:dim], *shape[dim + 1 :]), strict=True)
        parts = _parts(run, shape[dim], known)
        if parts is not None and all(known.get(letter, size) == size for letter, size in rest):
            yield dim, parts


def _parts(run: str, size: int, known: dict[str, int]) -> Shape | None:
    """Return the sizes of letters that make up an axis; one of them may follow from the others."""
    product = prod(known[letter] for letter in run if letter in known)
    unknown = sum(letter not in known for letter in run)
    if unknown > 1 or unknown == len(run) or not product or size % product:
        return None
    rest = size // product
    if (rest == 1) != (unknown == 0):
        return None
    return tuple(known.get(letter, rest) for letter in run)
