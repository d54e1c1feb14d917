"""Runs what fails, and hands back what is said of it once each fix was tried for real."""

from __future__ import annotations

import inspect

import pytest
import torch
import torch.nn.functional as F
from torch import nn

import attntrace


class Layered(nn.Module):
    """One layer, under the name that an author may have given it."""

    def __init__(self, layer):
        super().__init__()
        self.fc = layer

    def forward(self, x):
        """Return what the layer makes of x."""
        return self.fc(x)


def tensors(inputs):
    """Return tensors of the shapes; what is no shape is itself."""
    return [torch.zeros(one) if isinstance(one, tuple) else one for one in inputs]


def failure(forward, inputs, **known):
    """Return the diagnosis of a forward that raises, whose fixes run on the tensors themselves.

    `known` are the names that the forward has from around it.
    """
    with pytest.raises(attntrace.ForwardError) as raised:
        attntrace.trace(forward, *tensors(inputs))
    found = raised.value.diagnosis
    assert found.rule is not None
    for fix in found.fixes:
        assert fix.said
        if fix.tried and fix.code and " = nn." not in fix.code and " @= " not in fix.code:
            run(fix.code, forward, inputs, known)
    return found


def run(code, forward, inputs, around):
    """Run the code of a fix on the tensors that the forward was given, under their names."""
    called = forward.forward if isinstance(forward, nn.Module) else forward
    names = inspect.signature(called).parameters
    known = {"torch": torch, "nn": nn, "F": F, "self": forward, **around}
    return eval(code, {**known, **dict(zip(names, tensors(inputs), strict=True))})  # noqa: S307
