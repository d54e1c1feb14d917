"""The numbers of two runs: what each is called, both, and how far apart they are."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from attntrace.record.difference import Figure
from attntrace.render.units import nbytes_text

_TITLES = {
    "nbytes": "bytes of all rows",
    "peak_nbytes": "forward peak",
    "training_peak_nbytes": "training peak",
    "saved_for_backward_nbytes": "saved for backward",
}

_NEAR = 10
"""Up to how many times what is tolerated it is said how much that is."""


def title(figure: Figure) -> str:
    """Return what a number is called: "parameters", "forward peak on cpu"."""
    where = f" on {figure.device}" if figure.device else ""
    return _TITLES.get(figure.name, figure.name) + where


def is_size(figure: Figure) -> bool:
    """Return whether a number is what a symbol stands for."""
    return figure.name.startswith("size ")


def written(figure: Figure) -> tuple[str, str]:
    """Return both numbers, "" for one that is not there."""
    write = _write(figure)
    both = (figure.before, figure.after)
    before, after = ("" if number is None else write(number) for number in both)
    return before, after


def apart(figure: Figure) -> str:
    """Return "192 less, -2.0 %", "within 1 %"; "" of sizes, equal numbers, and one without another.

    Per cent are of the first number; those that come to 0.0 are left out.
    """
    before, after = figure.before, figure.after
    if is_size(figure) or before is None or after is None or before == after:
        return ""
    tolerated = f"{100 * figure.tolerance:g} %"
    if not figure.differs:
        return f"within {tolerated}"
    part = f"{100 * (after - before) / before:+.1f} %" if before else ""
    said = [more(before, after, _write(figure)), part if part.strip("+-") != "0.0 %" else ""]
    near = abs(after - before) <= _NEAR * figure.tolerance * before
    said += [f"{tolerated} is tolerated"] if figure.tolerance and near else []
    return ", ".join(filter(None, said))


def more(before: int, after: int, write: Callable[[int], str] = "{:,}".format) -> str:
    """Return "192 less", "4.0 MiB more"."""
    return f"{write(abs(after - before))} {'more' if after > before else 'less'}"


def figure_line(figure: Figure) -> str:
    """Return "! parameters 13,568 -> 13,760 (192 more, +1.4 %)", "+ size kv_heads 2"."""
    before, after = written(figure)
    if not before or not after:
        return f"{'-' if before else '+'} {title(figure)} {before or after}"
    said = apart(figure)
    return f"! {title(figure)} {before} -> {after}" + (f" ({said})" if said else "")


def same_line(figures: Iterable[Figure]) -> str:
    """Return what did not change, sizes apart: "  the same: rows 65, parameters 149,504"."""
    said = [
        " ".join(filter(None, (title(figure), apart(figure) or written(figure)[1])))
        for figure in figures
        if not figure.differs and not is_size(figure)
    ]
    return f"  the same: {', '.join(said)}" if said else ""


def _write(figure: Figure) -> Callable[[int], str]:
    """Return how a number is written: bytes with a unit, unless both would be the same text."""
    if not figure.name.endswith("nbytes"):
        return "{:,}".format
    before, after = figure.before, figure.after
    alike = before is not None and after is not None and nbytes_text(before) == nbytes_text(after)
    return "{:,} B".format if alike and before != after else nbytes_text
