"""Finding rows of a trace by what is known of them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import fields
from functools import partial
from types import EllipsisType
from typing import Any

from attntrace.errors import nearest
from attntrace.record import TensorRecord

Row = TensorRecord
Sizes = tuple[int | EllipsisType | None, ...]
SHAPES = ("shape", "stride")
FIELDS = tuple(item.name for item in fields(TensorRecord))


def find(
    rows: Iterable[Row], where: Callable[[Row], bool] | None, wanted: dict[str, Any]
) -> Iterator[Row]:
    """Yield the rows that `where` holds for and whose fields are what is wanted.

    A text stands for itself, with `*` for any letters and `?` for one; of a shape or a stride None
    is any size and `...` any number of sizes; anything else is compared.

    Raises:
        TypeError: a row has no such field.

    """
    for name in wanted:
        if name not in FIELDS:
            raise TypeError(f"a row has no field {name!r}; {nearest(name, FIELDS)}")
    tests = {name: _test(name, value) for name, value in wanted.items()}
    for row in rows:
        fits = all(holds(getattr(row, name)) for name, holds in tests.items())
        if fits and (where is None or where(row)):
            yield row


def _test(name: str, wanted: Any) -> Callable[[Any], bool]:
    if isinstance(wanted, str):
        return partial(_reads, _pattern(wanted))
    if name in SHAPES and wanted is not None:
        return partial(_fits, tuple(wanted))
    return partial(_is, wanted)


def _pattern(text: str) -> re.Pattern[str]:
    """Return what a text with `*` and `?` matches; `[` is a letter, as in the name `x[0]`."""
    marks = {"*": ".*", "?": "."}
    return re.compile("".join(marks.get(letter, re.escape(letter)) for letter in text), re.DOTALL)


def _reads(pattern: re.Pattern[str], found: object) -> bool:
    """Return whether a text matches, or one of several."""
    texts = found if isinstance(found, tuple) else (found,)
    return any(isinstance(text, str) and pattern.fullmatch(text) for text in texts)


def _fits(wanted: Sizes, found: tuple[int, ...] | None) -> bool:
    """Return whether a shape is one of those that are wanted."""
    if found is None:
        return False
    if not wanted:
        return not found
    first, rest = wanted[0], wanted[1:]
    if first is ...:
        return any(_fits(rest, found[cut:]) for cut in range(len(found) + 1))
    return bool(found) and first in (None, found[0]) and _fits(rest, found[1:])


def _is(wanted: object, found: object) -> bool:
    return bool(found == wanted)
