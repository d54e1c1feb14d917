"""Which module and which row of one run is which of another; the same pairs from both sides."""

from __future__ import annotations

from dataclasses import dataclass

from attntrace.analysis.difference.align import Pair
from attntrace.analysis.difference.modules import moved_paths, paired_paths
from attntrace.analysis.difference.rows import paired_rows
from attntrace.analysis.difference.tree import Tree
from attntrace.record.snapshot import Snapshot


@dataclass(frozen=True, slots=True, kw_only=True)
class Pairs:
    """What two runs both have; what is in no pair, one of them has."""

    before: Tree
    after: Tree
    paths: dict[str, str]
    """The paths of the second run by those of the first, also of lists, which nobody calls."""
    moved_paths: dict[str, str]
    """Those of `paths` whose modules come in another order."""
    rows: list[Pair]
    """The places of rows, those of the first run rising."""
    moved: list[Pair]
    """Those of `rows` that come in another order."""

    @property
    def gone(self) -> frozenset[str]:
        """The modules that the first run alone has."""
        kept = (path for path, other in self.paths.items() if other in self.after.calls)
        return frozenset(self.before.calls.keys() - set(kept))

    @property
    def new(self) -> frozenset[str]:
        """The modules that the second run alone has."""
        return self.swapped().gone

    def swapped(self) -> Pairs:
        """Return the same pairs from the other side."""
        return Pairs(
            before=self.after,
            after=self.before,
            paths={other: path for path, other in self.paths.items()},
            moved_paths={other: path for path, other in self.moved_paths.items()},
            rows=sorted((j, i) for i, j in self.rows),
            moved=sorted((j, i) for i, j in self.moved),
        )


def pairs_of(before: Snapshot, after: Snapshot) -> Pairs:
    """Return the pairs of two runs: where two ways are as good, the same from both sides."""
    if _comes_first(after, before):
        return pairs_of(after, before).swapped()
    trees = Tree(before), Tree(after)
    paths = paired_paths(*trees)
    rows, moved = paired_rows(before.rows, after.rows, paths)
    return Pairs(
        before=trees[0],
        after=trees[1],
        paths=paths,
        moved_paths=moved_paths(before.modules, after.modules, paths),
        rows=rows,
        moved=moved,
    )


def _comes_first(one: Snapshot, other: Snapshot) -> bool:
    """Return whether one run comes before another, in an order that only serves to have one."""
    sizes = [(len(of.rows), len(of.modules)) for of in (one, other)]
    if sizes[0] != sizes[1]:
        return sizes[0] < sizes[1]
    items = zip((*one.rows, *one.modules), (*other.rows, *other.modules), strict=True)
    return next((repr(a) < repr(b) for a, b in items if a != b), False)
