"""Two witnesses, one number: our peak against the profiler's memory events."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

import attntrace
from tests.capture.recorders import profiled_peak
from tests.capture.test_completeness import block_and_input


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("heads", [1, 2, 4])
@pytest.mark.parametrize("impl", ["eager", "sdpa"])
def test_peak_is_the_profilers(impl, heads, dtype):
    """The peak is the profiler's to the byte; in bfloat16 once oneDNN's scratch is taken off."""
    block, x = block_and_input(
        {"heads": heads, "attention": {"impl": impl}, "run": {"dtype": dtype}}
    )
    with torch.no_grad():
        block(x)  # what a first call sets up is not of this call
        whole, without_scratch = profiled_peak(lambda: block(x))
        peak = attntrace.trace(block, x).memory.peak_nbytes
    assert peak == without_scratch
    if dtype == "float32":
        assert peak == whole


@pytest.mark.parametrize("impl", ["eager", "sdpa"])
def test_peak_with_grad_is_the_profilers(impl):
    """What autograd keeps alive is alive in our account too.

    Without a scale: torch wraps a Python number in a tensor of 8 bytes that no mode sees, and
    autograd keeps it.
    """
    block, x = block_and_input({"heads": 4, "attention": {"impl": impl, "qk_scale": "none"}})
    block(x)
    whole, _ = profiled_peak(lambda: block(x))
    assert attntrace.trace(block, x).memory.peak_nbytes == whole


@settings(max_examples=25, deadline=None)
@given(
    heads=st.integers(1, 4),
    head_dim=st.integers(1, 9),
    tokens=st.integers(1, 23),
    batch=st.integers(1, 3),
    impl=st.sampled_from(["eager", "sdpa", "torch"]),
    grad=st.booleans(),
)
def test_bytes_add_up(heads, head_dim, tokens, batch, impl, grad):
    """Every new byte is shown by one row or hidden in one call, and no moment exceeds the peak."""
    chan = heads * head_dim
    trace = attntrace.run(
        {
            "batch": batch,
            "tokens": tokens,
            "chan": chan,
            "heads": heads,
            "attention": {"impl": impl, "skip": "none"},
            "run": {"grad": grad},
        }
    )
    memory = trace.memory
    born = sum(s.nbytes for s in trace.facts.storages if s.owner == "run")
    by_rows = sum(row.allocated_nbytes + row.hidden_nbytes for row in trace.tensors)
    assert memory.allocated_nbytes + memory.hidden_nbytes == born == by_rows
    by_ops = sum(out.allocated_nbytes for op in trace.ops for out in op.outputs)
    assert by_ops == born
    assert max(row.allocated_nbytes for row in trace.tensors) <= memory.peak_nbytes <= born
    outputs = {trace.tensors[index].storage_id for index in trace.facts.outputs}
    alive = [s for s in trace.facts.storages if s.owner == "run" and s.died is None]
    assert outputs <= {s.id for s in trace.facts.storages if s.died is None}
    assert grad or {s.id for s in alive} == outputs


@settings(max_examples=25, deadline=None)
@given(
    heads=st.integers(1, 4),
    tokens=st.integers(20, 120),
    impl=st.sampled_from(["eager", "sdpa", "torch"]),
    dtype=st.sampled_from(["float32", "bfloat16"]),
    grad=st.booleans(),
)
def test_the_bound_that_refuses_a_run_is_below_its_peak(heads, tokens, impl, dtype, grad):
    """What is refused for want of memory would indeed have needed it, and most of it is counted."""
    from attntrace.analysis.estimate import least_nbytes

    spec = attntrace.load(
        heads=heads,
        chan=16 * heads,
        tokens=tokens,
        attention={"impl": impl, "skip": "none"},
        run={"dtype": dtype, "grad": grad},
    )
    memory = attntrace.run(spec).memory
    held = memory.parameters_nbytes + memory.inputs_nbytes + memory.peak_nbytes
    assert least_nbytes(spec) <= held
    if impl != "torch" and not grad:
        assert held <= 2 * least_nbytes(spec)


def test_a_view_costs_nothing_and_an_in_place_op_says_so():
    """New memory, views, writes in place and calls with nothing to do are told apart."""

    def steps(x):
        doubled = x * 2
        doubled += 1
        same = doubled.contiguous()
        turned = same.T
        return turned.reshape(35)

    trace = attntrace.trace(steps, torch.randn(5, 7))
    assert [(r.name, r.op, r.origin, r.alias_of) for r in trace.tensors] == [
        ("x", "input", "input", None),
        ("doubled", "mul", "new", None),
        ("doubled", "add_", "in place", 1),
        ("same", "contiguous", "same", 2),
        ("turned", "T", "view", 1),
        ("turned.reshape(35)", "reshape", "new", None),
    ]


def test_memory_from_outside_is_not_counted_as_new():
    """A constant of a closure, a buffer and a parameter are not what the run allocated."""
    constant = torch.randn(7, 3)
    layer = nn.BatchNorm1d(3).eval()

    def forward(x):
        return layer(x @ constant.t().t())

    with torch.no_grad():
        trace = attntrace.trace(forward, torch.randn(5, 7))
    assert trace["constant.t()"].origin == "outside"
    assert trace.memory.allocated_nbytes == 2 * 5 * 3 * 4
    with torch.no_grad():
        trace = attntrace.trace(layer, torch.randn(5, 3))
    assert trace.memory.buffers_nbytes == (3 + 3) * 4 + 8


def test_resizing_a_storage_ends_one_life_and_begins_another():
    """An op that grows a storage in place is counted at both sizes."""

    def grow():
        small = torch.empty(3)
        return small.resize_(1000)

    trace = attntrace.trace(grow)
    assert [(s.nbytes, s.died is None) for s in trace.facts.storages] == [(12, False), (4000, True)]
    assert trace.memory.peak_nbytes == 4000


def test_sparse_tensors_have_no_bytes_rather_than_wrong_ones():
    """A layout whose bytes elements do not tell shows None, and the run goes on."""

    def product(x):
        sparse = x.to_sparse()
        return sparse @ x

    trace = attntrace.trace(product, torch.eye(5))
    sparse = trace["sparse"]
    assert (sparse.nbytes, sparse.storage_id) == (None, None)
    assert str(trace)
