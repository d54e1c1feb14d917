"""The headings above rows: which modules a table names, and how deep rows stand below them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from attntrace.analysis.nesting import Nesting, around
from attntrace.record import TensorRecord, Trace


@dataclass(slots=True)
class _Visit:
    """A stretch of rows inside one module, from entering it to leaving it."""

    rows: int = 0
    headed: str | None = None


class Headings:
    """The modules around each row of a trace.

    `deepest` is how deep a view goes, `titled` are paths that stand for several: there may be lists
    among them, which no module record is of.
    """

    def __init__(self, trace: Trace, deepest: int | None, titled: Iterable[str]) -> None:
        self.nesting, self.deepest = Nesting(trace), deepest
        self.modules = {module.path: module for module in reversed(trace.modules)}
        self.lists = set(titled) - self.modules.keys()
        self.named_lists: set[tuple[str, str]] = set()
        self.rows_of_phase: Counter[tuple[str, str]] = Counter()
        self.visits: list[dict[str, _Visit]] = []
        here: dict[str, _Visit] = {}
        phase, place = "", ""
        for row in trace.tensors:
            if (row.phase, row.path) != (phase, place):
                known = here if row.phase == phase else {}
                here = {path: known.get(path) or _Visit() for path in around(row.path)}
                phase, place = row.phase, row.path
            for path, visit in here.items():
                visit.rows += 1
                self.rows_of_phase[row.phase, path] += 1
            self.visits.append(here)

    def depth(self, path: str) -> int:
        """Return how deep the heading of a module stands, or would, were it not too deep."""
        depth = self.nesting.depth(path)
        depth = depth if self.deepest is None else min(depth, self.deepest + 1)
        return depth + sum(way in self.lists for way in around(path))

    def above(self, row: TensorRecord, titles: dict[str, str]) -> Iterator[tuple[str, str]]:
        """Yield the paths of the modules to be named above a row, and how: those that are new.

        A module is named where it has several rows or stands for others, whose `titles` go by path;
        once, unless it was left in between.
        """
        for path, visit in self.visits[row.index].items():
            title, module = titles.get(path), self.modules.get(path)
            named = title or (path if self._is_named(path, visit, row) else None)
            if named is None or visit.headed == named:
                continue
            visit.headed = named
            if module is not None:
                yield path, f"{named}: {module.type}" if named else module.type
            elif title is not None and (row.phase, title) not in self.named_lists:
                self.named_lists.add((row.phase, title))
                yield path, title

    def _is_named(self, path: str, visit: _Visit, row: TensorRecord) -> bool:
        if self.deepest is not None and self.nesting.depth(path) > self.deepest:
            return False
        is_parameters = row.kind == "gradient" and row.gradient_of is None
        apart = row.phase != "forward" and self.rows_of_phase[row.phase, path] > 1
        return not path or is_parameters or apart or visit.rows > 1
