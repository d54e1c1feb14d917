"""Which rows a table shows, and what is said of those that it leaves out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, get_args

from attntrace.analysis.fold import folds, stand_ins
from attntrace.analysis.narrow import Reason, Wanted, narrowed
from attntrace.analysis.pattern import Fold
from attntrace.record import TensorRecord, Trace
from attntrace.render.units import nbytes_text

if TYPE_CHECKING:
    from attntrace.render.sheet import View


class Shown:
    """The rows of a trace that a view shows: those that it wants, repeats once."""

    def __init__(self, trace: Trace, view: View) -> None:
        self.trace = trace
        self.wanted = Wanted(
            boundaries=view.level == "module",
            only=view.only,
            depth=view.depth,
            min_nbytes=view.min_nbytes,
        )
        self.kept, self.hidden = narrowed(trace, self.wanted)
        with_saved = "backward" in trace.began or "saved" in view.columns
        self.folds = folds(trace, self.kept, with_saved=with_saved) if view.fold else ()
        self.by_path: dict[str, list[Fold]] = {}
        for fold in self.folds:
            self.by_path.setdefault(fold.path, []).append(fold)
        self.stands = stand_ins(self.folds, len(self.kept))
        self.places = {row.index: place for place, row in enumerate(self.kept)}

    def rows(self) -> list[TensorRecord]:
        """Return the rows of the table."""
        return [row for place, row in enumerate(self.kept) if self.stands[place] == place]

    def row_for(self, index: int) -> int | None:
        """Return the row that stands for a row, itself where it is shown; None if it is hidden."""
        place = self.places.get(index)
        return None if place is None else self.kept[self.stands[place]].index

    def title(self, path: str, row: TensorRecord) -> str | None:
        """Return the name of all modules that one stands for, above a row; None for itself alone."""
        for fold in self.by_path.get(path, ()):
            if 0 <= self.places[row.index] - fold.start < fold.rows:
                return fold.title
        return None

    def lines(self, peaks: Iterable[int | None]) -> Iterator[tuple[str, str]]:
        """Yield what the footer says: what is hidden, each fold, a peak whose row is not shown."""
        hidden = self.hidden.total()
        marked = [index for index in dict.fromkeys(peaks) if index is not None]
        if hidden:
            reasons = [reason for reason in get_args(Reason) if self.hidden[reason]]
            why = ", ".join(f"{self.hidden[of]:,} {self._why(of)}" for of in reasons)
            rows = f"{hidden:,} of {len(self.trace.tensors):,} rows"
            yield "hidden", f"{rows}: {why}; totals count all"
        for index in marked:
            if self.row_for(index) is None:
                yield "hidden", f"the peak's {self._place(index)} is one of them"
        for fold in self.folds:
            yield "folded", f"{fold.title}: {self._costs(fold)}"
        for index in marked:
            if self.row_for(index) not in (None, index):
                yield (
                    "folded",
                    f"the peak's #{index} is marked where it repeats #{self.row_for(index)}",
                )

    def _why(self, reason: Reason) -> str:
        match reason:
            case "level":
                return "inside modules"
            case "only":
                return f"not matched by {', '.join(self.wanted.only)}"
            case "depth":
                return f"below depth {self.wanted.depth}"
            case "size":
                return f"under {nbytes_text(self.wanted.min_nbytes or 0)}"

    def _place(self, index: int) -> str:
        row = self.trace.tensors[index]
        return f"#{index} {row.name}" + (f", in {row.path}," if row.path else "")

    def _costs(self, fold: Fold) -> str:
        rows = self.kept[fold.start : fold.start + fold.rows * fold.count]
        nbytes = [row.allocated_nbytes + row.hidden_nbytes for row in rows]
        one, whole = nbytes_text(sum(nbytes[: fold.rows])), nbytes_text(sum(nbytes))
        each = "1 row" if fold.rows == 1 else f"{fold.rows} rows"
        return (
            f"{each} each, {len(rows):,} in all; "
            f"{one} allocated by each, {whole} by all (--unfold shows every row)"
        )
