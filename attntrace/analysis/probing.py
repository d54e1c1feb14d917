"""Which sizes can change together without changing what runs, found by trying.

A probe is the same forward with other sizes. It fits where the same calls ran in the same order.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from attntrace.record import Kind, Shape

MOST = 24
"""Probes that are made at most."""


class Stroke(NamedTuple):
    """What a sketch has of one row of the forward."""

    op: str
    path: str
    kind: Kind
    shape: Shape | None


@dataclass(frozen=True, slots=True)
class Sketch:
    """The rows of one forward, and the shapes of the parameters by path."""

    strokes: tuple[Stroke, ...]
    parameters: Mapping[str, Shape] = field(default_factory=dict)
    failed: bool = False
    """Whether the forward raised after these rows."""
    declared: tuple[tuple[str, ...] | None, ...] = ()
    """The axes that rows have already, in order."""


@dataclass(frozen=True, slots=True)
class Probe:
    """What a forward did with other sizes."""

    sizes: Mapping[str, int]
    sketch: Sketch


Turns = Mapping[str, int]
"""By size: which of its other values it has."""
Run = Callable[[Turns], Probe | None]
"""Makes a probe; None where the sizes are refused, or nothing could be built with them."""


@dataclass(slots=True)
class Probes:
    """The probes of one run."""

    base: Probe
    run: Run
    whole: list[Probe] = field(default_factory=list)
    """Those that fit."""
    part: Probe | None = None
    """One with more sizes changed, which fits up to the row where what runs differs."""
    turns: dict[str, int] = field(default_factory=dict)
    """The sizes that change in the newest probe that fits."""
    unrolled: list[str] = field(default_factory=list)
    """The sizes with which something else runs."""
    parting: bool = False
    """Whether the newest probe that does not fit ran to its end."""
    made: int = 0

    def try_all(self, turns: Turns, *, beyond: bool = False) -> bool:
        """Make one probe with all these sizes changed, also `beyond` MOST; return whether it fits."""
        if self.made >= MOST and not beyond:
            return False
        self.made += 1
        probe = self.run(turns)
        self.parting = probe is not None and not probe.sketch.failed
        if probe is None:
            return False
        if fits(self.base.sketch, probe.sketch):
            self.whole, self.turns = [probe], dict(turns)
            return True
        if self.part is None or self._covers(probe) > self._covers(self.part):
            self.part = probe
        return False

    def grow(self, groups: Sequence[Sequence[str]], others: Sequence[int] = ()) -> None:
        """Change as many of these sizes as can change, halving where they cannot all.

        `others` are the turns that are tried for a group that cannot change as the rest do.
        """
        names = [name for group in groups for name in group]
        if self.try_all({**self.turns, **dict.fromkeys(names, 0)}):
            return
        if len(groups) > 1:
            self.halve(groups, others)
            return
        parting = self.parting
        if any(self.try_all({**self.turns, **dict.fromkeys(names, turn)}) for turn in others):
            return
        if len(names) > 1:
            self.halve([[name] for name in names], others)
        elif parting:
            self.unrolled += names

    def halve(self, groups: Sequence[Sequence[str]], others: Sequence[int] = ()) -> None:
        """Change as many of these sizes as can change, where they cannot all."""
        middle = len(groups) // 2
        for half in filter(None, (groups[:middle], groups[middle:])):
            self.grow(half, others)

    def again(self, turns: Turns) -> bool:
        """Make one more probe with the sizes that change, to tell formulas apart."""
        self.made += 1
        probe = self.run(turns)
        if probe is None or not fits(self.base.sketch, probe.sketch):
            return False
        self.whole.append(probe)
        return True

    def _covers(self, probe: Probe) -> int:
        return alike(self.base.sketch, probe.sketch)


def alike(base: Sketch, other: Sketch) -> int:
    """Return how many rows two forwards have in common before they part."""
    count = 0
    for one, two in zip(base.strokes, other.strokes, strict=False):
        if one[:3] != two[:3] or _rank(one) != _rank(two):
            break
        count += 1
    return count


def fits(base: Sketch, other: Sketch) -> bool:
    """Return whether the same calls ran in the same order, up to the same failure if any."""
    same = len(base.strokes) == len(other.strokes) and base.failed == other.failed
    return same and alike(base, other) == len(base.strokes)


def _rank(stroke: Stroke) -> int:
    return -1 if stroke.shape is None else len(stroke.shape)


def parted(probes: Probes) -> Iterator[str]:
    """Yield what is to be said where some sizes could not change."""
    if probes.unrolled:
        names = ", ".join(probes.unrolled)
        yield (
            f"what runs depends on {names}: where only that moves a dimension, axes has its number"
        )
