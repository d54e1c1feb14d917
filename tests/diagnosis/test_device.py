"""Tensors of one call that are on several devices."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from attntrace.analysis.diagnosis import FailedCall, Given
from attntrace.analysis.diagnosis.kinds.device import explain
from tests.diagnosis.failing import Applied, offered, refused


class Positions(nn.Module):
    """A table that no `.to` moves."""

    def __init__(self):
        super().__init__()
        self.table = torch.zeros(50, 4)

    def forward(self, x):
        return x + self.table[: x.size(1)]


class Sliced(Positions):
    """The same, cut on a line of its own."""

    def forward(self, x):
        pe = self.table[: x.size(1)]
        return x + pe


class Scaled(Positions):
    """The same, used whole."""

    def forward(self, x):
        return x * self.table


class Listed(nn.Module):
    """Layers in a plain list."""

    def __init__(self):
        super().__init__()
        self.layers = [nn.Linear(4, 5)]

    def forward(self, x):
        return self.layers[0](x)


class Empty(nn.Module):
    """A layer that was never given its weights."""

    def __init__(self):
        super().__init__()
        self.proj = nn.Linear(4, 5, device="meta")

    def forward(self, x):
        return self.proj(x)


def away(*shape):
    return torch.empty(shape, device="meta")


CASES = {
    "a table that stayed behind": (
        Positions(),
        [away(2, 5, 4)],
        (
            "`x + self.table[: x.size(1)]` needs all tensors on one device, and "
            "self.table[: x.size(1)] is on cpu where x is on meta."
        ),
        [
            "move self.table[: x.size(1)] to meta: `self.table[: x.size(1)].to(x.device)`",
            (
                "keep self.table as a buffer, so that model.to(...) moves it: "
                '`self.register_buffer("table", table)` in the constructor'
            ),
        ],
    ),
    "a part of a table": (
        Sliced(),
        [away(2, 5, 4)],
        "`x + pe` needs all tensors on one device, and pe is on cpu where x is on meta.",
        [
            "move pe to meta: `pe.to(x.device)`",
            (
                "or, where pe comes from a tensor that the module holds, keep that with "
                "`self.register_buffer(...)`, so that model.to(...) moves it"
            ),
        ],
    ),
    "a table used whole": (
        Scaled(),
        [away(50, 4)],
        (
            "`x * self.table` needs all tensors on one device, and self.table is on cpu where x is "
            "on meta."
        ),
        [
            "move self.table to meta: `self.table.to(x.device)`",
            (
                "keep self.table as a buffer, so that model.to(...) moves it: "
                '`self.register_buffer("table", table)` in the constructor'
            ),
        ],
    ),
    "layers in a plain list": (
        Listed(),
        [away(2, 4)],
        (
            "`self.layers[0](x)` needs all tensors on one device, and self.layers[0].weight and "
            "self.layers[0].bias are on cpu where x is on meta."
        ),
        [
            (
                "move self.layers[0] with the rest of the model: `self.layers[0].to(x.device)`; "
                "model.to(...) reaches what is an attribute or in an nn.ModuleList, and no layer in a "
                "plain list"
            ),
            "or move x to cpu: `x.to(self.layers[0].weight.device)`",
        ],
    ),
    "inputs that stayed behind": (
        Empty(),
        [torch.zeros(3, 4)],
        (
            "`self.proj(x)` needs all tensors on one device, and x is on cpu where "
            "self.proj.weight is on meta."
        ),
        [
            "move x to meta: `x.to(self.proj.weight.device)`",
            "or move the inputs before the model is called: `.to('meta')`",
            (
                "or give the model its weights: those on meta have no values until "
                'model.to_empty(device="cpu") and load_state_dict'
            ),
        ],
    ),
    "zeros made on the way": (
        Applied(lambda x: torch.cat([x, torch.zeros(2, 4)], 1)),
        [away(2, 4)],
        (
            "`torch.cat([x, torch.zeros(2, 4)], 1)` needs all tensors on one device, and "
            "torch.zeros(2, 4) is on cpu where x is on meta."
        ),
        [
            "make it there: `torch.zeros(2, 4, device=x.device)`",
            "move torch.zeros(2, 4) to meta: `torch.zeros(2, 4).to(x.device)`",
        ],
    ),
    "a mask made on the way": (
        Applied(lambda s: s.masked_fill(torch.ones(4, 4).tril() == 0, -1e9)),
        [away(4, 4)],
        (
            "`s.masked_fill(torch.ones(4, 4).tril() == 0, -1e9)` needs all tensors on one device, and "
            "torch.ones(4, 4).tril() == 0 is on cpu where s is on meta."
        ),
        [
            "make it there: `torch.ones(4, 4, device=s.device).tril() == 0`",
            (
                "move torch.ones(4, 4).tril() == 0 to meta: "
                "`(torch.ones(4, 4).tril() == 0).to(s.device)`"
            ),
        ],
    ),
}


@pytest.mark.parametrize(("module", "inputs", "rule", "fixes"), CASES.values(), ids=CASES)
def test_device(module, inputs, rule, fixes):
    """The rule names what stayed behind, and the fixes say how it comes along."""
    found = refused(module, *inputs)
    assert found.rule == rule
    assert offered(found) == fixes


def given(name, device, *shape, **more):
    return Given(name=name, shape=shape, device=device, **more)


CALLS = {
    "an index on another device": (
        FailedCall(op="getitem", args=(given("x", "cpu", 5), given("at", "cuda:0", 2))),
        (
            "An index must be on the cpu or where the tensor is, and at is on cuda:0 where x is on "
            "cpu."
        ),
        "move at to cpu: `at.to(x.device)`",
    ),
    "lengths on the GPU": (
        FailedCall(
            op="_pack_padded_sequence", args=(given("x", "cuda:0", 5, 2), given("n", "cuda:0", 2))
        ),
        "`_pack_padded_sequence` reads lengths on the cpu, and n is on cuda:0.",
        "move them: `n.cpu()`",
    ),
    "numpy of what is on the GPU": (
        FailedCall(op="numpy", args=(given("x", "cuda:0", 5, requires_grad=True),)),
        "numpy reads memory of the cpu, and x is on cuda:0.",
        "move it first: `x.detach().cpu()`",
    ),
    "a generator of the CPU": (
        FailedCall(
            op="rand", message="Expected a 'cuda' device type for generator but found 'cpu'"
        ),
        "`rand` draws on cuda, and its generator is on cpu.",
        'make the generator there: `torch.Generator(device="cuda")`',
    ),
    "values of a tensor on meta": (
        FailedCall(op="item", args=(given("x", "meta"),)),
        "`item` reads values, and x is on meta, which has none.",
        'make it on a device that has them: model.to_empty(device="cpu") with weights loaded',
    ),
}


@pytest.mark.parametrize(("call", "rule", "fix"), CALLS.values(), ids=CALLS)
def test_rules_of_a_gpu(call, rule, fix):
    """What only a GPU refuses is told from the call alone."""
    found = explain(call)
    assert found.rule == rule
    assert found.proposals[0].said == fix


def test_what_may_be_on_several_devices():
    """A number on the CPU, an index on the CPU and what is copied are no mistakes."""
    x, number, index = given("x", "cuda:0", 5), given("n", "cpu"), given("at", "cpu", 2)
    calls = [("mul", (x, number)), ("getitem", (x, index)), ("copy_", (x, given("y", "cpu", 5)))]
    assert [explain(FailedCall(op=op, args=args)) for op, args in calls] == [None, None, None]
