"""Modules whose forward is made of what most forwards have none of."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import attntrace

HIGHER = torch.ops.higher_order


class Choice(nn.Module):
    """One of two functions, by what the tensor holds."""

    def forward(self, x):
        return HIGHER.cond(x.sum() > 0, torch.sin, torch.cos, (x,)) * 2


class ByHand(nn.Module):
    """Ops called below their Python-level names."""

    def forward(self, x):
        doubled = torch.ops.aten.mul.Tensor(x, 2)
        return torch.ops.aten.relu_.default(doubled)


def test_op_that_runs_functions_is_one_op():
    """What `torch.cond` calls runs as it does unwatched, and is a row with its result."""
    x = torch.rand(3, 5)
    with torch.no_grad():
        expected = Choice()(x)
        trace = attntrace.trace(Choice(), x)
    assert torch.equal(trace.output, expected)
    assert [(row.op, row.shape) for row in trace][1:] == [
        ("sum", ()), ("gt", ()), ("cond", (3, 5)), ("mul", (3, 5)),
    ]  # fmt: skip
    assert [op.op for op in trace.ops][2] == "higher_order.cond"


def test_op_that_runs_functions_is_shown():
    """Every format has a name for it, and none has a formula."""
    with torch.no_grad():
        trace = attntrace.trace(Choice(), torch.rand(3, 5))
    assert "FLOPs of sum, gt, cond, mul" in str(trace)
    assert attntrace.Trace.from_json(trace.to_json()).facts == trace.facts


def test_op_that_runs_functions_keeps_its_error():
    """What a branch raises comes out as it does unwatched."""
    with torch.no_grad(), pytest.raises(attntrace.ForwardError) as failed:
        attntrace.trace(lambda x: HIGHER.cond(x.sum() > 0, torch.linalg.inv, torch.cos, (x,)),
                        torch.ones(3, 5))  # fmt: skip
    assert isinstance(failed.value.__cause__, RuntimeError)
    assert "must be batches of square matrices" in str(failed.value.__cause__)


def test_ops_called_by_hand_are_rows():
    """A call of `torch.ops.aten` is a call of the author's, in place or not."""
    trace = attntrace.trace(ByHand(), torch.rand(3, 5))
    assert [(row.name, row.op, row.origin) for row in trace][1:] == [
        ("doubled", "mul.Tensor", "new"),
        ("torch.ops.aten.relu_.default(doubled)", "relu_.default", "in place"),
    ]
