"""Modules around one call that fails, and what is said of it."""

from __future__ import annotations

import inspect

import pytest
import torch
from torch import nn
from torch.nn import functional

import attntrace


class Layered(nn.Module):
    """A layer and the line that calls it."""

    def __init__(self, fc):
        super().__init__()
        self.fc = fc

    def forward(self, x):
        """Return what the layer makes of it."""
        return self.fc(x)


class Applied(nn.Module):
    """A function as a module."""

    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, *inputs):
        """Return what the function makes of them."""
        return self.function(*inputs)


def failure(forward, inputs, **known):
    """Return the diagnosis of a function or a module that fails; each fix of code must run.

    Inputs are tensors, or shapes of tensors; `known` is what else the code of a fix names.
    """
    module = forward if isinstance(forward, nn.Module) else Applied(forward)
    tensors = [torch.zeros(one) if isinstance(one, tuple) else one for one in inputs]
    with pytest.raises(attntrace.ForwardError) as caught:
        attntrace.trace(module, *tensors)
    found = caught.value.diagnosis
    called = forward.forward if isinstance(forward, nn.Module) else forward
    names = dict(zip(inspect.signature(called).parameters, tensors, strict=True))
    for fix in found.fixes:
        if fix.code is not None and fix.tried:
            around = {"torch": torch, "nn": nn, "F": functional, "self": module, **known, **names}
            exec(fix.code, around)  # noqa: S102 - the code is what is tested
    return found
