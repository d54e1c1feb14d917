"""What sets one run apart from another: rows, modules and figures, before and after."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from attntrace.record.runs import Setting
from attntrace.record.snapshot import SnapshotModule, SnapshotRow

TOLERANCE = 0.01
"""The part by which a measured number may differ, unless the user says otherwise."""
What = Literal["inserted", "removed", "renamed", "changed", "moved"]
"""renamed: by another name or in another module, whatever else changed; moved: the same in all but
its place in the order."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RowChange:
    """One row that is not as it was, or the same change in many places."""

    what: What
    before: SnapshotRow | None
    """None of a row that was inserted."""
    after: SnapshotRow | None
    """None of a row that was removed. Of many places, both are those of the first."""
    places: tuple[str, ...]
    """The module paths in which the same happened, that of `after` (or `before`) first: one a row,
    so that a module with two such rows is there twice."""
    were: tuple[str, ...] = ()
    """The module paths of `before` in these places, where they are others; () where none is."""
    names: tuple[str, ...] = ()
    """Its names in these places, where they differ by a number; () where all are the same."""
    moved: bool = False
    """Whether it comes at another place in the order, whatever else changed."""
    implied: bool = False
    """Whether it came, went, or got another path alone, with the module that it is in."""
    explained: bool = False
    """Whether it is what the sizes that changed make of it, and nothing else."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SettingChange:
    """One setting of a module of torch's that is not as it was."""

    name: str
    before: Setting | None
    """None where there was none."""
    after: Setting | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ParameterChange:
    """One parameter of a module's own that is not as it was."""

    what: What
    """renamed: the same dtype and shape by another name; changed: the same name alone."""
    before: tuple[str, str] | None
    """Its name, dtype and shape as in `SnapshotModule.own`; None of one that is new."""
    after: tuple[str, str] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ModuleChange:
    """One module that is not as it was, or many alike.

    Changed are its type, how often it is called, or parameters or settings of its own: those of a
    module below it are told there.
    """

    what: What
    before: SnapshotModule | None
    after: SnapshotModule | None
    places: tuple[str, ...]
    """As of rows, each module once."""
    were: tuple[str, ...] = ()
    calls: tuple[int, int] = (1, 1)
    """How often one of them is called, before and after; 0 where it is not there."""
    moved: bool = False
    implied: bool = False
    """Whether it was inserted or removed with the module around it."""
    own: tuple[ParameterChange, ...] = ()
    """What changed of its own parameters, where it was there and still is."""
    settings: tuple[SettingChange, ...] = ()
    """What changed of how it was made, likewise."""
    explained: bool = False
    """As of rows; of a module that came or went, whether it is one layer of so many."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One number of two runs: a size, parameters, rows, bytes, a measured peak."""

    name: str
    """"parameters", "rows", "nbytes" (of all rows), "peak_nbytes", of sizes "size heads"."""
    before: int | None
    """None where that run has no such number."""
    after: int | None
    device: str | None = None
    """Of a measured number, the device of both."""
    tolerance: float = 0.0
    """The part of `before` by which `after` may differ: 0.01 for one hundredth."""

    @property
    def differs(self) -> bool:
        """Whether the two are further apart than is tolerated."""
        if self.before is None or self.after is None:
            return self.before is not self.after
        return abs(self.after - self.before) > self.tolerance * self.before


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """Everything in which two runs differ; false where they are the same."""

    rows: tuple[RowChange, ...]
    """In the order of the second run, what was removed where it stood in the first."""
    modules: tuple[ModuleChange, ...]
    """In the same order. Of a module that was inserted or removed, those below it, too."""
    figures: tuple[Figure, ...]
    """All that both could have, also those that are equal: the totals of a table."""
    subjects: tuple[str, str]
    """What ran, before and after."""

    def __bool__(self) -> bool:
        """Whether anything differs: a row, a module or a figure."""
        changed = self.rows or self.modules or self.subjects[0] != self.subjects[1]
        return bool(changed) or any(figure.differs for figure in self.figures)
