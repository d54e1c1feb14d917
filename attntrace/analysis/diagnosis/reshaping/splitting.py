"""Axes that do not split evenly: heads of a width, windows of an image, pairs of features."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from math import gcd

from attntrace.analysis.diagnosis.text import listed
from attntrace.record import Shape


@dataclass(frozen=True, slots=True)
class Better:
    """Sizes that would split evenly."""

    changes: dict[int, int]
    """Other sizes by their place among those asked for."""
    said: str
    have: Shape = ()
    """What the axes would have to be that are split; empty where they stay."""


@dataclass(frozen=True, slots=True)
class Uneven:
    """An axis that was to be split, and the number that does not divide it."""

    size: int
    by: int
    place: int
    """Of the number among the sizes that were asked for."""
    kind: str
    """"heads", "window", or "groups" where the number counts the features of one part."""
    rest: dict[int, int]
    """The other size of the split by its place, -1 if left open."""
    together: int = 1
    """How many widths the axis holds: 3 of queries, keys and values."""
    windows: Shape = ()
    """The sizes of all axes that are cut into windows, height and width."""

    @property
    def axes(self) -> list[int]:
        """Which of the axes that are split do not split evenly."""
        return [at for at, size in enumerate(self.windows) if size % self.by] or [0]

    def better(self) -> Iterator[Better]:
        """Yield numbers that do divide, then what else the size could be."""
        near = sorted(divisors(gcd(self.size, *self.windows)), key=lambda n: abs(n - self.by))[:2]
        if near and self.kind != "groups":
            yield Better(self._changes(near[0]), self._choice(sorted(near)))
        low = self.size - self.size % self.by
        sizes = f"{low} or {low + self.by}" if low else f"{self.by}"
        if self.kind == "window":
            said = f"pad {self.size} to {low + self.by}, a multiple of {self.by}, with F.pad first"
            counts = [-(-size // self.by) for size in self.windows]
            changes = {2 * at: count for at, count in enumerate(counts)}
            yield Better(changes, said, tuple(count * self.by for count in counts))
        else:
            unit = "heads" if self.kind == "heads" else "features"
            said = f"make the width a multiple of {self.by} {unit}: {sizes}"
            rest = {at: low // self.by + 1 for at, size in self.rest.items() if size != -1}
            yield Better(rest, said, (self.together * (low + self.by),))

    def _changes(self, number: int) -> dict[int, int]:
        if self.windows:
            pairs = ((size // number, number) for size in self.windows)
            return dict(enumerate(size for pair in pairs for size in pair))
        rest = {at: self.size // number for at, size in self.rest.items() if size != -1}
        return {self.place: number, **rest}

    def _choice(self, near: list[int]) -> str:
        said = f"{self.by} does not divide {self.size}, choose a divisor: "
        if self.kind == "window":
            return said + listed((f"a window of {n}" for n in near), "or")
        return said + listed((f"num_heads={n} (head_dim={self.size // n})" for n in near), "or")


def uneven(have: Shape, want: Shape) -> Uneven | None:
    """Return which axis does not split as it was to be; None where that is not what is wrong."""
    if len(have) == 1:
        size, place = have[0], 0
        while len(want) - place > 2 and want[place] in (2, 3) and size % want[place] == 0:
            size, place = size // want[place], place + 1  # queries, keys and values
        if len(want) - place == 2:
            odd = _halves(size, want[place], want[place + 1], place)
            return odd and replace(odd, together=have[0] // size)
    elif have and len(want) == 2 * len(have) and -1 not in want:
        for at, size in enumerate(have):
            count, window = want[2 * at : 2 * at + 2]
            if window > 0 and size % window and count == size // window:
                place, rest = 2 * at + 1, {2 * at: count}
                return Uneven(size, window, place, "window", rest, windows=have)
    return None


def _halves(size: int, first: int, second: int, place: int) -> Uneven | None:
    if first > 0 and size % first and second in (-1, size // first):
        return Uneven(size, first, place, "heads", {place + 1: second})
    if second > 0 and size % second and (first == -1 or (first == size // second and size % first)):
        return Uneven(size, second, place + 1, "groups", {place: first})
    return None


def padded(name: str, before: Shape, after: Shape) -> str:
    """Return the code that puts zeros behind the ends of axes: "F.pad(x, (0, 0, 0, 5))"."""
    more = [b - a for a, b in zip(before, after, strict=True)]
    first = next(at for at, size in enumerate(more) if size)
    pads = ", ".join(f"0, {size}" for size in reversed(more[first:]))
    return f"F.pad({name}, ({pads}))"


def divisors(number: int) -> list[int]:
    """Return the whole numbers that divide one, 1 and itself left out."""
    return [n for n in range(2, number) if number % n == 0] if number < 2**20 else []
