"""Whatever goes in and comes out: nested structures, odd tensors, modules that are not plain."""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import torch
from torch import nn

import attntrace


@dataclass
class Output:
    """What a model of Hugging Face's kind returns."""

    hidden: torch.Tensor
    states: tuple[torch.Tensor, ...]
    loss: torch.Tensor | None = None


def outputs_of(trace):
    """Return the names of the rows that were returned."""
    return [trace.tensors[index].name for index in trace.facts.outputs]


def test_a_dataclass_of_tensors_comes_out():
    """The tensors in fields, in tuples and beside None are the outputs, each once, in order."""

    def forward(x):
        hidden = x + 1
        first, second = x * 2, x * 3
        return Output(hidden, (first, second, hidden))

    trace = attntrace.trace(forward, torch.randn(5))
    assert outputs_of(trace) == ["hidden", "first", "second"]
    assert isinstance(trace.output, Output)


def test_mappings_and_lists_go_in_and_come_out():
    """Inputs in a dataclass, a dict or a list have names, outputs in a dict are found."""

    def forward(batch, past):
        scores = batch.hidden @ past["k"][0]
        return {"scores": scores, "more": [scores.T, None, 3]}

    batch = Output(torch.randn(5, 7), ())
    trace = attntrace.trace(forward, batch, {"k": [torch.randn(7, 3)]})
    assert [row.name for row in trace if row.kind == "input"] == ["batch.hidden", "past['k'][0]"]
    assert outputs_of(trace) == ["scores", "scores.T"]


def test_nothing_goes_in_and_nothing_comes_out():
    """A function without tensors has no rows, and its report is still a report."""
    trace = attntrace.trace(lambda: None)
    assert (len(trace), trace.output) == (0, None)
    assert "peak         0 B at once" in str(trace)


def test_a_constant_comes_out():
    """A tensor that no call made is a row all the same, from outside."""
    constant = torch.randn(3)
    trace = attntrace.trace(lambda: constant)
    (row,) = trace.tensors
    assert (row.kind, row.origin, row.allocated_nbytes) == ("output", "outside", 0)


def test_a_nested_tensor_has_no_one_shape():
    """Where the parts of a tensor differ in shape there is None, and the table says nested."""

    def forward(x):
        parts = torch.nested.nested_tensor([x, x[:2]])
        doubled = parts * 2
        return doubled.unbind()[1]

    with warnings.catch_warnings(action="ignore"):  # torch calls them a prototype
        trace = attntrace.trace(forward, torch.randn(3, 5))
    assert trace["doubled"].shape is None
    assert " nested " in str(trace)
    assert trace.tensors[trace.facts.outputs[0]].shape == (2, 5)


def test_a_lazy_module_takes_its_shape_in_the_run():
    """Parameters that are not there yet are no obstacle."""
    trace = attntrace.trace(nn.LazyLinear(7), torch.randn(2, 5))
    assert trace.tensors[-1].shape == (2, 7)


def test_ops_that_a_script_runs_are_one_row():
    """TorchScript calls ops from C++: nobody wrote these calls, so they are kernels of the module."""
    with warnings.catch_warnings(action="ignore"):  # deprecated, and still in use
        scripted = torch.jit.trace(nn.Sequential(nn.Linear(7, 5), nn.ReLU()), torch.randn(2, 7))
    with torch.no_grad():
        trace = attntrace.trace(scripted, torch.randn(2, 7))
    assert [row.kind for row in trace] == ["input", "module"]
    assert {"aten.addmm.default", "aten.relu.default"} <= {op.op for op in trace.ops}
    assert {op.row for op in trace.ops} == {1}


def test_a_module_called_twice_and_one_that_calls_itself():
    """Each call is a visit of its own, and its rows are its own."""

    class Twice(nn.Module):
        def __init__(self):
            super().__init__()
            self.step = nn.Linear(7, 7)

        def forward(self, x, depth=2):
            x = self.step(x)
            return self(x, depth - 1) if depth else x

    trace = attntrace.trace(Twice(), torch.randn(2, 7))
    assert [m.path for m in trace.modules] == ["", "step", "", "step", "", "step"]
    assert [m.depth for m in trace.modules] == [0, 1, 1, 2, 2, 3]
    assert [row.op for row in trace] == ["input", "linear", "linear", "linear"]
    assert trace.memory.parameters == 56


def test_a_dispatched_op_that_fails_below_a_call():
    """The call of the author's is named, not the op below it."""
    caught = None
    try:
        attntrace.trace(lambda x: torch.linalg.cholesky(-x), torch.eye(3))
    except attntrace.ForwardError as error:
        caught = error
    assert caught is not None
    assert caught.diagnosis.op == "linalg_cholesky"
    assert [operand.name for operand in caught.diagnosis.operands] == ["-x"]


def test_a_jagged_tensor_can_be_written_down():
    """One of its sizes is a symbol, which no JSON has."""
    x = torch.randn(9, 24)
    parts = torch.nested.nested_tensor([x, x[:3]], layout=torch.jagged)
    trace = attntrace.trace(torch.relu, parts)
    assert attntrace.Trace.from_json(trace.to_json()).tensors[-1].shape is None
