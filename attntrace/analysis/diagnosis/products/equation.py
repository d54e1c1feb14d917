"""The letters of an einsum's equation, against the shapes of its operands."""

from __future__ import annotations

import re
from collections.abc import Iterator

from attntrace.record import Shape


def ranked(term: str, rank: int) -> bool:
    """Return whether a term has a letter for each axis, or leaves some to its dots."""
    letters = len(term.replace("...", ""))
    return letters <= rank if "..." in term else letters == rank


def fits(terms: list[str], output: str | None, shapes: list[Shape], *, exact: bool = False) -> bool:
    """Return whether an equation fits shapes; if not `exact`, sizes of 1 fit every other."""
    sizes: dict[str, int] = {}
    for term, shape in zip(terms, shapes, strict=True):
        if not ranked(term, len(shape)):
            return False
        for letter, dim in named(term, len(shape)):
            size = sizes.setdefault(letter, shape[dim])
            if size != shape[dim] and (exact or 1 not in (size, shape[dim])):
                return False
            sizes[letter] = max(size, shape[dim])
    wanted = (output or "").replace("...", "")
    return len({*wanted}) == len(wanted) and {*wanted} <= {*sizes}


def named(term: str, rank: int) -> Iterator[tuple[str, int]]:
    """Yield the letters of a term with the axes that they name."""
    front, _, back = term.partition("...")
    yield from ((letter, dim) for dim, letter in enumerate(front))
    if "..." in term:
        yield from ((letter, rank - len(back) + at) for at, letter in enumerate(back))


def dots(term: str, shape: Shape) -> Shape:
    """Return the sizes that the dots of a term stand for."""
    front, _, back = term.partition("...")
    return shape[len(front) : len(shape) - len(back)]


def spelled(like: str, terms: list[str], output: str | None) -> str:
    """Return an equation with the spaces that another one has."""
    space = " " if " " in like else ""
    parts = [space.join(re.findall(r"\.\.\.|.", term)) for term in terms]
    equation = (", " if ", " in like else ",").join(parts)
    if output is None:
        return equation
    arrow = " -> " if " ->" in like else "->"
    return equation + arrow + space.join(re.findall(r"\.\.\.|.", output))
