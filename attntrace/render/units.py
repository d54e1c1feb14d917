"""Numbers as people read them."""

from __future__ import annotations


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


def shape_text(shape: tuple[int, ...] | None) -> str:
    """Return a shape, or "nested" for a tensor whose parts differ in shape."""
    return "nested" if shape is None else tuple_text(shape)


def tuple_text(items: tuple[object, ...]) -> str:
    """Return "(13, 100)", also for one item: "(13,)"."""
    return f"({', '.join(str(item) for item in items)}{',' if len(items) == 1 else ''})"
