"""A trace against what is expected of it, as an assertion of Python's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from attntrace import record
from attntrace.analysis.contract import judged
from attntrace.spec.expect import Expectation, expectations


def assert_matches(facts: record.Trace, *expected: Mapping[str, Any]) -> None:
    """Raise AssertionError with all that does not hold of these mappings.

    Raises:
        SettingsError: they cannot be read, with every problem at once.

    """
    __tracebackhide__ = True
    assert_holds(expectations(*expected), facts)


def assert_holds(asked: Sequence[Expectation], facts: record.Trace) -> None:
    """Raise AssertionError with all that does not hold of these expectations."""
    __tracebackhide__ = True
    wrong = [verdict for verdict in judged(asked, facts) if not verdict.holds]
    if wrong:
        lines = [f"{verdict.contract}: {verdict.said}" for verdict in wrong]
        text = "\n".join(lines).replace("\n", "\n  ")
        raise AssertionError(f"{len(wrong)} of {len(asked)} expectations do not hold\n  {text}")
