"""Modules that torch refuses, and what is said of it."""

from __future__ import annotations

import pytest

import attntrace


def refused(module, *inputs):
    """Return the diagnosis of a forward that must fail."""
    with pytest.raises(attntrace.ForwardError) as caught:
        attntrace.trace(module, *inputs)
    return caught.value.diagnosis


def offered(found):
    """Return what each fix that was tried says."""
    return [fix.said for fix in found.fixes if fix.tried]
