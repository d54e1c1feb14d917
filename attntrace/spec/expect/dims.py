"""The shape that is expected: `[batch, heads, tokens, head_dim]`, `(batch, ..., 3*chan)`, `_`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from difflib import get_close_matches
from types import EllipsisType

from attntrace.notation.arithmetic import (
    LARGEST,
    Formula,
    Reader,
    names_in,
    worth,
    written,
)
from attntrace.spec.problems import as_yaml

ANY, REST = "_", "..."
"""Any size, and any number of dimensions."""
_CLOSING = {"(": ")", "[": "]"}
_MANY = 30
"""Sizes that a message lists."""


def dims_of(value: object) -> tuple[Formula, ...]:
    """Return the dimensions that a list, or a text such as "batch heads tokens 16", has.

    In a text they are apart by spaces or commas, with brackets around them or without. In Python
    None is any size, as `_` is, and `...` any number of dimensions.

    Raises:
        ValueError: anything else; UnreadableError says at which letter.

    """
    if isinstance(value, str):
        dims = tuple(_of_text(value))
    elif isinstance(value, list | tuple):
        dims = tuple(_of_item(item) for item in value)
    else:
        said = (
            f"a list of dimensions such as [batch, tokens, 64] was expected, got {as_yaml(value)}"
        )
        raise ValueError(said)  # noqa: TRY004 - as others
    if dims.count(REST) > 1:
        raise ValueError(f"{REST} is any number of dimensions, and may stand once")
    return dims


def _of_item(item: object) -> Formula:
    if item is None or isinstance(item, EllipsisType):
        return ANY if item is None else REST
    if isinstance(item, int) and not isinstance(item, bool) and 0 <= item <= LARGEST:
        return item
    if not isinstance(item, str):
        said = f"a dimension is a size, a whole number or _, got {as_yaml(item)}"
        raise ValueError(said)  # noqa: TRY004 - as others
    reader = Reader(item)
    dim = _dim(reader)
    reader.expect("", "a comma or an operator such as * was expected")
    return dim


def _of_text(text: str) -> Iterator[Formula]:
    reader = Reader(_without_brackets(text))
    while reader.next.text:
        yield _dim(reader)
        apart = reader.next.start > reader.before.end
        if reader.next.text == ",":
            reader.advance()
        elif reader.next.text and not apart:
            raise reader.refused("a comma, a space or an operator such as * was expected")


def _dim(reader: Reader) -> Formula:
    """Read one dimension: `_`, `...` or an expression."""
    if reader.next.text not in (ANY, REST):
        return reader.sum()
    alone = reader.advance().text
    if reader.next.text in ("+", "-", "*", "//"):
        raise reader.refused(f"{alone} stands alone; a comma or the end was expected")
    return alone


def _without_brackets(text: str) -> str:
    """Return a text without the brackets around all of it, spaces in their place."""
    first = text.lstrip()[:1]
    if first not in _CLOSING or not text.rstrip().endswith(_CLOSING[first]):
        return text
    start, end = text.index(first), text.rindex(_CLOSING[first])
    deep = 0
    for letter in text[start:end]:
        deep += (letter == first) - (letter == _CLOSING[first])
        if deep == 0:  # "(a+b) (c+d)"
            return text
    return f"{text[:start]} {text[start + 1 : end]} {text[end + 1 :]}"


def text_of(dims: Iterable[Formula]) -> str:
    """Return dimensions as `dims_of` reads them: "(batch, heads, tokens, head_dim)"."""
    items = [written(dim) for dim in dims]
    return f"({', '.join(items)}{',' if len(items) == 1 else ''})"


def without_worth(dim: Formula, sizes: Mapping[str, int]) -> str | None:
    """Return why an expression has no value for these sizes, None where it has one."""
    if dim in (ANY, REST):
        return None
    for name in names_in(written(dim)):
        if name not in sizes:
            return no_size(name, sizes)
    try:
        size = worth(dim, sizes)
    except ZeroDivisionError:
        return f"{written(dim)} divides by 0"
    return f"{written(dim)} is {size} here, and no size" if size < 0 else None


def no_size(name: str, sizes: Mapping[str, int]) -> str:
    """Return what is said of a name that no size has."""
    if not sizes:
        instead = "write numbers, or trace with axes=True"
        return f"no size named {name!r}: this run has no names of sizes; {instead}"
    there = f"; there are {', '.join(sizes)}" if len(sizes) <= _MANY else ""
    near = get_close_matches(name, sizes, n=1, cutoff=0.6)
    return f"no size named {name!r}{there}{f'; did you mean {near[0]!r}?' if near else ''}"
