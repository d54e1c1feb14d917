"""Random calls: the families of shapes say why each that PyTorch refuses, and nothing of others."""

from __future__ import annotations

import random
import warnings

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from attntrace.analysis.diagnosis import FailedCall, Given
from attntrace.analysis.diagnosis.layers import linear
from attntrace.analysis.diagnosis.products import einsum, matmul
from attntrace.analysis.diagnosis.reshaping import dims, expand, view

FAMILIES = (linear, matmul, einsum, view, expand, dims)
EQUATIONS = ("ab,bc->ac", "abc,acd->abd", "...a,...a->...", "ab,cb", "a b, b -> a", "ab,bc->az")
COUNTS = (-1, 1, 2, 3, 4, 6, 8)


class Draw:
    """Random arguments, the same for one seed."""

    def __init__(self, seed):
        self._random = random.Random(seed)

    def tensor(self, least=1, most=4):
        """Return a tensor of some shape, often with its axes out of order."""
        shape = [self._random.choice((1, 2, 3, 4, 6, 8)) for _ in range(self.number(least, most))]
        order = self._random.sample(range(len(shape)), len(shape))
        return torch.zeros(shape).permute(order) if self.number(0, 1) else torch.zeros(shape)

    def number(self, least=-5, most=4):
        """Return a whole number."""
        return self._random.randint(least, most)

    def sizes(self, most=4):
        """Return some sizes, -1 among them."""
        return tuple(self._random.choice(COUNTS) for _ in range(self.number(1, most)))

    def equation(self):
        """Return an equation."""
        return self._random.choice(EQUATIONS)


CALLS = {
    "linear": (F.linear, lambda d: (d.tensor(0), d.tensor(1, 3))),
    "bilinear": (F.bilinear, lambda d: (d.tensor(1, 3), d.tensor(1, 3), d.tensor(3, 3))),
    "matmul": (torch.matmul, lambda d: (d.tensor(0), d.tensor(0))),
    "bmm": (torch.bmm, lambda d: (d.tensor(2, 4), d.tensor(2, 4))),
    "mm": (torch.mm, lambda d: (d.tensor(1, 3), d.tensor(1, 3))),
    "mv": (torch.mv, lambda d: (d.tensor(1, 3), d.tensor(1, 2))),
    "dot": (torch.dot, lambda d: (d.tensor(1, 2), d.tensor(1, 2))),
    "addmm": (torch.addmm, lambda d: (d.tensor(), d.tensor(2, 2), d.tensor(2, 2))),
    "baddbmm": (torch.baddbmm, lambda d: (d.tensor(), d.tensor(3, 3), d.tensor(3, 3))),
    "einsum": (torch.einsum, lambda d: (d.equation(), d.tensor(), d.tensor())),
    "view": (Tensor.view, lambda d: (d.tensor(0), *d.sizes())),
    "reshape": (Tensor.reshape, lambda d: (d.tensor(0), d.sizes())),
    "unflatten": (Tensor.unflatten, lambda d: (d.tensor(), d.number(), d.sizes())),
    "flatten": (Tensor.flatten, lambda d: (d.tensor(0), d.number(), d.number())),
    "expand": (Tensor.expand, lambda d: (d.tensor(0), *d.sizes(5))),
    "expand_as": (Tensor.expand_as, lambda d: (d.tensor(), d.tensor())),
    "repeat": (Tensor.repeat, lambda d: (d.tensor(), *d.sizes())),
    "softmax": (torch.softmax, lambda d: (d.tensor(0), d.number())),
    "transpose": (torch.transpose, lambda d: (d.tensor(0), d.number(), d.number())),
    "unsqueeze": (torch.unsqueeze, lambda d: (d.tensor(0), d.number())),
    "sum": (torch.sum, lambda d: (d.tensor(), (d.number(), d.number()))),
    "permute": (torch.permute, lambda d: (d.tensor(), d.sizes())),
    "t": (torch.t, lambda d: (d.tensor(),)),
    "split": (Tensor.split, lambda d: (d.tensor(), [*d.sizes(2)], d.number())),
    "chunk": (torch.chunk, lambda d: (d.tensor(), d.number(0, 3), d.number())),
    "glu": (F.glu, lambda d: (d.tensor(), d.number())),
    "topk": (torch.topk, lambda d: (d.tensor(), d.number(1, 6), d.number())),
}


def failed(op, args):
    """Return a call as data."""
    names = iter("abc")
    given = tuple(
        Given(name=next(names), shape=tuple(one.shape), stride=one.stride())
        if isinstance(one, Tensor)
        else one
        for one in args
    )
    return FailedCall(op=op, args=given, text=f"{op}(...)")


@pytest.mark.parametrize("op", CALLS)
def test_a_rule_is_said_of_what_fails_and_of_nothing_else(op):
    """The families answer exactly where PyTorch raises."""
    function, draw = CALLS[op]
    for seed in range(150):
        args = draw(Draw(seed))
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                function(*args)
            refused = False
        except (RuntimeError, IndexError):
            refused = True
        rules = [found.rule for one in FAMILIES if (found := one.explain(failed(op, args)))]
        assert len(rules) == refused, (args, rules)
