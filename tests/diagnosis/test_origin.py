"""Where what is wrong came from, as the panel tells it: sizes, number formats, devices, writes."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import attntrace


def origin_of(module, *inputs):
    """Return what is said of the origin of a failure, with the text of each line."""
    with pytest.raises(attntrace.ForwardError) as caught:
        attntrace.trace(module, *inputs)
    return [(step.said, step.line) for step in caught.value.diagnosis.origin]


class Mixed(nn.Module):
    """Multiplies by a table of another number format, and then by what has the first."""

    def __init__(self):
        super().__init__()
        self.table = torch.ones(4)

    def forward(self, x):
        scaled = x * self.table
        scores = scaled.softmax(-1)
        return scores @ x


def test_the_line_that_promoted():
    """The line where the number format changed is told, not those that kept it."""
    assert origin_of(Mixed(), torch.ones(4, 4, dtype=torch.bfloat16)) == [
        (
            "`mul` made scaled float32 of x, bfloat16.",
            "scaled = x * self.table",
        )
    ]


class Left(nn.Module):
    """Holds a table that moves nowhere."""

    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(torch.ones(3))
        self.table = torch.ones(5, 3)

    def forward(self, x):
        rows = self.table[: x.shape[0]]
        return x * self.scale + rows


def test_the_line_that_made_what_stayed_behind():
    """A plain tensor that the module holds is told from a buffer, with the line that made it."""
    steps = origin_of(Left().to("meta"), torch.ones(2, 3, device="meta"))
    assert steps[-1] == (
        "`self.table` is a plain tensor, no buffer: model.to(...) leaves it behind.",
        "self.table = torch.ones(5, 3)",
    )


class Heads(nn.Module):
    """Splits a width into heads that do not divide it."""

    def __init__(self, width=64, heads=6):
        super().__init__()
        self.heads = heads
        self.head_dim = width // heads

    def forward(self, x):
        return x.view(2, 5, self.heads, self.head_dim)


def test_the_lines_that_set_the_numbers_of_a_call():
    """What a call takes from the module is followed to the constructor."""
    steps = origin_of(Heads(), torch.ones(2, 5, 64))
    assert (
        "`Heads` is built with head_dim = width // heads = 10, with width=64, heads=6.",
        "self.head_dim = width // heads",
    ) in steps
    assert any(said.startswith("heads=6") for said, _ in steps)


class Written(nn.Module):
    """Writes into what backward needs."""

    def forward(self, x):
        h = torch.sigmoid(x)
        h += 1
        h.sum().backward()
        return h


def test_the_line_that_wrote_in_place():
    """The line that changed what backward needs is told."""
    assert origin_of(Written(), torch.ones(3, requires_grad=True)) == [
        ("`add_` wrote in place into h of `sigmoid`.", "h += 1")
    ]
