"""Lines that repeat, written once: the layers of a stack, the steps of a loop.

A `Repeat` holds the lines of its first time. A number in braces counts up each time, so that
`layers.{0}.q` two times is `layers.0.q` and `layers.1.q`; a brace that is meant stands twice. A
repeat within a repeat is made of lines that have such braces already. Nothing is lost:
`unfolded(folded(lines))` are the lines, whatever is in them.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from operator import sub
from typing import NamedTuple

_LEAST = 6
"""Lines that a repeat must save: it takes two itself, and is harder to read."""
_TRIED = 16
"""Periods that are tried at one line."""
_NUMBER = re.compile(r"(?<![0-9])(0|[1-9][0-9]{0,17})(?![0-9])")
"""What may count: a whole number as Python writes it."""
_MARK = re.compile(r"(\{\{|\}\}|\{[0-9]{1,18}\}|[{}])")


class Line(NamedTuple):
    """One line: texts in which numbers may count up, the path first, and what stays as it is."""

    texts: tuple[str, ...]
    rest: tuple[Hashable, ...]


@dataclass(frozen=True, slots=True)
class Repeat:
    """Lines `times` times, the numbers in braces `step` higher each time."""

    times: int
    step: int
    """0 where there are none."""
    of: tuple[Folded, ...]


Folded = Line | Repeat


def folded(lines: Sequence[Line]) -> tuple[Folded, ...]:
    """Return the lines with what repeats in a row written once.

    From the first line on: of the repeats that begin at a line, the one that saves most. None begins
    in the middle of a numbered module such as `layers.0`. Takes milliseconds for thousands of lines.
    """
    return tuple(_Search(lines).all())


def unfolded(items: Iterable[Folded]) -> Iterator[Line]:
    """Yield the lines that `folded` was given.

    Raises:
        ValueError: a brace that is not twice and not a number's, or a number below 0.

    """
    for item in items:
        if isinstance(item, Line):
            yield item
            continue
        once = list(unfolded(item.of))
        for turn in range(item.times):
            for line in once:
                texts = (_at_turn(text, item.step * turn) for text in line.texts)
                yield Line(tuple(texts), line.rest)


def length(items: Iterable[Folded]) -> int:
    """Return how many lines `unfolded` would yield."""
    return sum(1 if isinstance(item, Line) else item.times * length(item.of) for item in items)


def _at_turn(text: str, more: int) -> str:
    """Return a text without braces, the numbers in them that much higher."""
    parts = _MARK.split(text)
    parts[1::2] = (_unmarked(mark, more) for mark in parts[1::2])
    return "".join(parts)


def _unmarked(mark: str, more: int) -> str:
    if mark in ("{{", "}}"):
        return mark[0]
    if mark in "{}":
        raise ValueError(f"{mark!r} alone; a brace that is meant stands twice")
    number = int(mark[1:-1]) + more
    if number < 0:
        raise ValueError(f"{mark} counts down to {number}")
    return str(number)


def _marked(text: str, counts: Iterator[object]) -> str:
    """Return a text with braces around those of its numbers that count, which `counts` tells."""
    parts = [part.replace("{", "{{").replace("}", "}}") for part in _NUMBER.split(text)]
    parts[1::2] = (f"{{{number}}}" if next(counts) else number for number in parts[1::2])
    return "".join(parts)


@dataclass(slots=True)
class _Pattern:
    """Lines that come again right behind themselves, their numbers `step` higher."""

    start: int
    period: int
    step: int
    more: list[tuple[int, ...]]
    """By how much each number of each line is higher the next time: `step`, or 0 if it stays."""
    times: int = 1

    @property
    def end(self) -> int:
        """The place behind the last time."""
        return self.start + self.period * self.times

    @property
    def saves(self) -> int:
        """The lines that need not be written."""
        return self.period * (self.times - 1)


class _Search:
    """The repeats among some lines."""

    def __init__(self, lines: Sequence[Line]) -> None:
        self.lines = lines
        self.shapes: list[int] = []
        """One number for lines that are the same but for the numbers in them."""
        self.numbers: list[tuple[int, ...]] = []
        self.places: dict[int, list[int]] = defaultdict(list)
        known: dict[Hashable, int] = {}
        for place, line in enumerate(lines):
            parts = [_NUMBER.split(text) for text in line.texts]
            key = tuple(tuple(part[::2]) for part in parts), line.rest
            shape = known.setdefault(key, len(known))
            self.shapes.append(shape)
            self.numbers.append(tuple(int(number) for part in parts for number in part[1::2]))
            self.places[shape].append(place)

    def all(self) -> Iterator[Folded]:
        """Yield the lines and the repeats."""
        at = 0
        while at < len(self.lines):
            found = self.best_at(at)
            if found is None:
                yield self.lines[at]
                at += 1
            else:
                yield Repeat(found.times, found.step, folded(self.block(found)))
                at = found.end

    def best_at(self, at: int) -> _Pattern | None:
        """Return the pattern that saves most of those that begin at a line."""
        same = self.places[self.shapes[at]]
        after = bisect_right(same, at)
        found = [self.pattern(at, other - at) for other in same[after : after + _TRIED]]
        good = [one for one in found if one is not None and one.saves >= _LEAST]
        return max(good, key=lambda one: one.saves, default=None)

    def pattern(self, start: int, period: int) -> _Pattern | None:
        """Return the pattern of so many lines, None where they are not there again."""
        more = self.more(start, period)
        steps = {step for line in more or () for step in line} - {0}
        if more is None or len(steps) > 1:
            return None
        found = _Pattern(start, period, max(steps, default=0), more)
        if self.begins_inside(found):
            return None
        while self.more(found.end - period, period) == more:
            found.times += 1
        return found

    def more(self, start: int, period: int) -> list[tuple[int, ...]] | None:
        """Return by how much the numbers of each line are higher a period on; None of other lines."""
        once, again = slice(start, start + period), slice(start + period, start + 2 * period)
        if self.shapes[once] != self.shapes[again]:
            return None
        pairs = zip(self.numbers[once], self.numbers[again], strict=True)
        return [tuple(map(sub, after, before)) for before, after in pairs]

    def begins_inside(self, found: _Pattern) -> bool:
        """Whether the line before is of the numbered module that a pattern begins in."""
        if not found.start or not found.step:
            return False
        before = self.lines[found.start - 1].texts[0]
        for line, more in zip(self.lines[found.start :], found.more, strict=False):
            parts = _NUMBER.split(line.texts[0])
            counted = next((at for at in range(len(parts) // 2) if more[at]), None)
            if counted is not None:
                module = "".join(parts[: 2 * counted + 2])
                return before == module or before.startswith(f"{module}.")
        return False

    def block(self, found: _Pattern) -> list[Line]:
        """Return the first time, with braces around what counts."""
        lines = self.lines[found.start : found.start + found.period]
        return [
            Line(tuple(_marked(text, counts) for text in line.texts), line.rest)
            for line, counts in zip(lines, map(iter, found.more), strict=True)
        ]
