"""What a run takes of its device altogether."""

from __future__ import annotations

from dataclasses import dataclass

from attntrace.analysis.memory import BEFORE, peak_of, size_of
from attntrace.record import Trace


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
