"""What an input is to be, in the few words that a shape takes: `int64[2,128]`, `batch,tokens,64`.

    2,128,512   [2,128,512]   a tensor of random numbers; 128, has one dimension
    int64[2,128]   bool[1,1,8,8]   float32[]   another number format; the last is a single number
    zeros(2,8)   ones(int64[2,8])   arange(2,8)   other numbers; arange counts along the last dimension
    batch,tokens,heads*head_dim   named sizes, and products
    0.5   true   null   text   a value of YAML, as it stands

In YAML also a list of sizes, {shape: ..., dtype: ..., fill: ...}, {value: ...} for any value as it
stands, and mappings and lists of all of these.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from attntrace.notation.dtypes import dtype_of

FILLS = ("random", "zeros", "ones", "arange")
_DIM = r"(?:[A-Za-z_]\w*|\d+)"
_SIZE = rf"{_DIM}(?:\s*\*\s*{_DIM})*"
_SIZES = rf"\s*(?:{_SIZE}\s*(?:,\s*{_SIZE}\s*)*,?)?\s*"
_PLAIN = re.compile(rf"\s*{_SIZE}\s*(?:,\s*{_SIZE}\s*)*(?:,\s*{_SIZE}|,)\s*")
_FORMAT = re.compile(rf"\s*(?P<dtype>[\w.]+)?\s*\[(?P<sizes>{_SIZES})\]\s*")
_FILL = re.compile(r"\s*(?P<fill>[A-Za-z_]\w*)\s*\((?P<inside>.*)\)\s*")
_ALMOST = re.compile(r"\s*(?:[\w.]*\s*\[.*\]|-?\d+\s*(?:,\s*-?[\w.*]+\s*)+)\s*")
_QUOTED = re.compile(
    r"""("[^"]*"|'[^']*')|((?:torch\.)?[A-Za-z_]\w*(?:\[[^\[\]{}:"']*\]|\((?:[^()\[\]{}:"']|\[[^\[\]]*\])*\)))"""
)
KEYS = ("shape", "dtype", "fill")
Dim = int | str
"""A size, a name of one, or a product of both such as "heads*head_dim"."""


@dataclass(frozen=True, slots=True)
class TensorOf:
    """A tensor that is wanted."""

    dims: tuple[Dim, ...]
    dtype: str | None = None
    """None where nothing is said of it."""
    fill: str = "random"

    @property
    def names(self) -> Iterator[str]:
        """The names of sizes in it."""
        return (part for dim in self.dims for part in _parts(dim) if not part.isdigit())

    def shape(self, sizes: Mapping[str, int]) -> tuple[int, ...]:
        """Return the size of each dimension. KeyError with a name that has no size."""
        return tuple(
            math.prod(int(part) if part.isdigit() else sizes[part] for part in _parts(dim))
            for dim in self.dims
        )

    @property
    def axes(self) -> tuple[str, ...] | None:
        """What the user calls each dimension; None where all are plain numbers."""
        return tuple(map(str, self.dims)) if any(self.names) else None

    def __str__(self) -> str:
        inside = f"{self.dtype or ''}[{','.join(map(str, self.dims))}]"
        return inside if self.fill == "random" else f"{self.fill}({inside})"


def _parts(dim: Dim) -> list[str]:
    return str(dim).split("*")


def wanted(value: Any) -> Any:
    """Return what a value of YAML asks for: TensorOf where it is a shape, in lists and mappings too.

    Raises:
        ValueError: it is nearly a shape; the message says what is wrong.

    """
    if isinstance(value, str):
        return _of_text(value)
    if isinstance(value, list):
        sizes = value and all(_is_size(item) for item in value)
        return TensorOf(tuple(map(_dim, value))) if sizes else [wanted(item) for item in value]
    return _of_mapping(value) if isinstance(value, Mapping) else value


def quoted(text: str) -> str:
    """Return YAML between brackets with quotes around the shapes that it would take apart.

    {ids: int64[2,128], mask: ones(2,128)} is {ids: "int64[2,128]", mask: "ones(2,128)"}.
    """
    if not text.lstrip().startswith(("{", "[")):
        return text
    return _QUOTED.sub(lambda found: found[1] or f'"{found[2]}"', text)


def tensors_of(value: Any) -> Iterator[TensorOf]:
    """Yield the tensors that are wanted in a structure."""
    if isinstance(value, TensorOf):
        yield value
    elif isinstance(value, list | dict):
        for item in value.values() if isinstance(value, dict) else value:
            yield from tensors_of(item)


def _is_size(item: object) -> bool:
    if isinstance(item, str):
        return re.fullmatch(_SIZE, item.strip()) is not None
    return isinstance(item, int) and not isinstance(item, bool) and item >= 0


def _of_text(text: str) -> TensorOf | str:
    if _PLAIN.fullmatch(text):
        return TensorOf(_dims(text))
    if formatted := _FORMAT.fullmatch(text):
        return TensorOf(_dims(formatted["sizes"]), dtype_of(formatted["dtype"]))
    if (filled := _FILL.fullmatch(text)) and filled["fill"] in FILLS:
        return _filled(filled["fill"], filled["inside"])
    if _ALMOST.fullmatch(text):
        raise ValueError(
            f"a shape has whole numbers >= 0 or names of sizes, such as 2,128,512 or int64[2,128]; "
            f"got {text!r}"
        )
    return text


def _filled(fill: str, inside: str) -> TensorOf:
    shape = _FORMAT.fullmatch(inside if "[" in inside else f"[{inside}]")
    if shape is None:
        raise ValueError(f"{fill}(...) has a shape inside, such as {fill}(2,128); got {inside!r}")
    return TensorOf(_dims(shape["sizes"]), dtype_of(shape["dtype"]), fill)


def _of_mapping(value: Mapping[Any, Any]) -> Any:
    if set(value) == {"value"}:
        return value["value"]
    if any(isinstance(key, int) and item is None for key, item in value.items()):
        raise ValueError("a shape between braces has brackets, such as {x: [2, 128]}")
    if "shape" not in value or not set(value) <= set(KEYS):
        return {key: wanted(item) for key, item in value.items()}
    shape = value["shape"]
    listed = ",".join(map(str, shape)) if isinstance(shape, list) else str(shape)
    plain = _of_text(f"[{listed}]")
    assert isinstance(plain, TensorOf), "brackets make it a shape, or nearly one"
    fill = value.get("fill") or "random"
    if fill not in FILLS:
        raise ValueError(f"fill must be one of {', '.join(FILLS)}; got {fill!r}")
    return TensorOf(plain.dims, dtype_of(value.get("dtype")), fill)


def _dims(text: str) -> tuple[Dim, ...]:
    return tuple(_dim(size) for size in text.split(",") if size.strip())


def _dim(size: Dim) -> Dim:
    text = "".join(str(size).split())
    return int(text) if text.isdigit() else text
