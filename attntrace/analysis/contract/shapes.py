"""One shape against another: which axis is not what it should be, and what it is instead."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cached_property
from itertools import combinations
from typing import NamedTuple

from attntrace.notation.arithmetic import (
    Formula,
    UnreadableError,
    exactly,
    formula_of,
    names_in,
    worth,
    written,
)
from attntrace.notation.units import tuple_text
from attntrace.record import TensorRecord, Trace
from attntrace.spec.expect.dims import ANY, REST, without_worth
from attntrace.spec.symbols import SAME, are_tied, symbols_of

_PRIMES = (2, 3, 5, 7, 11, 13, 17, 19)
"""What sizes are made larger by, each by another, to see whether formulas stay equal."""


class Pair(NamedTuple):
    """One axis of a row, and what it is to be."""

    row: int
    axis: int
    size: int
    symbol: str | None
    """What the row calls it; None where nobody knows."""
    dim: Formula
    expected: int


class Wanted:
    """The shape that is expected of rows of one run."""

    def __init__(self, dims: tuple[Formula, ...], trace: Trace) -> None:
        self.dims, self.trace = dims, trace
        self.of_block = "block" in (trace.spec or {})
        self.sizes = symbols_of(trace.sizes) if self.of_block else _sizes_of_code(trace)
        self.rest = dims.index(REST) if REST in dims else None

    def unknown(self) -> Iterator[str]:
        """Yield why dimensions have no value in this run, each reason once."""
        reasons = (without_worth(dim, self.sizes) for dim in self.dims)
        yield from dict.fromkeys(reason for reason in reasons if reason is not None)

    def __str__(self) -> str:
        return tuple_text(tuple(self._text(dim) for dim in self.dims))

    def _text(self, dim: Formula) -> str:
        plain = isinstance(dim, int) or dim in (ANY, REST)
        return written(dim) if plain else f"{written(dim)} {worth(dim, self.sizes)}"

    def differs(self, row: TensorRecord) -> str:
        """Return what a row is, what was expected, and where they differ; "" where they do not."""
        if row.shape is None:
            return f"nested, expected {self}"
        rank, least = len(row.shape), len(self.dims) - (self.rest is not None)
        if rank < least or (rank > least and self.rest is None):
            at_least = "" if self.rest is None else "at least "
            why = f"it has {_axes(rank)}, {at_least}{least} were expected"
        else:
            why = self._why([pair for pair in self._pairs(row) if self._is_wrong(pair)])
        return f"{_row_text(row)}, expected {self}: {why}" if why else ""

    def _pairs(self, row: TensorRecord) -> Iterator[Pair]:
        """Yield the axes of a row of which something is expected."""
        shape, axes = row.shape or (), row.axes
        for place, dim in enumerate(self.dims):
            behind = self.rest is not None and place > self.rest
            axis = place + (len(shape) - len(self.dims) if behind else 0)
            if dim not in (ANY, REST):
                symbol = axes[axis] if axes else None
                yield Pair(row.index, axis, shape[axis], symbol, dim, worth(dim, self.sizes))

    def _is_wrong(self, pair: Pair) -> bool:
        return pair.size != pair.expected or self._is_another(pair, pair.dim)

    def _is_another(self, pair: Pair, dim: Formula) -> bool:
        """Return whether an axis is another size than this one, whatever their numbers are."""
        symbol = pair.symbol
        if symbol is None or isinstance(dim, int):
            return False
        if symbol.isdecimal() and isinstance(dim, str):
            return pair.row <= self._moved.get(dim, -1)
        if isinstance(dim, tuple) or symbol not in self.trace.sizes:
            return self._moves_apart(symbol, dim)
        name = dim if dim in self.trace.sizes else SAME.get(dim, symbol)
        if symbol == name:
            return False
        if self.of_block:
            return not are_tied(symbol, name)
        return {symbol, name} <= self._told_apart

    def _moves_apart(self, symbol: str, dim: Formula) -> bool:
        """Return whether two formulas that are equal differ where sizes are others.

        A size whose number one of them has, as in `past+1` of one token, stays as it is.
        """
        texts = symbol, written(dim)
        names = {name for text in texts for name in names_in(text)}
        if not (all(map(names_in, texts)) and (self.of_block or names <= self._told_apart)):
            return False
        numbers = {number for text in texts for number in re.findall(r"\d+", text)}
        free = sorted(name for name in names & self._free if str(self.sizes[name]) not in numbers)
        moved = {name: self.sizes[name] * by for name, by in zip(free, _PRIMES, strict=False)}
        try:
            one, two = formula_of(symbol), dim
            now = exactly(one, self.sizes) == exactly(two, self.sizes)
            return now and exactly(one, self.sizes | moved) != exactly(two, self.sizes | moved)
        except (UnreadableError, KeyError, ZeroDivisionError):
            return False

    @cached_property
    def _free(self) -> set[str]:
        """The sizes that no other one follows from; of a block, its widths may be tied."""
        if not self.of_block:
            return self._told_apart & self.sizes.keys()
        tied = {"rows", "image_rows"} & self.sizes.keys()
        return ({"batch"} if tied else {"batch", "tokens", "context_tokens"}) & self.sizes.keys()

    @cached_property
    def _told_apart(self) -> set[str]:
        """The sizes that rows have by themselves: an input has the words that it was given."""
        rows = (row for row in self.trace.tensors if row.kind != "input")
        axes = {axis for row in rows for axis in row.axes or ()}
        return {name for axis in axes for name in names_in(axis)}

    @cached_property
    def _moved(self) -> dict[str, int]:
        """The sizes that code of the user's own was tried at others of, and up to which row.

        Axes up to there that moved as one of them did have its name, and no number.
        """
        if self.of_block:
            return {}
        rows = (row for row in self.trace.tensors if row.phase == "forward" and row.kind != "input")
        return {axis: row.index for row in rows for axis in row.axes or ()}

    def _why(self, wrong: list[Pair]) -> str:
        for one, two in combinations(wrong, 2):
            if len(wrong) == 2 and self._fits(one, two) and self._fits(two, one):
                same = f": both are {one.size} here" if one.size == two.size else ""
                return f"axes {one.axis} and {two.axis} are swapped{same}"
        return "; ".join(map(self._said, wrong))

    def _fits(self, one: Pair, two: Pair) -> bool:
        """Return whether one axis is what was expected of another."""
        return one.size == two.expected and not self._is_another(one, two.dim)

    def _said(self, pair: Pair) -> str:
        if pair.size == pair.expected and (pair.symbol or "").isdecimal():
            return f"axis {pair.axis} is not {written(pair.dim)}, which is {pair.size} here, too"
        if pair.size == pair.expected:
            return f"axis {pair.axis} is {pair.symbol}, which is {pair.size} here, too"
        is_now = _axis_text(pair.size, pair.symbol)
        return f"axis {pair.axis} is {is_now}, not {self._text(pair.dim)}"


def _sizes_of_code(trace: Trace) -> dict[str, int]:
    """Return the sizes of a run of the user's own code, whole arguments of the constructor among them.

    Rows have no word for an argument that always moves with another size.
    """
    init = (trace.spec or {}).get("init", {})
    whole = {name: size for name, size in init.items() if type(size) is int}
    return {**trace.sizes, **whole, **trace.sizes}


def _axes(count: int) -> str:
    return "1 axis" if count == 1 else f"{count} axes"


def _axis_text(size: int, symbol: str | None) -> str:
    return str(size) if symbol is None or symbol.isdecimal() else f"{symbol} {size}"


def _row_text(row: TensorRecord) -> str:
    shape = row.shape or ()
    axes = row.axes or (None,) * len(shape)
    return tuple_text(tuple(_axis_text(*axis) for axis in zip(shape, axes, strict=True)))
