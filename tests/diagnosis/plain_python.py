"""Forwards that plain Python refuses, and what is said of them, watched or not."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

import attntrace
from attntrace.capture.failed.after import diagnosed
from attntrace.capture.failed.crashed import crashed
from tests.diagnosis.failing import Kept


@dataclass(frozen=True)
class Both:
    """What is said of a failure while it is traced, and of its traceback alone."""

    rule: str | None
    fix: str | None
    """The code of the likeliest fix; its sentence where it has none."""
    tried: str | None
    origin: list[str]
    """The lines that made what is wrong, as far as both know them."""
    operands: list[str]
    fixes: list[str]


def both(function, *args, **kept):
    """Return what is said of a forward that fails, which must be the same watched and unwatched."""
    module = Kept(function, **kept)
    with pytest.raises(attntrace.ForwardError) as traced:
        attntrace.trace(module, *args)
    with pytest.raises(Exception) as caught:  # noqa: PT011 - whatever it is
        module(*args)
    watched = traced.value.diagnosis
    unwatched = diagnosed(caught.value, crashed(caught.value))
    assert _said(watched) == _said(unwatched)
    known = [step.said for step in unwatched.origin]
    return Both(
        *_first(watched),
        [step.said for step in watched.origin if step.said in known],
        [f"{one.name} {one.shape}" for one in watched.operands],
        [fix.said for fix in watched.fixes],
    )


def _said(found):
    operands = {(one.name, one.shape) for one in found.operands}
    return found.rule, [(fix.said, fix.code, fix.tried) for fix in found.fixes], operands


def _first(found):
    if not found.fixes:
        return found.rule, None, None
    fix = found.fixes[0]
    return found.rule, fix.code or fix.said, fix.tried
