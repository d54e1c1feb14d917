"""The modules of a run as they lie in each other, and what each of them holds."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from itertools import pairwise

from attntrace.analysis.nesting import around
from attntrace.record.snapshot import Snapshot, SnapshotModule, SnapshotRow


class Tree:
    """All paths of a run: of modules, of rows, and of the lists around them, which nobody calls."""

    def __init__(self, snapshot: Snapshot) -> None:
        self.calls: dict[str, list[SnapshotModule]] = {}
        self.rows: dict[str, list[SnapshotRow]] = {}
        self.children: dict[str, list[str]] = {"": []}
        for module in snapshot.modules:
            self.calls.setdefault(module.path, []).append(module)
        for row in snapshot.rows:
            self.rows.setdefault(row.path, []).append(row)
        for path in (*self.calls, *self.rows):
            for above, way in pairwise(around(path)):
                if way not in self.children:
                    self.children[way] = []
                    self.children[above].append(way)
        self._contents: dict[str, Counter[tuple[str | None, object]]] = {}

    def type(self, path: str) -> str | None:
        """Return the type of a module; None for a list, which nobody calls."""
        calls = self.calls.get(path)
        return calls[0].type if calls else None

    def above(self, path: str) -> str:
        """Return the nearest module around one, "" for the outermost."""
        return next((way for way in around(path)[-2::-1] if way in self.calls), "")

    def own(self, path: str) -> int:
        """Return the parameters of a module without those of the modules right below it.

        Below 0 where two modules below it share parameters: each of them counts these as its own.
        """
        waiting, found = list(self.children[path]), self.calls[path][0].parameters
        while waiting:
            way = waiting.pop()
            if way in self.calls:
                found -= self.calls[way][0].parameters
            else:
                waiting += self.children[way]
        return found

    def below(self, path: str) -> Iterator[str]:
        """Yield a path and all that lie below it, in the order of entering."""
        waiting = [path]
        while waiting:
            way = waiting.pop()
            yield way
            waiting += reversed(self.children[way])

    def contents(self, path: str) -> Counter[tuple[str | None, object]]:
        """Return what there is in a module: types, parameters, rows by name and by op.

        Each of it is there with its path inside the module and without one, so that a module is
        alike also where others in it were renamed, and still more alike than what is around it.
        """
        known = self._contents.get(path)
        if known is None:
            known = self._contents[path] = Counter()
            for way in self.below(path):
                facts = list(self._facts(way))
                known.update((way[len(path) :], fact) for fact in facts)
                known.update((None, fact) for fact in facts)
        return known

    def _facts(self, path: str) -> Iterator[object]:
        for module in self.calls.get(path, ())[:1]:
            yield from (("type", module.type), ("parameters", module.parameters))
        for row in self.rows.get(path, ()):
            yield from (("name", row.name), ("op", row.op, row.phase))
