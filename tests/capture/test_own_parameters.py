"""What a trace says of the parameters of each module: name, dtype and shape, whatever they are."""

from __future__ import annotations

import json
import warnings

import torch
from torch import nn

import attntrace
from attntrace.record import Trace


class Odd(nn.Module):
    """Parameters that are shared, tied, nested, sparse, single, not there, or in no called module."""

    def __init__(self):
        """Make them."""
        super().__init__()
        self.a, self.b, self.idle = nn.Linear(3, 3), nn.Linear(3, 3, bias=False), nn.Linear(3, 2)
        self.b.weight = self.a.weight
        self.again = self.a
        parts = [torch.ones(2, 3), torch.ones(4, 3)]
        with warnings.catch_warnings(action="ignore"):  # torch calls them a prototype
            self.strided = nn.Parameter(torch.nested.nested_tensor(parts))
            self.jagged = nn.Parameter(torch.nested.nested_tensor(parts, layout=torch.jagged))
        self.sparse, self.one = nn.Parameter(torch.eye(3).to_sparse()), nn.Parameter(torch.ones(()))
        self.register_parameter("none", None)
        self.late = nn.LazyLinear(5)

    def forward(self, x):
        """Return (2, 5)."""
        return self.late(self.again(self.b(self.a(x))))


def test_parameters_of_every_kind():
    """Each is there under its name in the module that was called, a tied one under both."""
    trace = attntrace.trace(Odd(), torch.ones(2, 3))
    linear = {"weight": "float32[3, 3]", "bias": "float32[3]"}
    assert [(one.path, one.own) for one in trace.modules] == [
        ("", {
            "strided": "float32 nested (2, *, 3)", "jagged": "float32 jagged (2, *, 3)",
            "sparse": "float32[3, 3]", "one": "float32[]",
            "idle.weight": "float32[2, 3]", "idle.bias": "float32[2]",
        }),
        ("a", linear),
        ("b", {"weight": "float32[3, 3]"}),
        ("a", linear),
        ("late", {"weight": "float32 uninitialized", "bias": "float32 uninitialized"}),
    ]  # fmt: skip


def test_own_parameters_are_those_of_the_model():
    """In an encoder of torch's, half of whose modules are never called, each is there once."""
    model = nn.TransformerEncoder(nn.TransformerEncoderLayer(8, 2, 16, batch_first=True), 2)
    trace = attntrace.trace(model.bfloat16(), torch.ones(2, 5, 8, dtype=torch.bfloat16))
    found = [
        f"{one.path}.{name} {form}".lstrip(".")
        for one in trace.modules
        for name, form in one.own.items()
    ]
    assert sorted(found) == sorted(
        f"{name} bfloat16{list(of.shape)}" for name, of in model.named_parameters()
    )


def test_a_trace_without_them_is_read():
    """What an earlier file does not say is not there."""
    facts = attntrace.trace(nn.Linear(3, 3), torch.ones(2, 3)).facts
    document = json.loads(json.dumps(facts.to_dict()))
    assert Trace.from_json(json.dumps(document)).modules == facts.modules
    del document["modules"][0]["own"]
    assert Trace.from_json(json.dumps(document)).modules[0].own == {}
