"""Runs side by side: a table of figures, and sentences that say what the differences are made of."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

from attntrace.analysis.compare import (
    FIGURES,
    Figures,
    Only,
    PartDifference,
    differences,
    figures,
    only_in,
)
from attntrace.record import Trace
from attntrace.render.compare_sentences import sentences
from attntrace.render.csv import csv_text
from attntrace.render.summary import heading
from attntrace.render.units import nbytes_text


@dataclass(frozen=True, slots=True)
class Variant:
    """One run, called by what sets it apart."""

    label: str
    trace: Trace


@dataclass(frozen=True, slots=True)
class Refused:
    """A combination that did not run, and why."""

    label: str
    reason: str


class FigureColumn(NamedTuple):
    """A figure of each run, and how it is written; of a number the smallest is marked."""

    key: str
    title: str
    write: Callable[[Any], str] = str

    @property
    def is_number(self) -> bool:
        """Whether less of it is better."""
        return self.write is not str


COLUMNS = (
    FigureColumn("peak_nbytes", "forward peak", nbytes_text),
    FigureColumn("training_peak_nbytes", "training peak", nbytes_text),
    FigureColumn("saved_for_backward_nbytes", "for backward", nbytes_text),
    FigureColumn("kernel", "kernel"),
    FigureColumn("flops", "FLOPs", "{:,}".format),
    FigureColumn("parameters", "parameters", "{:,}".format),
    FigureColumn("device", "device"),
    FigureColumn("dtype", "dtype"),
)
_IN_HEADING = ("device", "dtype")
"""Columns that are shown only where the runs differ in them: else the heading has them."""


@dataclass(frozen=True, slots=True)
class FigureCell:
    """What a cell shows; `best` if no run has less, and some run more."""

    text: str
    best: bool = False


class Compared:
    """Runs side by side, the first of them the one that the others are explained against."""

    def __init__(self, variants: Sequence[Variant], refused: Sequence[Refused] = ()) -> None:
        self.variants, self.refused = variants, refused
        self.figures = [figures(variant.trace) for variant in variants]
        self.columns = [column for column in COLUMNS if self._is_shown(column)]

    def _is_shown(self, column: FigureColumn) -> bool:
        values = set(self._values(column))
        return len(values) > 1 or (values != {None} and column.key not in _IN_HEADING)

    def _values(self, column: FigureColumn) -> list[Any]:
        return [getattr(found, column.key) for found in self.figures]

    @property
    def heading(self) -> str:
        """What is true of all runs: the parts of the mode line that they share."""
        lines = [heading(variant.trace).split(" | ") for variant in self.variants]
        return " | ".join(part for part in lines[0] if all(part in line for line in lines))

    @property
    def head(self) -> list[str]:
        """The titles of the columns."""
        return ["variant", *(column.title for column in self.columns)]

    @property
    def numbers(self) -> list[str]:
        """The titles of the columns that hold numbers."""
        return [column.title for column in self.columns if column.is_number]

    def rows(self) -> Iterator[list[FigureCell]]:
        """Yield a row a run."""
        for variant, found in zip(self.variants, self.figures, strict=True):
            cells = (self._cell(column, found) for column in self.columns)
            yield [FigureCell(variant.label), *cells]

    def _cell(self, column: FigureColumn, found: Figures) -> FigureCell:
        value = getattr(found, column.key)
        if value is None:
            return FigureCell("")
        known = [v for v in self._values(column) if v is not None]
        best = column.is_number and value == min(known) < max(known)
        return FigureCell(column.write(value), best)

    def lines(self) -> Iterator[tuple[str, list[str]]]:
        """Yield what was refused, then what sets each run apart from the first, as sentences."""
        if self.refused:
            yield "not run", [f"{item.label}: {item.reason}" for item in self.refused]
        first = self.variants[0]
        for other in self.variants[1:]:
            yield f"{other.label}, against {first.label}", sentences(first.trace, other.trace)


def to_csv(compared: Compared) -> str:
    """Return a line a run, numbers without units."""
    runs = zip(compared.variants, compared.figures, strict=True)
    head = ["variant", *asdict(compared.figures[0])]
    return csv_text([head, *([run.label, *asdict(found).values()] for run, found in runs)])


def to_json(compared: Compared) -> str:
    """Return the figures of each run, and its differences from the first tensor by tensor."""
    first = compared.variants[0]
    document = {
        "variants": [
            {"label": variant.label, **asdict(found), "spec": variant.trace.spec}
            for variant, found in zip(compared.variants, compared.figures, strict=True)
        ],
        "not_run": [asdict(item) for item in compared.refused],
        "against_first": [_against(first, other) for other in compared.variants[1:]],
    }
    return json.dumps(document, indent=1) + "\n"


def _against(first: Variant, other: Variant) -> dict[str, Any]:
    return {
        "label": other.label,
        "differences": {
            name: [_flat(found) for found in differences(parts(first.trace), parts(other.trace))]
            for name, parts in FIGURES.items()
        },
        "not_here": [_flat(item) for item in only_in(first.trace, other.trace)],
        "only_here": [_flat(item) for item in only_in(other.trace, first.trace)],
        "sentences": sentences(first.trace, other.trace),
    }


def _flat(found: PartDifference | Only) -> dict[str, Any]:
    """Return the fields of what was found behind those of its part."""
    facts = asdict(found)
    return {**facts.pop("part"), **facts}
