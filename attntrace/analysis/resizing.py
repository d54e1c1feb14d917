"""The axes of code of the user's own: which of its sizes can change, found by trying."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from math import isqrt

from attntrace.analysis.axes import Derived, Deriver
from attntrace.analysis.probing import MOST, Probe, Probes, Sketch, Turns

PRIMES = tuple(n for n in range(3, 600) if all(n % d for d in range(2, isqrt(n) + 1)))
"""One for each size: two of one value that shared a prime would move alike."""
GENERIC, MULTIPLE, ANOTHER, BESIDE, DOUBLE, NEXT, HALF = range(7)
"""The turns: a value that nothing divides where nothing asks for that, two multiples by primes, a
value near by, and what is tried where those fail."""
OTHERS = (MULTIPLE, DOUBLE, NEXT, HALF)
DECIDING = 8
"""Probes that are made at most to tell rounded quotients apart."""
NOT_ON_META = (
    "axes are numbers: without values, on meta, the forward does not do what it does with them"
)
Resize = Callable[[Mapping[str, int], int], Sketch | None]
"""Runs the code with these sizes changed, on meta, up to so many rows and one; None where it cannot
be built so."""


@dataclass(slots=True)
class Sizes:
    """The sizes of the code, and the other values that they are tried at.

    `parts` are those of the constructor: what they divide is multiplied along. A negative turn is
    the value itself.
    """

    now: Mapping[str, int]
    parts: frozenset[str] = frozenset()
    tied: dict[str, str] = field(default_factory=dict)
    """Sizes that change together with another of the same value."""

    @property
    def followed(self) -> set[str]:
        """The sizes that change together with others."""
        return {*self.tied, *self.tied.values()}

    def at(self, turns: Turns) -> dict[str, int]:
        """Return the values of some sizes at these turns."""
        return {name: self._value(name, turn) for name, turn in turns.items()}

    def _value(self, name: str, turn: int) -> int:
        size = self.now[name]
        if turn < 0:
            return -turn
        if turn in (GENERIC, MULTIPLE, ANOTHER):
            free = turn == GENERIC and name not in self.parts and name not in self.followed
            return size * self._factor(name, turn) + free
        place = [*self.now].index(self.tied.get(name, name))
        beside = {BESIDE: size + 1 + place, DOUBLE: 2 * size, NEXT: size + 1, HALF: size // 2}
        return max(1, beside[turn])

    def _factor(self, name: str, turn: int) -> int:
        names, size = [*self.now], self.now[name]
        whole = PRIMES[(names.index(self.tied.get(name, name)) + turn) % len(PRIMES)]
        leaders = {self.tied.get(part, part) for part in self.parts}
        for part in leaders - {name, self.tied.get(name, name)}:
            if 1 < self.now[part] < size and size % self.now[part] == 0:
                whole *= PRIMES[(names.index(part) + turn) % len(PRIMES)]
        return whole


def axes_of_code(base: Sketch, sizes: Sizes, resize: Resize) -> Derived:
    """Return the axes that the code shows; `sizes` has the names, the preferred first."""

    def run(turns: Turns) -> Probe | None:
        values = sizes.at(turns)
        found = resize(values, len(base.strokes))
        return None if found is None else Probe({**sizes.now, **values}, found)

    probes = Probes(Probe(sizes.now, base), run)
    if not _all(probes, sizes):
        before = probes.part
        on_meta, probes.whole, probes.part = probes.try_all({}), [], before
        if not on_meta:
            return Derived(notes=(NOT_ON_META,))
        probes.halve(_groups(sizes), OTHERS)
    _untie(probes, sizes)
    return _told_apart(probes, sizes)


def _all(probes: Probes, sizes: Sizes) -> bool:
    """Change all sizes at once: each apart, or those of one value together."""
    now, names = sizes.now, [*sizes.now]
    inputs = {now[name] for name in names if name not in sizes.parts}
    apart = not any(now[part] in inputs for part in sizes.parts)  # else it hardly works
    if not names or (apart and probes.try_all(dict.fromkeys(names, GENERIC))):
        return bool(names)
    _tie(sizes)
    return any(probes.try_all(dict.fromkeys(names, turn)) for turn in (GENERIC, MULTIPLE))


def _tie(sizes: Sizes) -> None:
    first: dict[int, str] = {}
    for name, size in sizes.now.items():
        leader = first.setdefault(size, name)
        if leader != name:
            sizes.tied[name] = leader


def _groups(sizes: Sizes) -> list[list[str]]:
    """Return the sizes, those of one value together, those of inputs first.

    A constructor may refuse all others one by one, until no probe is left.
    """
    groups: dict[str, list[str]] = {}
    for name in sorted(sizes.now, key=sizes.parts.__contains__):
        groups.setdefault(sizes.tied.get(name, name), []).append(name)
    return [*groups.values()]


def _untie(probes: Probes, sizes: Sizes) -> None:
    """Let each size change apart from others of its value, where it can.

    Where there was no probe left to find out whether it can, they do not change at all: a
    dimension would have the name of one because it is as large.
    """
    _free(probes, sizes, [name for name in sizes.tied if name in probes.turns])
    if probes.made >= MOST:
        together = Counter(sizes.tied.get(name, name) for name in probes.turns)
        kept = {n: turn for n, turn in probes.turns.items() if together[sizes.tied.get(n, n)] == 1}
        if len(kept) < len(probes.turns) and not probes.try_all(kept, beyond=True):
            probes.whole, probes.part = [], None


def _free(probes: Probes, sizes: Sizes, names: Sequence[str]) -> None:
    """Let as many of these change apart as can, halving where they cannot all."""
    ties = {name: sizes.tied.pop(name) for name in names}
    if not names or probes.try_all(probes.turns):
        return
    sizes.tied |= ties
    if len(names) > 1:
        middle = len(names) // 2
        _free(probes, sizes, names[:middle])
        _free(probes, sizes, names[middle:])


def _told_apart(probes: Probes, sizes: Sizes) -> Derived:
    """Return the axes; of more probes, where formulas take that or multiples hide a rounding."""
    names = [*sizes.now]
    deriver = Deriver(probes, names)
    alone = [n for n in probes.turns if n not in sizes.parts and n not in sizes.followed]
    if deriver.unknown() or any(probes.turns[name] == MULTIPLE for name in alone):
        more = {n: ANOTHER if turn <= MULTIPLE else turn for n, turn in probes.turns.items()}
        if not probes.again({**more, **dict.fromkeys(alone, BESIDE)}):
            near = [probes.again({**more, name: BESIDE}) for name in alone]
            _ = any(near) or probes.again(more)
        deriver = Deriver(probes, names)
    for _ in range(DECIDING):
        values = deriver.deciding()
        if not values or not probes.again({**probes.turns, **{n: -v for n, v in values.items()}}):
            break
        deriver = Deriver(probes, names)
    return deriver.derived()
