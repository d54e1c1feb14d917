"""Whether a run is what is expected of it: a verdict for each entry of `expect:`."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from attntrace.analysis.contract.figures import bound, kernel, warned
from attntrace.analysis.contract.rows import dtype, shape
from attntrace.record import Trace
from attntrace.record.outcomes import Place, Verdict
from attntrace.spec.expect import Expectation
from attntrace.spec.expect.model import DtypeOf, KernelIs, NoWarnings, ShapeOf, Within

_JUDGES: dict[type[Expectation], Callable[[Any, Trace], str]] = {
    ShapeOf: shape, DtypeOf: dtype, Within: bound, KernelIs: kernel, NoWarnings: warned,
}  # fmt: skip
"""What says why an expectation does not hold, and "" where it does."""


def judged(expectations: Iterable[Expectation], trace: Trace) -> tuple[Verdict, ...]:
    """Return a verdict for each expectation, in order: what is wrong, with the numbers."""
    return tuple(_verdict(one, _JUDGES[type(one)](one, trace)) for one in expectations)


def _verdict(one: Expectation, said: str) -> Verdict:
    contract, place = f"expect.{one.name}", Place.of(one.where)
    return Verdict(contract=contract, holds=not said, said=said, place=place)
