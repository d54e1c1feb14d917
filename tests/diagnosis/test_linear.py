"""Linear and bilinear layers that refuse their input."""

# ruff: noqa: PLW0108 - the call has to stand in a line of ours

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from tests.diagnosis.failing import Layered, failure

CASES = {
    "a layer for one channel, an image of three": (
        Layered(nn.Linear(49, 192, bias=False)),
        [(2, 100, 147)],
        "`self.fc` takes in_features=49, but the last size of x is 147 = 3*49.",
        ["self.fc = nn.Linear(147, 192, bias=False)"],
    ),
    "channels before tokens": (
        Layered(nn.Linear(64, 10)),
        [(2, 64, 49)],
        "`self.fc` takes in_features=64, but the last size of x is 49.",
        ["self.fc(x.transpose(1, 2))", "self.fc = nn.Linear(49, 10)"],
    ),
    "channels first": (
        Layered(nn.Linear(64, 10)),
        [(2, 64, 7, 5)],
        "`self.fc` takes in_features=64, but the last size of x is 5.",
        [
            "self.fc(x.permute(0, 2, 3, 1))",
            "self.fc(x.flatten(2).transpose(1, 2))",
            "self.fc(x.mean((2, 3)))",
        ],
    ),
    "features that are not flat": (
        Layered(nn.Linear(400, 10)),
        [(2, 16, 5, 5)],
        "`self.fc` takes in_features=400, but the last size of x is 5, and 400 = 80*5.",
        ["self.fc(x.flatten(1))", "self.fc = nn.Linear(5, 10)"],
    ),
    "an image without a batch": (
        Layered(nn.Linear(400, 10)),
        [(16, 5, 5)],
        "`self.fc` takes in_features=400, but the last size of x is 5, and 400 = 80*5.",
        ["self.fc(x.unsqueeze(0).flatten(1))", "self.fc = nn.Linear(5, 10)"],
    ),
    "another image size": (
        Layered(nn.Linear(400, 10)),
        [(2, 576)],
        "`self.fc` takes in_features=400, but the last size of x is 576.",
        ["self.fc = nn.Linear(576, 10)"],
    ),
    "heads that are not joined": (
        Layered(nn.Linear(64, 48)),
        [(2, 4, 12, 16)],
        "`self.fc` takes in_features=64, but the last size of x is 16, and 64 = 4*16.",
        ["self.fc(x.transpose(1, 2).flatten(2))", "self.fc = nn.Linear(16, 48)"],
    ),
    "heads behind their tokens": (
        Layered(nn.Linear(64, 48)),
        [(2, 12, 4, 16)],
        "`self.fc` takes in_features=64, but the last size of x is 16, and 64 = 4*16.",
        ["self.fc(x.flatten(2))", "self.fc = nn.Linear(16, 48)"],
    ),
    "both directions of a recurrent layer": (
        Layered(nn.Linear(32, 10)),
        [(5, 7, 64)],
        "`self.fc` takes in_features=32, but the last size of x is 64 = 2*32.",
        ["self.fc = nn.Linear(64, 10)"],
    ),
    "one of two tensors side by side": (
        Layered(nn.Linear(64, 10)),
        [(3, 7, 32)],
        "`self.fc` takes in_features=64, but the last size of x is 32, and 64 = 2*32.",
        ["self.fc = nn.Linear(32, 10)"],
    ),
    "a layer for one head": (
        Layered(nn.Linear(16, 16)),
        [(3, 7, 64)],
        "`self.fc` takes in_features=16, but the last size of x is 64 = 4*16.",
        ["self.fc = nn.Linear(64, 16)", "self.fc(x.unflatten(-1, (4, 16)))"],
    ),
    "ids that were not embedded": (
        Layered(nn.Linear(64, 48)),
        [torch.zeros(2, 10, dtype=torch.long)],
        "`self.fc` takes in_features=64, but the last size of x is 10.",
        [
            "x holds whole numbers (int64): look ids up first, with `nn.Embedding(vocabulary, 64)`, or make numbers float: `x.float()`"
        ],
    ),
    "an expression": (
        lambda x, y, w: F.linear(x + y, w),
        [(2, 7, 5), (2, 7, 5), (6, 7)],
        "`F.linear(x + y, w)` needs the last size of x + y, 5, to equal the last size of w, 7.",
        ["F.linear((x + y).transpose(1, 2), w)", "make w (6, 5)"],
    ),
    "a weight of (in, out)": (
        lambda x, w: F.linear(x, w),
        [(2, 7), (7, 5)],
        "`F.linear(x, w)` needs the last size of x, 7, to equal the last size of w, 5.",
        ["F.linear(x, w.t())", "make w (7, 7)"],
    ),
    "a bias of another width": (
        lambda x, w, b: F.linear(x, w, b),
        [(2, 7), (5, 7), (6,)],
        "`F.linear(x, w, b)` gives 5 features, the first size of w, but b has 6.",
        ["make b (5,)"],
    ),
    "layers in a row": (
        nn.Sequential(nn.Conv2d(1, 16, 3), nn.Linear(576, 10)),
        [(2, 1, 8, 8)],
        "`1` takes in_features=576, but the last size of 0 is 6, and 576 = 96*6.",
        [
            "flatten 0 from axis 1 on, 16*6*6 = 576, with an `nn.Flatten(1)` before `1`",
            "build `1` with in_features=6: `nn.Linear(6, 10)`",
        ],
    ),
    "an image that was not pooled": (
        Layered(nn.Linear(64, 10)),
        [(2, 64, 7, 7)],
        "`self.fc` takes in_features=64, but the last size of x is 7.",
        [
            "self.fc(x.permute(0, 2, 3, 1))",
            "self.fc(x.flatten(2).transpose(1, 2))",
            "self.fc(x.mean((2, 3)))",
        ],
    ),
    "a number": (
        Layered(nn.Linear(3, 4)),
        [()],
        "`self.fc(x)` needs a tensor with at least one axis, but x has 0.",
        [],
    ),
    "two inputs in the wrong order": (
        lambda x, y, w: F.bilinear(x, y, w),
        [(2, 4), (2, 3), (5, 3, 4)],
        "`F.bilinear(x, y, w)` takes in1_features=3 and in2_features=4, but the last sizes of x and y are 4 and 3.",
        ["F.bilinear(y, x, w)", "nn.Bilinear(4, 3, 5)"],
    ),
    "an input of another width": (
        lambda x, y, w: F.bilinear(x, y, w),
        [(2, 3), (2, 6), (5, 3, 4)],
        "`F.bilinear(x, y, w)` takes in1_features=3 and in2_features=4, but the last sizes of x and y are 3 and 6.",
        ["nn.Bilinear(3, 6, 5)"],
    ),
    "batches that differ": (
        lambda x, y, w: F.bilinear(x, y, w),
        [(2, 3), (7, 4), (5, 3, 4)],
        "`F.bilinear(x, y, w)` needs the second-last size of x, 2, to equal the second-last size of y, 7.",
        [],
    ),
}


@pytest.mark.parametrize(("forward", "inputs", "rule", "fixes"), CASES.values(), ids=CASES)
def test_linear(forward, inputs, rule, fixes):
    """A layer that refuses its input says what it takes and what it got, and how to build it."""
    found = failure(forward, inputs)
    assert found.rule == rule
    assert [fix.code or fix.said for fix in found.fixes] == fixes


@settings(max_examples=25, deadline=None, derandomize=True, database=None)
@given(st.lists(st.integers(2, 9), min_size=1, max_size=3), st.integers(2, 9), st.integers(1, 9))
def test_any_width_that_a_layer_does_not_take(batch, width, more):
    """The rule has both numbers, and a layer of the right width is always among the fixes."""
    found = failure(Layered(nn.Linear(width + more, 7)), [(*batch, width)])
    assert f"takes in_features={width + more}, but the last size of x is {width}" in found.rule
    assert f"self.fc = nn.Linear({width}, 7)" in [fix.code for fix in found.fixes]
