"""Axes that a tensor does not have, and parts that do not add up."""

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
    "a softmax over keys that are not there": (
        lambda scores: scores.softmax(dim=3),
        [(2, 10, 10)],
        "`scores.softmax(dim=3)` names axis 3, but scores has 3 axes, (2, 10, 10), numbered 0 to 2 or -3 to -1.",
        ["scores.softmax(dim=-1)", "scores.unsqueeze(0).softmax(dim=3)"],
    ),
    "a function": (
        lambda scores: torch.softmax(scores, 3),
        [(2, 10, 10)],
        "`torch.softmax(scores, 3)` names axis 3, but scores has 3 axes, (2, 10, 10), numbered 0 to 2 or -3 to -1.",
        ["torch.softmax(scores, -1)", "torch.softmax(scores.unsqueeze(0), 3)"],
    ),
    "a module": (
        Layered(nn.Softmax(dim=3)),
        [(2, 10, 12)],
        "`self.fc(x)` names axis 3, but x has 3 axes, (2, 10, 12), numbered 0 to 2 or -3 to -1.",
        ["build `self.fc` with dim=-1", "self.fc(x.unsqueeze(0))"],
    ),
    "heads that are not split": (
        lambda k: k.transpose(2, 3),
        [(2, 10, 16)],
        "`k.transpose(2, 3)` names axis 3, but k has 3 axes, (2, 10, 16), numbered 0 to 2 or -3 to -1.",
        ["k.unsqueeze(0).transpose(2, 3)", "k.transpose(1, 2)"],
    ),
    "no batch": (
        lambda k: k.transpose(1, 2),
        [(10, 16)],
        "`k.transpose(1, 2)` names axis 2, but k has 2 axes, (10, 16), numbered 0 to 1 or -2 to -1.",
        ["k.unsqueeze(0).transpose(1, 2)", "k.transpose(0, 1)"],
    ),
    "an axis beyond the end": (
        lambda x: x.unsqueeze(3),
        [(2, 3)],
        "`x.unsqueeze(3)` names axis 3, but x has 2 axes, (2, 3), which leaves places 0 to 2 or -3 to -1.",
        ["x.unsqueeze(-1)"],
    ),
    "an axis to take out": (
        lambda x: x.squeeze(2),
        [(2, 3)],
        "`x.squeeze(2)` names axis 2, but x has 2 axes, (2, 3), numbered 0 to 1 or -2 to -1.",
        ["x.squeeze(-1)", "x.unsqueeze(0).squeeze(2)"],
    ),
    "a pair of axes": (
        lambda x: x.sum(dim=(1, 2)),
        [(2, 3)],
        "`x.sum(dim=(1, 2))` names axis 2, but x has 2 axes, (2, 3), numbered 0 to 1 or -2 to -1.",
        ["x.unsqueeze(0).sum(dim=(1, 2))", "x.sum(dim=(0, 1))"],
    ),
    "a mean": (
        lambda x: x.mean(dim=2, keepdim=True),
        [(2, 3)],
        "`x.mean(dim=2, keepdim=True)` names axis 2, but x has 2 axes, (2, 3), numbered 0 to 1 or -2 to -1.",
        ["x.mean(dim=-1, keepdim=True)", "x.unsqueeze(0).mean(dim=2, keepdim=True)"],
    ),
    "a norm": (
        lambda x: x.norm(dim=2),
        [(2, 3)],
        "`x.norm(dim=2)` names axis 2, but x has 2 axes, (2, 3), numbered 0 to 1 or -2 to -1.",
        ["x.norm(dim=-1)", "x.unsqueeze(0).norm(dim=2)"],
    ),
    "a size": (
        lambda x: x.size(3),
        [(2, 3, 4)],
        "`x.size(3)` names axis 3, but x has 3 axes, (2, 3, 4), numbered 0 to 2 or -3 to -1.",
        ["x.size(-1)", "x.unsqueeze(0).size(3)"],
    ),
    "an axis before the first": (
        lambda x: x.argmax(dim=-3),
        [(2, 3)],
        "`x.argmax(dim=-3)` names axis -3, but x has 2 axes, (2, 3), numbered 0 to 1 or -2 to -1.",
        ["x.argmax(dim=0)", "x.unsqueeze(0).argmax(dim=-3)"],
    ),
    "an image without a batch": (
        lambda x: x.permute(0, 2, 3, 1),
        [(3, 8, 9)],
        "`x.permute(0, 2, 3, 1)` orders 4 axes, (0, 2, 3, 1), but x has 3 axes: (3, 8, 9).",
        ["x.unsqueeze(0).permute(0, 2, 3, 1)", "x.permute(1, 2, 0)"],
    ),
    "a map whose places were made one axis": (
        lambda tokens: tokens.permute(0, 2, 3, 1),
        [(4, 8, 9)],
        "`tokens.permute(0, 2, 3, 1)` orders 4 axes, (0, 2, 3, 1), but tokens has 3 axes: (4, 8, 9).",
        [
            "tokens.permute(0, 2, 1)",
            "tokens.unsqueeze(0).permute(0, 2, 3, 1)",
            "tokens.permute(1, 2, 0)",
        ],
    ),
    "a permutation without the batch": (
        lambda x: x.permute(1, 2, 0),
        [(2, 3, 8, 9)],
        "`x.permute(1, 2, 0)` orders 3 axes, (1, 2, 0), but x has 4 axes: (2, 3, 8, 9).",
        ["x.permute(0, 2, 3, 1)"],
    ),
    "a permutation with an axis twice": (
        lambda x: x.permute(0, 1, 1, 3),
        [(2, 3, 8, 9)],
        "`x.permute(0, 1, 1, 3)` names axis 1 twice and axis 2 never: each of the 4 axes of x must stand there once.",
        ["x.permute(0, 1, 2, 3)", "x.permute(0, 2, 1, 3)"],
    ),
    "axes counted from one": (
        lambda x: x.permute(1, 3, 2),
        [(2, 3, 8)],
        "`x.permute(1, 3, 2)` names axis 3, but x has 3 axes: (2, 3, 8), numbered 0 to 2.",
        ["x.permute(0, 2, 1)"],
    ),
    "t of three axes": (
        lambda x: x.t(),
        [(2, 3, 8)],
        "`.t()` takes a tensor of at most 2 axes, but x has 3: (2, 3, 8).",
        ["x.transpose(-2, -1)", "x.transpose(0, 1)"],
    ),
    "mT of a vector": (
        lambda x: x.mT,
        [(8,)],
        "`.mT` takes a tensor of 2 axes or more, but x has 1: (8,).",
        ["x.unsqueeze(-1)"],
    ),
    "a projection that is too narrow": (
        lambda qkv: qkv.split([64, 64, 64], dim=-1),
        [(2, 10, 128)],
        "`qkv.split([64, 64, 64], dim=-1)` splits 64+64+64 = 192, but the last size of qkv is 128.",
        ["make the last size of qkv 192, as a layer with out_features=192 does"],
    ),
    "shared keys and values": (
        lambda qkv: qkv.split([64, 16, 16], dim=-1),
        [(2, 10, 192)],
        "`qkv.split([64, 16, 16], dim=-1)` splits 64+16+16 = 96, but the last size of qkv is 192.",
        [
            "make the last size of qkv 96, as a layer with out_features=96 does",
            "qkv.split([160, 16, 16], dim=-1)",
        ],
    ),
    "halves": (
        lambda x: torch.split(x, [3, 3], 1),
        [(2, 8)],
        "`torch.split(x, [3, 3], 1)` splits 3+3 = 6, but the last size of x is 8.",
        [
            "make the last size of x 6, as a layer with out_features=6 does",
            "torch.split(x, [4, 4], 1)",
        ],
    ),
    "chunks of an axis that is not there": (
        lambda x: x.chunk(3, dim=3),
        [(2, 10, 192)],
        "`x.chunk(3, dim=3)` names axis 3, but x has 3 axes, (2, 10, 192), numbered 0 to 2 or -3 to -1.",
        ["x.chunk(3, dim=-1)", "x.unsqueeze(0).chunk(3, dim=3)"],
    ),
    "no chunks": (
        lambda x: x.chunk(0, dim=-1),
        [(2, 10, 192)],
        "`x.chunk(0, dim=-1)` cuts x, (2, 10, 192), into 0 parts: it must be at least 1.",
        [],
    ),
    "an odd number of gates": (
        lambda x: F.glu(x),
        [(2, 63)],
        "`F.glu(x)` multiplies the two halves of an axis, so it must be even, but the last size of x is 63 = 2*31 + 1.",
        ["make the last size of x 64, as a layer with out_features=64 does"],
    ),
    "more than there are": (
        lambda x: x.topk(10, dim=-1),
        [(2, 8)],
        "`x.topk(10, dim=-1)` asks for the 10 largest, but the last size of x, 8, is all there is.",
        ["x.topk(8, dim=-1)"],
    ),
}


@pytest.mark.parametrize(("forward", "inputs", "rule", "fixes"), CASES.values(), ids=CASES)
def test_dims(forward, inputs, rule, fixes):
    """A call that names a wrong axis says which ones there are, and what to write instead."""
    found = failure(forward, inputs)
    assert found.rule == rule
    assert [fix.code or fix.said for fix in found.fixes] == fixes


@settings(max_examples=40, deadline=None, derandomize=True, database=None)
@given(st.lists(st.integers(2, 5), min_size=1, max_size=4), st.integers(0, 3), st.booleans())
def test_any_axis_that_is_not_there(shape, more, from_the_end):
    """The rule has the axis and how many there are, and each fix runs on the tensor."""
    dim = -len(shape) - more - 1 if from_the_end else len(shape) + more
    found = failure(lambda x: x.softmax(dim), [tuple(shape)], dim=dim)
    assert f"names axis {dim}, but x has {len(shape)} ax" in found.rule
    assert found.fixes
