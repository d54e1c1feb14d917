"""Siblings in a row that repeat, alone or several in turn, each time under their next names."""

from __future__ import annotations

from dataclasses import dataclass

from attntrace.analysis.nesting import last_part

_LONGEST = 12
"""The most modules of a pattern, such as five layers with a window and one without."""
_LEAST = 4
"""Rows that a fold must save: it takes a line itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fold:
    """Modules whose rows repeat `count` times; `rows` rows from place `start` on are one repeat."""

    path: str
    """The path of the first module."""
    last: str
    """The name of the sibling that the title ends with, its own where one module is called again."""
    each: int
    """Siblings that make one repeat."""
    count: int
    start: int
    rows: int

    @property
    def title(self) -> str:
        """All the paths in short: "stack.layers.0-125 x126", "encoder.block1-block4 x4"."""
        to = "" if self.last == last_part(self.path) else f"-{self.last}"
        of = f" of {self.each}" if self.each > 1 else ""
        return f"{self.path}{to} x{self.count}{of}"

    def shows(self, place: int) -> int:
        """Return the place in the first repeat that stands for a place; one outside for itself."""
        past = place - self.start
        inside = 0 <= past < self.rows * self.count
        return self.start + past % self.rows if inside else place


@dataclass(slots=True)
class Unit:
    """The rows of one call of a module: its own up to `end`, the caller's from there to `stop`."""

    path: str
    call: int | None
    forward: bool
    start: int
    end: int
    stop: int
    own: tuple[int, ...] = ()
    rest: tuple[int, ...] = ()

    @property
    def parent(self) -> str:
        """The path of what holds the module."""
        return self.path.rpartition(".")[0]

    def holds(self, path: str, call: int | None, forward: bool) -> bool:
        """Return whether a row that comes next is of the same call."""
        return (self.path, self.forward) == (path, forward) and call in (None, self.call)


def folds_of(units: list[Unit]) -> dict[int, Fold]:
    """Return the folds of some units, by the place where each starts."""
    found: dict[int, Fold] = {}
    past = 0
    for at, unit in enumerate(units):
        fold = _fold_at(units, at) if unit.start >= past else None
        if fold is not None:
            found[fold.start] = fold
            past = fold.start + fold.rows * fold.count
    return found


def _fold_at(units: list[Unit], at: int) -> Fold | None:
    """Return the fold that begins with a unit, the one with the shortest pattern."""
    for period in range(1, min(_LONGEST, (len(units) - at) // 2) + 1):
        found = _Pattern(units, at, period)
        if found.saves >= _LEAST:
            rotated = [_Pattern(units, at + turn, period) for turn in range(found.rotations)]
            return max(rotated, key=lambda pattern: pattern.leading_rows * pattern.count).fold()
    return None


class _Pattern:
    """Some units in a row, and how often they repeat, each time with their next siblings."""

    def __init__(self, units: list[Unit], at: int, period: int) -> None:
        self.units, self.at, self.period = units, at, period
        self.one, self.two = units[at : at + period], units[at + period : at + 2 * period]
        length = period
        while at + length < len(units) and self.goes_on(length):
            length += 1
        self.count = length // period
        self.rows = self.two[0].start - self.one[0].start

    @property
    def saves(self) -> int:
        """How many rows it takes away."""
        return self.rows * (self.count - 1)

    @property
    def leading_rows(self) -> int:
        """How many rows of a repeat are of the module that it begins with."""
        return sum(unit.end - unit.start for unit in self.one if unit.path == self.one[0].path)

    @property
    def rotations(self) -> int:
        """How many units of the pattern a repeat might as well begin with.

        In backward the rows of a layer lie apart: it hands a gradient to the layer before, and then
        goes on with its own. So siblings alternate, and any of them may be the first.
        """
        here = {unit.path for unit in self.one}
        turn = any(
            unit.path != like.path and unit.path in here
            for unit, like in zip(self.two, self.one, strict=False)
        )
        alternate = turn and len({unit.parent for unit in self.one}) == 1
        return min(self.period, len(self.units) - self.at - self.period) if alternate else 1

    def goes_on(self, length: int) -> bool:
        """Return whether the unit `length` after the first one fits.

        Between two modules their caller may have rows of its own, after the last others.
        """
        times, place = divmod(length, self.period)
        unit, like = self.units[self.at + length], self.one[place]
        before, before_like = self.units[self.at + length - 1], self.one[place - 1]
        return (
            unit.own == like.own
            and unit.rest[: len(like.rest)] == like.rest
            and len(before.rest) == len(before_like.rest)
            and unit.parent == like.parent
            and self.names_go_on(last_part(unit.path), place, times)
        )

    def names_go_on(self, name: str, place: int, times: int) -> bool:
        """Return whether a sibling is next: the same one again, the next number, or another name."""
        first, second = (last_part(unit.path) for unit in (self.one[place], self.two[place]))
        if first == second or not (name + first + second).isdecimal():
            return (name == first) == (first == second)
        return int(name) == int(first) + times * (int(second) - int(first))

    def fold(self) -> Fold:
        """Return it as a fold."""
        units = self.units[self.at : self.at + self.period * self.count]
        places = {(unit.parent == units[0].parent, unit.path) for unit in units}
        alike = all(same_parent for same_parent, _ in places)
        siblings = alike and len(places) == len(units)
        again = alike and len(places) == self.period
        return Fold(
            path=units[0].path,
            last=last_part(units[-1 if siblings else -self.period].path),
            each=self.period if siblings or again else 1,
            count=self.count,
            start=units[0].start,
            rows=self.rows,
        )
