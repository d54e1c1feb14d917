"""Counts, bytes and shapes as people read and write them."""

from __future__ import annotations

import re
from fractions import Fraction

UNITS = {
    "B": 1, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30, "TiB": 2**40,
    "KB": 10**3, "kB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12,
}  # fmt: skip
_MEANT = {unit.lower(): unit for unit in UNITS} | {
    "": "GiB", "k": "KiB", "m": "MiB", "g": "GiB", "t": "TiB", "bytes": "B"
}  # fmt: skip


def nbytes_of(text: str) -> int:
    """Return the bytes that a text such as "80GiB" or "1.5 GB" stands for, rounded down.

    Raises:
        ValueError: no number of bytes; the message says what was expected.

    """
    match = re.fullmatch(r"\s*([0-9]+(?:\.[0-9]+)?)\s*([A-Za-z]*)\s*", text)
    number, unit = match.groups() if match else ("0", "")
    nbytes = int(Fraction(number) * UNITS.get(unit, 0))
    if nbytes:
        return nbytes
    meant = _MEANT.get(unit.lower()) if Fraction(number) and unit not in UNITS else None
    hint = f"; did you mean {number}{meant}?" if meant else ""
    raise ValueError(
        f"a size with a unit was expected, such as 80GiB or 80GB (units {', '.join(UNITS)}); "
        f"got {text!r}{hint}"
    )


def nbytes_text(nbytes: int) -> str:
    """Return bytes in binary units: "912 B", "325.0 KiB", "4.9 MiB"."""
    if nbytes < 1024:
        return f"{nbytes} B"
    size = float(nbytes)
    for unit in ("KiB", "MiB", "GiB", "TiB", "PiB"):
        size /= 1024
        if size < 1023.95 or unit == "PiB":
            return f"{size:,.1f} {unit}"
    raise AssertionError("unreachable")


def exact(nbytes: int) -> str:
    """Return bytes in binary units and to the byte: "4.9 MiB (5,158,400 B)"."""
    return nbytes_text(nbytes) if nbytes < 1024 else f"{nbytes_text(nbytes)} ({nbytes:,} B)"


def counted(number: int, word: str) -> str:
    """Return "1 row", "2,000 rows"."""
    return f"{number:,} {word}{'' if number == 1 else 's'}"


def shape_text(shape: tuple[int, ...] | None) -> str:
    """Return a shape, or "nested" for a tensor whose parts differ in shape."""
    return "nested" if shape is None else tuple_text(shape)


def tuple_text(items: tuple[object, ...]) -> str:
    """Return "(13, 100)", also for one item: "(13,)"."""
    return f"({', '.join(str(item) for item in items)}{',' if len(items) == 1 else ''})"
