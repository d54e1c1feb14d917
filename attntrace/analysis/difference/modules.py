"""Which module of one run is which of another, by its path and by what it holds."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import product

from attntrace.analysis.difference.align import numbered, rising
from attntrace.analysis.difference.tree import Tree
from attntrace.analysis.nesting import last_part
from attntrace.record.snapshot import SnapshotModule

_ALIKE = 0.5
"""The part of what two modules hold that they must share, and more, to be one under two names."""
_Pair = tuple[str, str]
_Calls = Sequence[SnapshotModule]


def paired_paths(before: Tree, after: Tree) -> dict[str, str]:
    """Return the paths of the second run by those of the first, of all modules that both have."""
    pairing = _Pairing(before, after)
    pairing.descend("", "")
    pairing.find_elsewhere()
    return pairing.paths


def moved_paths(before: _Calls, after: _Calls, paths: Mapping[str, str]) -> dict[str, str]:
    """Return those of the paths of both runs whose modules are entered in another order."""
    calls = numbered([paths.get(module.path) for module in before])
    others = numbered([module.path for module in after])
    pairs = [(at, others[call]) for call, at in calls.items() if call in others]
    crossing = set(pairs) - set(rising(pairs))
    return {before[i].path: after[j].path for i, j in crossing}


class _Pairing:
    """The pairs found so far, from the outermost modules inwards."""

    def __init__(self, before: Tree, after: Tree) -> None:
        self.before, self.after = before, after
        self.paths: dict[str, str] = {}
        self.taken: set[str] = set()

    def descend(self, path: str, other: str) -> None:
        """Pair two modules, and what lies right below them with each other, and so on."""
        waiting = [(path, other)]
        while waiting:
            path, other = waiting.pop()
            self.paths[path] = other
            self.taken.add(other)
            waiting += self._children(path, other)

    def find_elsewhere(self) -> None:
        """Pair what lies in other modules now: those around it were put there, or taken away.

        Only what has a name: a number in a list is nobody's own.
        """
        for path in self.before.children:
            if path not in self.paths and self.before.above(path) in self.paths:
                self._adopt([path], [way for way in self.after.children if way not in self.taken])
        for other in self.after.children:
            if other not in self.taken and self.after.above(other) in self.taken:
                self._adopt([way for way in self.before.children if way not in self.paths], [other])

    def _adopt(self, paths: list[str], others: list[str]) -> None:
        named = [(a, b) for a, b in product(paths, others) if last_part(a) == last_part(b)]
        fits = (pair for pair in named if self._alike(*pair) > _ALIKE)
        for pair in self._best(pair for pair in fits if not last_part(pair[0]).isdecimal())[:1]:
            self.descend(*pair)

    def _children(self, path: str, other: str) -> list[_Pair]:
        """Return the pairs right below two modules.

        The same name and type is the same module. Then the same name goes with what is alike, then
        another name with the same type and what is alike: a module was renamed, or another taken
        out of a list before it. Then the same name alone: its type was changed. Then another name
        and type with what is alike.
        """
        left = _Left(
            [way for way in self.before.children[path] if way not in self.paths],
            [way for way in self.after.children[other] if way not in self.taken],
        )
        left.take(pair for pair in left.named() if self._same_type(*pair))
        left.take(pair for pair in left.named() if self._alike(*pair) > _ALIKE)
        crossed = [pair for pair in left.crossed() if self._alike(*pair) > _ALIKE]
        left.take(self._best(pair for pair in crossed if self._same_type(*pair)))
        left.take(left.named())
        left.take(self._best(crossed))
        return left.found

    def _best(self, pairs: Iterable[_Pair]) -> list[_Pair]:
        return sorted(pairs, key=lambda pair: -self._alike(*pair))

    def _same_type(self, path: str, other: str) -> bool:
        return self.before.type(path) == self.after.type(other)

    def _alike(self, path: str, other: str) -> float:
        """Return the part of what two modules hold that both do: 1.0 for the same in all."""
        holds, held = self.before.contents(path), self.after.contents(other)
        both = sum(min(times, held[fact]) for fact, times in holds.items() if fact in held)
        return 2 * both / max(holds.total() + held.total(), 1)


class _Left:
    """What lies right below two modules, and what of it has no partner yet."""

    def __init__(self, paths: list[str], others: list[str]) -> None:
        self.paths = {last_part(path): path for path in paths}
        self.others = {last_part(other): other for other in others}
        self.found: list[_Pair] = []

    def named(self) -> list[_Pair]:
        """Return the pairs of the same name."""
        return [(self.paths[name], self.others[name]) for name in self.paths if name in self.others]

    def crossed(self) -> list[_Pair]:
        """Return all pairs."""
        return list(product(self.paths.values(), self.others.values()))

    def take(self, pairs: Iterable[_Pair]) -> None:
        """Keep pairs, the first ones first, of which neither has a partner yet."""
        for path, other in pairs:
            names = last_part(path), last_part(other)
            if self.paths.get(names[0]) == path and self.others.get(names[1]) == other:
                self.found.append((self.paths.pop(names[0]), self.others.pop(names[1])))
