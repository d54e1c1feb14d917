"""Finding rows of a trace by what is known of them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import fields
from functools import partial
from types import EllipsisType
from typing import Any

from attntrace.analysis.narrow import glob
from attntrace.errors import nearest
from attntrace.record import TensorRecord

Sizes = tuple[int | EllipsisType | None, ...]
SHAPES = ("shape", "stride")
FIELDS = tuple(item.name for item in fields(TensorRecord))


def find(
    rows: Iterable[TensorRecord],
    where: Callable[[TensorRecord], bool] | None,
    wanted: dict[str, Any],
) -> Iterator[TensorRecord]:
    """Yield the rows that `where` holds for and whose fields are what is wanted.

    A text stands for itself, with `*` for any letters and `?` for one; of a shape or a stride None
    is any size and `...` any number of sizes; anything else is compared.

    Raises:
        TypeError: a row has no such field; no function, no shape.

    """
    if where is not None and not callable(where):
        raise TypeError(f"find() takes a function of a row and fields such as name={where!r}")
    for name in wanted:
        if name not in FIELDS:
            raise TypeError(f"a row has no field {name!r}; {nearest(name, FIELDS)}")
    tests = {name: _test(name, value) for name, value in wanted.items()}
    for row in rows:
        fits = all(holds(getattr(row, name)) for name, holds in tests.items())
        if fits and (where is None or where(row)):
            yield row


def _test(name: str, wanted: Any) -> Callable[[Any], bool]:
    if isinstance(wanted, str) and name not in SHAPES:
        return partial(_reads, glob(wanted))
    if name in SHAPES and wanted is not None:
        if not isinstance(wanted, (tuple, list)):
            raise TypeError(
                f"{name} is asked for by a tuple such as (2, None, ...), not {wanted!r}"
            )
        return partial(_fits, tuple(wanted))
    if type(wanted).__module__ == "torch":  # torch.float32, torch.device("cpu")
        wanted = str(wanted).removeprefix("torch.")
    return partial(_is, wanted)


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
