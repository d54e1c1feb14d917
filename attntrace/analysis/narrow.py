"""Which rows of a trace are wanted: down to a depth, of some modules or names, from a size on."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

from attntrace.analysis.nesting import Nesting, around, last_part
from attntrace.record import TensorRecord, Trace

Reason = Literal["level", "only", "depth", "size"]
"""What hides a row; of several, the one that comes first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What rows must fulfil to be shown."""

    boundaries: bool = False
    """Whether only what goes into the run and what modules return is wanted."""
    only: tuple[str, ...] = ()
    """Patterns, of which a row must match one."""
    depth: int | None = None
    """The deepest modules whose own rows are wanted: the outermost is 0, those it calls are 1."""
    min_nbytes: int | None = None
    """The least logical size; a row whose size is not known is wanted."""


def narrowed(trace: Trace, wanted: Wanted) -> tuple[list[TensorRecord], Counter[Reason]]:
    """Return the rows that are wanted, and how many are not, by what hides them."""
    if wanted == Wanted():
        return list(trace.tensors), Counter()
    test = _Test(trace, wanted)
    reasons = [test.hides(row) for row in trace.tensors]
    kept = [row for row, reason in zip(trace.tensors, reasons, strict=True) if reason is None]
    return kept, Counter(reason for reason in reasons if reason is not None)


class _Test:
    """What hides rows, over what is looked up for each."""

    def __init__(self, trace: Trace, wanted: Wanted) -> None:
        self.trace, self.wanted = trace, wanted
        self.nesting = Nesting(trace)
        self.paths: dict[str, bool] = {}
        self.returned: dict[int, int] = {}
        for module in trace.modules:
            for row in module.outputs:
                depth = self.nesting.depth(module.path)
                self.returned[row] = min(depth, self.returned.get(row, depth))

    def hides(self, row: TensorRecord) -> Reason | None:
        """Return why a row is not wanted, None if it is."""
        of = row.index if row.gradient_of is None else row.gradient_of
        wanted = self.wanted
        if wanted.boundaries and of not in self.returned and self.trace.tensors[of].kind != "input":
            return "level"
        if wanted.only and not self.is_inside(row):
            return "only"
        if wanted.depth is not None and not self.is_above(row, of, wanted.depth):
            return "depth"
        small = wanted.min_nbytes is not None and row.nbytes is not None
        return "size" if small and (row.nbytes or 0) < (wanted.min_nbytes or 0) else None

    def is_above(self, row: TensorRecord, of: int, depth: int) -> bool:
        """Return whether a row is of a module down to a depth, or what one just below returned."""
        return (
            self.nesting.depth(row.path) <= depth or self.returned.get(of, depth + 2) <= depth + 1
        )

    def is_inside(self, row: TensorRecord) -> bool:
        """Return whether a name, or a module around a row, matches one of the patterns."""
        patterns = self.wanted.only
        if row.path not in self.paths:
            ways = around(row.path)[1:]
            self.paths[row.path] = any(_matches(way, p) for p in patterns for way in ways)
        return self.paths[row.path] or any(
            glob(pattern).fullmatch(row.name) for pattern in patterns
        )


@lru_cache(maxsize=256)
def glob(text: str) -> re.Pattern[str]:
    """Return what a text with `*` and `?` matches; `[` is a letter, as in the name `x[0]`."""
    marks = {"*": ".*", "?": "."}
    return re.compile("".join(marks.get(letter, re.escape(letter)) for letter in text), re.DOTALL)


def _matches(path: str, pattern: str) -> bool:
    return any(glob(text).fullmatch(path) for text in (pattern, f"*.{pattern}"))


def unmatched(trace: Trace, patterns: Sequence[str]) -> list[str]:
    """Return the patterns that no row of a trace matches."""
    return [p for p in patterns if not narrowed(trace, Wanted(only=(p,)))[0]]


def matchable(trace: Trace) -> Iterator[str]:
    """Yield what a pattern without wildcards may be: names, paths and last parts, each once."""
    paths = dict.fromkeys(way for row in trace.tensors for way in around(row.path)[1:])
    words = (last for last in map(last_part, paths) if not last.isdecimal())
    yield from dict.fromkeys([*(row.name for row in trace.tensors), *words, *paths])
