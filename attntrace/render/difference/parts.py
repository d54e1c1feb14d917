"""A difference sorted for telling: what no size explains, what the sizes do, what only came along."""

from __future__ import annotations

from dataclasses import dataclass

from attntrace.record.difference import Difference, ModuleChange, RowChange
from attntrace.render.units import counted


@dataclass(frozen=True, slots=True)
class Changes:
    """Rows and modules that are told together."""

    rows: tuple[RowChange, ...]
    modules: tuple[ModuleChange, ...]

    def __bool__(self) -> bool:
        """Whether there is any."""
        return bool(self.rows or self.modules)

    @property
    def is_one(self) -> bool:
        """Whether it is a single line."""
        return len(self.rows) + len(self.modules) == 1

    @property
    def counts(self) -> list[str]:
        """How many rows and modules these are, in words: "79 rows", "1 module"."""
        rows = sum(len(of.places) for of in self.rows)
        modules = sum(len(of.places) for of in self.modules)
        return [counted(n, word) for n, word in ((rows, "row"), (modules, "module")) if n]


def changes(difference: Difference, *, explained: bool) -> Changes:
    """Return what the sizes explain, or what they do not; without what came or went with others."""
    return Changes(
        tuple(of for of in difference.rows if of.explained is explained and not of.implied),
        tuple(of for of in difference.modules if of.explained is explained and not of.implied),
    )


def carried(difference: Difference) -> Changes:
    """Return the rows whose path alone is another, with that of their module."""
    return Changes(tuple(of for of in difference.rows if of.implied and of.what == "renamed"), ())
