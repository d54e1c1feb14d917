"""Forwards that fail, and what is said of them."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
import torch
from torch import Tensor, nn

import attntrace
from attntrace.analysis.diagnosis.families import explained
from attntrace.capture.failed.crashed import crashed
from attntrace.capture.failed.trial import Trial


class Kept(nn.Module):
    """A module of one function as its forward, with parameters, buffers and layers of its own."""

    def __init__(self, function, **kept):
        super().__init__()
        self.function = function
        for name, value in kept.items():
            if isinstance(value, Tensor) and not isinstance(value, nn.Parameter):
                self.register_buffer(name, value)
            else:
                setattr(self, name, value)

    def forward(self, *args):
        """Run the function."""
        return self.function(self, *args)


@dataclass(frozen=True)
class Said:
    """What is said of a failure: the rule, and each fix with its code."""

    rule: str | None
    fixes: list[str]
    codes: list[str | None]


def watched(function, *args, **kept):
    """Return what is said of a forward that fails while it is traced."""
    with pytest.raises(attntrace.ForwardError) as caught:
        attntrace.trace(Kept(function, **kept), *args)
    found = caught.value.diagnosis
    return Said(found.rule, [fix.said for fix in found.fixes], [fix.code for fix in found.fixes])


def crashing(function, *args, **kept):
    """Return what is said of a forward from the traceback of its error alone."""
    with pytest.raises((RuntimeError, TypeError, ValueError, IndexError)) as caught:
        Kept(function, **kept)(*args)
    crash = crashed(caught.value)
    found = explained(crash.call)
    fixes = Trial.of(crash.call, crash.function).fixes(found.proposals)
    return Said(found.rule, [fix.said for fix in fixes], [fix.code for fix in fixes])


def zeros(*shape):
    """Return an input."""
    return torch.zeros(shape)


def parameter(*shape):
    """Return a parameter."""
    return nn.Parameter(torch.zeros(shape))


def mask(*shape):
    """Return a mask of bool."""
    return torch.zeros(shape, dtype=torch.bool)
