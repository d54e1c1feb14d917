"""What a table leaves out because it repeats, and what is said of it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from attntrace.analysis.fold import Fold, folds, stand_in
from attntrace.record import TensorRecord, Trace
from attntrace.render.units import nbytes_text


class Folded:
    """The repeats of a trace, or none of them where every row is wanted."""

    def __init__(self, trace: Trace, wanted: bool) -> None:
        self.trace = trace
        self.folds = folds(trace) if wanted else ()

    def shows(self, row: TensorRecord) -> bool:
        """Return whether a row stands in the table."""
        return self.row_for(row.index) == row.index

    def row_for(self, index: int) -> int:
        """Return the row that stands for a row."""
        return stand_in(self.folds, index)

    def title(self, path: str, row: TensorRecord) -> str | None:
        """Return the name of all modules that one stands for, above a row; None for itself alone."""
        for fold in self.folds:
            if fold.path == path and 0 <= row.index - fold.start < fold.rows:
                return fold.title
        return None

    def lines(self, peaks: Iterable[int | None]) -> Iterator[tuple[str, str]]:
        """Yield what the footer says: of each fold, and of a peak's row that is not in the table."""
        for fold in self.folds:
            yield "folded", f"{fold.title}: {self._costs(fold)}"
        for index in dict.fromkeys(peaks):
            if index is not None and self.row_for(index) != index:
                yield (
                    "folded",
                    f"the peak's #{index} is marked where it repeats #{self.row_for(index)}",
                )

    def _costs(self, fold: Fold) -> str:
        rows = self.trace.tensors[fold.start : fold.start + fold.rows * fold.count]
        nbytes = [row.allocated_nbytes + row.hidden_nbytes for row in rows]
        one, whole = nbytes_text(sum(nbytes[: fold.rows])), nbytes_text(sum(nbytes))
        return (
            f"{fold.rows} rows each, {len(rows):,} in all; "
            f"{one} allocated by each, {whole} by all (--no-fold shows every row)"
        )
