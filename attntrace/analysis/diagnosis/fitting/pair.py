"""Two tensors of a call whose shapes must fit each other: one stays, the other is to be changed."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from attntrace.analysis.diagnosis.call import FailedCall, Given, Key, Proposal
from attntrace.analysis.diagnosis.fitting.changed import Changed
from attntrace.analysis.diagnosis.shapes import broadcast, clashes
from attntrace.analysis.diagnosis.writing import changed
from attntrace.record import Shape

_TABLE = re.compile(
    r"(^|[^a-z])(pos|pe|posit\w*|wpe|table|embed\w*|cos|sin|freqs?\w*|rope|rotary|bias|tril|causal|"
    r"triu|mask|alibi|slopes?|relative\w*|rel)([^a-z]|$)"
)


@dataclass(frozen=True, slots=True)
class Pair:
    """`main` is taken to be right, `other` to be what is changed."""

    call: FailedCall
    main: Given
    main_key: Key
    other: Given
    key: Key

    @property
    def wanted(self) -> Shape:
        """The shape that the other must broadcast with."""
        return self.main.shape or ()

    @property
    def got(self) -> Shape:
        """The shape that the other has."""
        return self.other.shape or ()

    @property
    def met(self) -> list[tuple[int, int]]:
        """Dims of `main` and of the other that meet and clash."""
        return clashes(self.wanted, self.got)

    def offer(self, said: str, new: Changed) -> Proposal:
        """Propose the call with the other changed."""
        return changed(self.call, said, {self.key: new.tensor}, {self.key: new.text})

    def offer_main(self, said: str, new: Changed) -> Proposal:
        """Propose the call with `main` changed."""
        return changed(self.call, said, {self.main_key: new.tensor}, {self.main_key: new.text})

    def built(self, said: str, *shape: int) -> Proposal:
        """Propose to make the other of another shape, somewhere before the call."""
        return Proposal(said=said, call=self.call.at({self.key: self.other.of_shape(*shape)}))

    def built_main(self, said: str, *shape: int) -> Proposal:
        """Propose to make `main` of another shape, somewhere before the call."""
        return Proposal(said=said, call=self.call.at({self.main_key: self.main.of_shape(*shape)}))

    def fits(self, new: Changed) -> bool:
        """Return whether the other, changed, broadcasts with `main`."""
        return broadcast(self.wanted, new.shape) is not None

    def resized(self, dim: int, size: int) -> Shape:
        """Return the other's shape with another size of one dim."""
        return (*self.got[:dim], size, *self.got[dim + 1 :])


Way = Callable[[Pair], Iterator[Proposal]]
"""Yields what may make a pair fit."""


def base(tensor: Given) -> str:
    """Return what a part was taken of: "self.pe" of "self.pe[:, :n]"."""
    return re.sub(r"(?<=\w)\[[^\[\]]*\]$", "", tensor.name) or tensor.name


def is_table(tensor: Given) -> bool:
    """Return whether a tensor was built once for all inputs: a parameter, a buffer, positions."""
    return tensor.path is not None or bool(_TABLE.search(tensor.name.lower()))


def is_mask(tensor: Given) -> bool:
    """Return whether a tensor says what is to be left out."""
    name = tensor.name.lower()
    return tensor.dtype == "bool" or any(
        word in name for word in ("mask", "causal", "tril", "triu")
    )


def paired(call: FailedCall, one: tuple[Key, Given], other: tuple[Key, Given]) -> Pair:
    """Return two arguments with the one that is rather to be changed as the other."""
    main, small = (other, one) if _weight(one[1]) < _weight(other[1]) else (one, other)
    return Pair(call, main[1], main[0], small[1], small[0])


def of_first(ways: Iterable[Way], pair: Pair) -> Iterator[Proposal]:
    """Yield what the first way proposes that proposes anything."""
    return iter(next((found for way in ways if (found := list(way(pair)))), ()))


def _weight(tensor: Given) -> tuple[int, ...]:
    size = 1
    for count in tensor.shape or ():
        size *= count
    made_here = tensor.name.endswith(")")
    return (not is_mask(tensor), not is_table(tensor), tensor.rank, not made_here, size)
