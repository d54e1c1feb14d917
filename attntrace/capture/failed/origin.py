"""Where a wrong size came from: back through the rows, then to the line of a constructor."""

from __future__ import annotations

from collections.abc import Sequence

from torch import nn

from attntrace.analysis.diagnosis import Culprit
from attntrace.record import Step, TensorRecord


def origin(
    culprits: Sequence[Culprit], rows: Sequence[TensorRecord], root: nn.Module | None
) -> tuple[Step, ...]:
    """Return the steps of each culprit in turn, each step once."""
    del culprits, rows, root
    return ()
