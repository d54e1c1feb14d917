"""The largest size that fits a budget, found by trying sizes: every figure was really measured.

The measure is a function, so that this file knows nothing of runs. Where it grows with the size,
what is found is the boundary; where it does not, it is a size that fits next to one that does not.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from fractions import Fraction

LIMIT = 2**40
"""The largest size that is tried."""
_LOOK = 1024
"""Where the rules refuse a size: how many beside it are looked at for one that they allow."""
_POINTS = 3
"""Measures that a curve goes through: as many as make a parabola."""
_FARTHEST = 1024
"""The most that a guess is above the largest size that fits, in multiples of it."""
_NEAR = 4
"""A refused size is worth looking around up to so many times the largest that fits."""


@dataclass(frozen=True, slots=True)
class Probe:
    """One size that was tried: its bytes, or why it was refused."""

    size: int
    nbytes: int | None = None
    refusal: str | None = None


@dataclass(frozen=True, slots=True)
class Found:
    """What a search found on both sides of the budget, and all that was tried, in order."""

    fits: Probe | None
    """The largest size that fits; None if nothing does."""
    beyond: Probe | None
    """The next size: over the budget, or refused. None if all sizes fit."""
    over: Probe | None
    """The smallest size above `fits` that was measured to be over the budget."""
    tried: tuple[Probe, ...]


@dataclass(slots=True)
class Search:
    """A search for the largest size, from 1 to LIMIT, whose measure is at most the budget.

    `measure` is dear, and returns bytes, or why that size fails, which then larger ones do, too;
    `refused` is cheap, and says why a size may not be measured at all, or None.
    A size is doubled until it does not fit. Then the gap is narrowed by the curve through the last
    three measures, since bytes are polynomials in a size, piece by piece, of degree 2 at most; and
    every third time by halving, since a piece may end.
    """

    measure: Callable[[int], int | str]
    refused: Callable[[int], str | None]
    budget: int
    low: int = 0
    """The largest size known to fit, 0 for none."""
    high: int = LIMIT + 1
    """The smallest size above it known not to."""
    tried: dict[int, Probe] = field(default_factory=dict)

    def largest(self, start: int) -> Found:
        """Return the largest size that fits; `start` is tried first."""
        size: int | None = start
        while size is not None:
            self.try_near(size)
            size = self.guess() if self.high - self.low > 1 else self.after_refused()
        over = [p for p in self.tried.values() if p.nbytes is not None and p.size > self.low]
        return Found(
            fits=self.tried.get(self.low),
            beyond=self.tried.get(self.high),
            over=min(over, key=lambda probe: probe.size, default=None),
            tried=tuple(self.tried.values()),
        )

    def try_near(self, size: int) -> None:
        """Measure a size; where it is refused, the nearest below that is not."""
        refusal = self.refused(size)
        if refusal is None:
            self.try_at(size)
            return
        near = not self.low or size <= _NEAR * self.low  # far off, a size above is not worth a scan
        for below in range(size - 1, max(self.low, size - _LOOK) if near else size, -1):
            if self.refused(below) is None:
                self.try_at(below)
                return
        self.tried[size] = Probe(size, refusal=refusal)
        self.high = size

    def try_at(self, size: int) -> None:
        """Measure a size, and move the bound on its side."""
        if size not in self.tried:
            found = self.measure(size)
            probe = Probe(size, found) if isinstance(found, int) else Probe(size, refusal=found)
            self.tried[size] = probe
        nbytes = self.tried[size].nbytes
        if nbytes is not None and nbytes <= self.budget:
            self.low = size
        else:
            self.high = size

    def guess(self) -> int:
        """Return the size between the bounds to try next."""
        measured = [(p.size, p.nbytes) for p in self.tried.values() if p.nbytes is not None]
        if len(measured) >= _POINTS and len(self.tried) % _POINTS:
            guess = self._on_curve(measured[-_POINTS:])
            if guess < self.high - 1 or not self._ends_refused:
                return guess
        if self.high > LIMIT:
            return min(2 * self.low, LIMIT)
        return (self.low + self.high) // 2

    @property
    def _ends_refused(self) -> bool:
        return self.high in self.tried and self.tried[self.high].refusal is not None

    def _on_curve(self, points: list[tuple[int, int]]) -> int:
        """Return the size where the curve through the points meets the budget."""
        low, high = self.low + 1, min(self.high, max(1, self.low) * _FARTHEST)
        while high - low > 1:
            middle = (low + high) // 2
            fits = _through(points, middle) <= self.budget
            low, high = (middle, high) if fits else (low, middle)
        return low

    def after_refused(self) -> int | None:
        """Return the next size that the rules allow, where one right above the answer is refused."""
        if not self._ends_refused or self.refused(self.high) is None:
            return None
        for size in range(self.high + 1, min(self.high + _LOOK, LIMIT)):
            if size in self.tried and self.tried[size].nbytes is not None:
                return None
            if self.refused(size) is None:
                self.high = LIMIT + 1
                return size
        return None


def _through(points: list[tuple[int, int]], x: int) -> Fraction:
    """Return the value at x of the polynomial through the points (Lagrange)."""
    total = Fraction(0)
    for a, value in points:
        term = Fraction(value)
        for b, _ in points:
            if b != a:
                term *= Fraction(x - b, a - b)
        total += term
    return total
