"""Modules that something else stands around: scripts, parallel copies, exports, compilers."""

from __future__ import annotations

import warnings

import torch
from torch import nn

from tests.corpus.case import case, given, made


def _x(*shape: int) -> torch.Tensor:
    return torch.randn(*shape)


def _quietly(make):
    """Return what `make` returns; that TorchScript is deprecated is no news."""
    with warnings.catch_warnings(action="ignore"):
        return make()


class Small(nn.Module):
    """Two layers and a branch."""

    def __init__(self):
        super().__init__()
        self.first, self.second = nn.Linear(5, 7), nn.Linear(7, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.first(x).relu()
        if x.size(0) > 1:
            x = x * 2
        return self.second(x)


@made(lambda: given(_x(2, 5)))
def scripted():
    """A scripted module as the outermost one."""
    return _quietly(lambda: torch.jit.script(Small()))


@case(lambda: given(_x(2, 5)))
class ScriptInside(nn.Module):
    """A traced module and a scripted function among ordinary ones."""

    def __init__(self):
        super().__init__()
        self.before = nn.Linear(5, 5)
        self.traced = _quietly(lambda: torch.jit.trace(Small().eval(), torch.zeros(2, 5)))

    def forward(self, x):
        return self.traced(self.before(x).tanh()) + 1


@made(lambda: given(_x(2, 5)))
def data_parallel():
    """DataParallel where there is no GPU."""
    return nn.DataParallel(Small())


@case(lambda: given(_x(2, 5)))
class OverMeta(nn.Module):
    """A wrapper that is no module around a module."""

    class Wrapper:
        def __init__(self, module):
            self.module = module

        def __call__(self, *args):
            return self.module(*args)

        def __getattr__(self, name):
            return getattr(self.module, name)

    def __init__(self):
        super().__init__()
        self.hidden = [self.Wrapper(Small())]

    def forward(self, x):
        return self.hidden[0](x) + self.hidden[0].second.bias


@made(lambda: given(_x(2, 5)))
def averaged():
    """A model whose weights are averaged over time."""
    return torch.optim.swa_utils.AveragedModel(Small())


@made(lambda: given(_x(2, 5)))
def graph_module():
    """A module of fx, whose forward is generated code."""
    return torch.fx.symbolic_trace(nn.Sequential(nn.Linear(5, 7), nn.ReLU(), nn.Linear(7, 3)))


@made(lambda: given(_x(2, 5)))
def generated_code():
    """A forward that exec has made: no source to be found."""
    space = {"nn": nn}
    code = (
        "class Made(nn.Module):\n"
        "    def forward(self, x):\n"
        "        y, z = x.exp(), x * 2\n"
        "        return y + z\n"
    )
    exec(compile(code, "<made up>", "exec"), space)  # noqa: S102 - what the case is about
    return space["Made"]()


@made(lambda: given(_x(2, 5)))
def forward_replaced():
    """forward is an attribute of the instance, as quantizers and patchers leave it."""
    module = Small()
    original = module.forward
    module.forward = lambda x: original(x) * 3
    return module


@made(lambda: given(_x(2, 5)))
def class_replaced():
    """The class of a module was changed after it was made."""
    module = nn.Linear(5, 3)
    module.__class__ = type("Quantized", (nn.Linear,), {"extra": 3})
    return module
