"""What a run takes of its device altogether, and the text of a budget."""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction

from attntrace.analysis.memory import BEFORE, peak_of, size_of
from attntrace.record import Trace

UNITS = {
    "B": 1, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30, "TiB": 2**40,
    "KB": 10**3, "kB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12,
}  # fmt: skip
_MEANT = {unit.lower(): unit for unit in UNITS} | {
    "": "GiB", "k": "KiB", "m": "MiB", "g": "GiB", "t": "TiB", "bytes": "B"
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Total:
    """The bytes that a run holds at its worst moment, by what they are for."""

    parts: dict[str, int]
    """Parameters, buffers, optimizer, inputs, outside (constants), peak; those of 0 left out.

    "peak" is the most that the run itself had alive at once, backward included where it was
    followed; on CUDA each storage counts whole blocks of the allocator.
    """

    @property
    def nbytes(self) -> int:
        """The sum of the parts."""
        return sum(self.parts.values())


def total_of(trace: Trace) -> Total:
    """Return what a run takes of its device."""
    parts: dict[str, int] = dict.fromkeys(BEFORE.values(), 0)
    for life in trace.storages:
        if life.owner in BEFORE:
            parts[BEFORE[life.owner]] += size_of(trace, life)
    highest = peak_of(trace)
    parts["peak"] = highest.nbytes if highest else 0
    return Total({name: nbytes for name, nbytes in parts.items() if nbytes})


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
