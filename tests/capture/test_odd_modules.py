"""Modules whose forward is made of what most forwards have none of."""

from __future__ import annotations

import warnings
from typing import ClassVar

import pytest
import torch
from torch import nn

import attntrace
from tests.capture.recorders import profiled_peak

HIGHER = torch.ops.higher_order
WEIGHT = nn.Parameter(torch.rand(6, 5))


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


@pytest.mark.parametrize("grad", [False, True])
def test_part_of_a_parameter_written_without_a_graph(grad):
    """Autograd refuses to say which node made such a view, and no row or output needs to know."""
    book = nn.Parameter(torch.ones(7))

    def update(x):
        with torch.no_grad():
            part = book[2:]
            part.lerp_(x, 0.5)
        return book * 2, part

    with torch.set_grad_enabled(grad):
        trace = attntrace.trace(update, torch.zeros(5))
    assert torch.equal(book.data, torch.tensor([1.0, 1, 0.5, 0.5, 0.5, 0.5, 0.5]))
    assert [(row.op, row.origin, row.alias_of) for row in trace][1:] == [
        ("getitem", "outside", None), ("lerp_", "in place", 1), ("mul", "new", None),
    ]  # fmt: skip


def test_ops_called_by_hand_are_rows():
    """A call of `torch.ops.aten` is a call of the author's, in place or not."""
    trace = attntrace.trace(ByHand(), torch.rand(3, 5))
    assert [(row.name, row.op, row.origin) for row in trace][1:] == [
        ("doubled", "mul.Tensor", "new"),
        ("torch.ops.aten.relu_.default(doubled)", "relu_.default", "in place"),
    ]


class Asked(torch.Tensor):
    """Notes what is asked of it, and refuses what a model has no need of."""

    questions: ClassVar[list[str]] = []

    @classmethod
    def __torch_function__(cls, func, types, args=(), kwargs=None):
        cls.questions.append(func.__name__)
        if func.__name__ in ("untyped_storage", "inverse"):
            message = f"no {func}"
            raise TypeError(message)
        return super().__torch_function__(func, types, args, kwargs)


class Subclassed(nn.Module):
    """A subclass among the buffers, in and out, and below a backward."""

    def __init__(self):
        super().__init__()
        self.project = nn.Linear(5, 5)
        self.attend = nn.MultiheadAttention(5, 1)
        self.register_buffer("shift", torch.ones(5).as_subclass(Asked))

    def forward(self, x):
        h = self.project(x) + self.shift
        h = self.attend(h, h, h)[0]
        h.add_(1)
        h.sum().backward()
        return h.chunk(2)


@pytest.mark.parametrize("how", ["trace", "watch"])
def test_a_subclass_is_asked_nothing_more(how):
    """What a class of the author's says of torch's functions is not asked for by watching."""
    model, x = Subclassed(), torch.rand(4, 5).as_subclass(Asked)
    Asked.questions.clear()
    model(x)
    unwatched = list(Asked.questions)
    Asked.questions.clear()
    if how == "trace":
        trace = attntrace.trace(model, x)
    else:
        with attntrace.watch(model) as session:
            model(x)
        trace = session.trace
    assert Asked.questions == unwatched
    assert [row.name for row in trace if row.phase == "forward"][-2:] == [
        "h.chunk(2)[0]",
        "h.chunk(2)[1]",
    ]


def test_a_subclass_that_refuses_is_an_operand():
    """The error is the author's own, with what it was about."""
    with pytest.raises(attntrace.ForwardError) as failed:
        attntrace.trace(lambda x: x.as_subclass(Asked).inverse(), torch.rand(2, 3))
    failure = failed.value.diagnosis
    assert isinstance(failed.value.__cause__, TypeError)
    assert (failure.op, [operand.shape for operand in failure.operands]) == ("inverse", [(2, 3)])


@pytest.mark.parametrize("call", [
    nn.Linear(6, 5),
    lambda x: x @ WEIGHT.T.mT,
    lambda x: WEIGHT.chunk(2)[0].reshape(15) + x.mean(),
])  # fmt: skip
def test_inference_mode_picks_the_same_kernel(call):
    """Whether a view needs a gradient decides how `matmul` runs, in inference mode, too."""
    x = torch.rand(2, 6, 3).mT
    with torch.inference_mode():
        expected = call(x)
        assert torch.equal(attntrace.trace(call, x).output, expected)
    with torch.enable_grad():
        ops = [op.op for op in attntrace.trace(call, x).ops]
    with torch.inference_mode():
        assert [op.op for op in attntrace.trace(call, x).ops] == ops


def test_numbers_that_autograd_keeps_inside_a_call():
    """Attention scales its query by a number inside of one call: it counts as it does in a block."""
    model = nn.Sequential(*[nn.MultiheadAttention(6, 2) for _ in range(3)])

    def forward(x):
        for layer in model:
            x = layer(x, x, x, need_weights=False)[0]
        return x

    x = torch.rand(4, 6)
    peaks = profiled_peak(lambda: forward(x))
    with attntrace.watch() as session:
        forward(x)
    assert attntrace.trace(forward, x).memory.peak_nbytes in peaks
    assert session.trace.memory.peak_nbytes in peaks


def test_a_scripted_part():
    """The class of a scripted module has no forward: its call is one row, also on meta."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        model = nn.Sequential(torch.jit.script(nn.Linear(6, 5)), nn.ReLU())
    rows = attntrace.trace(model, torch.rand(3, 6), axes=True).facts.tensors
    assert [row.shape for row in rows] == [(3, 6), (3, 5), (3, 5)]
    on_meta = attntrace.trace(model.to("meta"), torch.rand(3, 6, device="meta")).facts.tensors
    assert [row.shape for row in on_meta] == [(3, 6), (3, 5), (3, 5)]
