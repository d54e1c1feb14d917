"""The list of tensors that a call joins, and what may be changed in it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import permutations
from typing import Any

from attntrace.analysis.diagnosis.call import FailedCall, Given, Key, Proposal
from attntrace.analysis.diagnosis.fitting.changed import Changed
from attntrace.analysis.diagnosis.text import listed, sizes
from attntrace.analysis.diagnosis.writing import wrapped
from attntrace.record import Shape


@dataclass(frozen=True, slots=True)
class Joined:
    """The list that a call joins."""

    call: FailedCall
    key: Key
    parts: tuple[Any, ...]

    def offer(self, said: str, changes: dict[int, Changed]) -> Proposal:
        """Propose the call with some of the list's tensors changed."""
        parts = [changes[n].tensor if n in changes else one for n, one in enumerate(self.parts)]
        return Proposal(
            said=said,
            code=self._code({n: new.text for n, new in changes.items()}),
            call=self.call.at({self.key: parts}),
        )

    def without(self, said: str, left_out: list[int]) -> Proposal:
        """Propose the call with some of the list left out."""
        parts = [one for n, one in enumerate(self.parts) if n not in left_out]
        return Proposal(said=said, call=self.call.at({self.key: parts}))

    @property
    def shapes(self) -> list[Shape]:
        """The shapes in the list, which holds tensors alone."""
        return [one.shape or () for one in self.parts]

    def change(self, said: str, one: Given, new: Changed) -> Proposal:
        """Propose the call with one tensor changed wherever it is in the list."""
        return self.offer(said, {n: new for n, part in enumerate(self.parts) if part == one})

    def _code(self, texts: dict[int, str]) -> str | None:
        """Return the author's expression with parts of a list that is written out changed."""
        if self.key not in self.call.spans:
            return None
        begin, end = self.call.spans[self.key]
        if not is_listed(self.call.text[begin:end]):
            return None
        names = [texts.get(n, getattr(one, "name", str(one))) for n, one in enumerate(self.parts)]
        return self.call.code({self.key: f"[{', '.join(names)}]"})


def is_listed(text: str) -> bool:
    """Return whether a list is written out, one element after the other."""
    return text[:1] in ("[", "(") and " for " not in text


def but(shape: Shape, at: int) -> Shape:
    """Return a shape without one of its sizes."""
    return (*shape[:at], *shape[at + 1 :])


def expanded(new: Changed, changed: dict[int, int]) -> Changed:
    """Return it with axes of size 1 repeated as a view: `cls.expand(2, -1, -1)`."""
    args = tuple(changed.get(n, -1) for n in range(len(new.shape)))
    shape = tuple(changed.get(n, size) for n, size in enumerate(new.shape))
    text = f"{wrapped(new.text)}.expand({', '.join(map(str, args))})"
    return Changed(new.tensor.then("expand", *args), text, shape)


def repeated(joined: Joined, pair: tuple[Given, Given], wrong: list[int]) -> Iterator[Proposal]:
    """A class token that was not expanded to the batch."""
    for one, other in (pair, pair[::-1]):
        a, b = one.shape or (), other.shape or ()
        if wrong and all(a[at] == 1 for at in wrong):
            new = expanded(Changed.of(one), {at: b[at] for at in wrong})
            what = "the batch" if wrong == [0] else "the other's size"
            said = (
                f"expand {one.name} to {what}, {listed([str(b[at]) for at in wrong])}, for joining "
                f"does not broadcast: `{new.text}`"
            )
            yield joined.change(said, one, new)


def resized(joined: Joined, axis: int | None) -> Iterator[Proposal]:
    """Maps of several heights and widths, as the stages of a network make them.

    `axis` is the one that sizes may differ in, None if there is none.
    """
    shapes = joined.shapes
    if {len(shape) for shape in shapes} != {4} or axis in (2, 3):
        return
    if len({shape[:2] if axis is None else but(shape[:2], axis) for shape in shapes}) > 1:
        return
    size = max((shape[2:] for shape in shapes), key=lambda one: one[0] * one[1])
    texts = [f"F.interpolate({one.name}, size={size})" for one in joined.parts]
    parts = [one.of_shape(*(one.shape or ())[:2], *size) for one in joined.parts]
    begin, end = joined.call.spans.get(joined.key, (0, 0))
    listing = joined.call.text[begin:end]
    if is_listed(listing):
        texts = [
            text if shape[2:] != size else one.name
            for text, one, shape in zip(texts, joined.parts, shapes, strict=True)
        ]
        listing = f"[{', '.join(texts)}]"
    else:
        listing = f"[F.interpolate(one, size={size}) for one in {listing}]"
    found = sorted({shape[2:] for shape in shapes}, reverse=True)
    said = (
        f"bring the maps of {listed(f'{high}*{wide}' for high, wide in found)} to one height and "
        f"width: resize them, `{listing}`, or pool them with F.adaptive_avg_pool2d"
    )
    code = joined.call.code({joined.key: listing}) if begin < end else None
    yield Proposal(said=said, code=code, call=joined.call.at({joined.key: parts}))


def permuted(joined: Joined, pair: tuple[Given, Given], axis: int) -> Iterator[Proposal]:
    """A cache (B, T, H, D) joined to keys (B, H, T, D): the sizes say how the axes go."""
    for one, other in (pair, pair[::-1]):
        order = _order(one.shape or (), other.shape or (), axis)
        if order is not None:
            new = Changed.of(one).ordered(order)
            a, b = sizes(one.shape), sizes(other.shape)
            said = (
                f"{one.name} {a} has its axes in another order than {other.name} {b}: transpose "
                f"it, `{new.text}` has shape {sizes(new.shape)}"
            )
            yield joined.change(said, one, new)


def _order(got: Shape, wanted: Shape, axis: int) -> tuple[int, ...] | None:
    """Return the order of axes in which all but `axis` agree, the one of the fewest moves."""
    ways = [
        order
        for order in permutations(range(len(got)))
        if all(got[place] == wanted[at] for at, place in enumerate(order) if at != axis)
    ]
    return min(ways, key=lambda order: sum(a != b for a, b in enumerate(order)), default=None)
