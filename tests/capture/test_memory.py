"""Two witnesses, one number: our peak against the profiler's memory events."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

import attntrace
from attntrace.analysis.estimate import least_nbytes
from attntrace.blocks import make_inputs
from tests.blocks.variants import VARIANTS
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


WRAPPED_NUMBER = 12
"""Bytes of a Python number that an op wraps in a tensor of its own, below what a mode can see."""


@pytest.mark.parametrize("name", list(VARIANTS)[::4])
def test_peak_of_a_variant_is_the_profilers(name):
    """Every kind of block: the profiler's peak to the byte, once its kernels' scratch is taken off."""
    spec = attntrace.load(**VARIANTS[name])
    block, inputs = attntrace.build(spec), make_inputs(spec)
    with torch.no_grad():
        block(**inputs)
        _, without_scratch = profiled_peak(lambda: block(**inputs))
        peak = attntrace.trace(block, **inputs).memory.peak_nbytes
    wrapped = "mask" in VARIANTS[name] or spec.block == "psa" or spec.attention.softcap is not None
    assert 0 <= without_scratch - peak <= (WRAPPED_NUMBER if wrapped else 0)


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


@pytest.mark.parametrize("grad", [False, True], ids=["no grad", "grad"])
def test_linear_is_counted_as_it_runs_unwatched(grad):
    """On an input that is not flat, `linear` adds its bias in place, unless a mode watches it."""
    layer, x = nn.Linear(64, 192), torch.randn(100, 13, 64).transpose(0, 1)
    with torch.set_grad_enabled(grad):
        layer(x)
        whole, _ = profiled_peak(lambda: layer(x))
        memory = attntrace.trace(layer, x).memory
    assert memory.peak_nbytes == whole
    assert memory.allocated_nbytes + memory.hidden_nbytes == 998_400 + 332_800


def test_a_product_and_a_sum_of_the_authors_are_not_linear():
    """`x @ w + b` allocates twice, and both are counted."""
    w, b, x = torch.randn(64, 192), torch.randn(192), torch.randn(100, 13, 64).transpose(0, 1)
    whole, _ = profiled_peak(lambda: x @ w + b)
    assert attntrace.trace(lambda x: x @ w + b, x).memory.peak_nbytes == whole


@pytest.mark.parametrize("mode", ["train", "eval"])
@pytest.mark.parametrize("heads", [1, 4])
def test_multihead_attention_of_torch_is_the_profilers(heads, mode):
    """Where nn.MultiheadAttention is taken apart, its peak is the profiler's to the byte."""
    block, x = block_and_input(
        {
            "heads": heads,
            "attention": {"impl": "torch", "qkv_bias": True},
            "run": {"mode": mode},
        }
    )
    block(x)
    whole, _ = profiled_peak(lambda: block(x))
    assert attntrace.trace(block, x).memory.peak_nbytes == whole


def test_inference_mode_shows_what_runs_below():
    """In inference mode whole `linear` and `matmul` reach the dispatcher, and are taken apart."""
    block, x = block_and_input({"heads": 4})
    with torch.inference_mode():
        memory = attntrace.trace(block, x).memory
        trace = attntrace.trace(block, x)
    assert (memory.peak_nbytes, memory.hidden_nbytes) == (5_158_400, 998_400)
    assert sum(row.flops or 0 for row in trace.tensors) == 68_390_400
    assert "inference mode" in str(trace)


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
    born = [s for s in trace.facts.storages if s.op is not None]
    forward = sum(s.nbytes for s in born if trace.ops[s.op].phase == "forward")
    assert memory.allocated_nbytes + memory.hidden_nbytes == forward
    by_rows = sum(row.allocated_nbytes + row.hidden_nbytes for row in trace.tensors)
    by_ops = sum(out.allocated_nbytes for op in trace.ops for out in op.outputs)
    assert by_ops == by_rows == sum(s.nbytes for s in born)
    largest = max(row.allocated_nbytes for row in trace.tensors if row.phase == "forward")
    assert largest <= memory.peak_nbytes
    outputs = {trace.tensors[index].storage_id for index in trace.facts.outputs}
    alive = [s for s in trace.facts.storages if s.owner == "run" and s.died is None]
    assert outputs <= {s.id for s in trace.facts.storages if s.died is None}
    assert grad or {s.id for s in alive} == outputs


@settings(max_examples=30, deadline=None)
@given(
    heads=st.integers(1, 4),
    tokens=st.integers(1, 120),
    batch=st.integers(1, 9),
    impl=st.sampled_from(["eager", "sdpa", "torch"]),
    bias=st.booleans(),
    grad=st.booleans(),
)
def test_the_bound_that_refuses_a_run_is_below_what_it_takes(
    heads, tokens, batch, impl, bias, grad
):
    """A run that is refused would indeed have needed that much, and most of it is counted."""
    spec = attntrace.load(
        heads=heads,
        chan=16 * heads,
        tokens=tokens,
        batch=batch,
        attention={"impl": impl, "skip": "none", "qkv_bias": bias},
        run={"grad": grad},
    )
    block, x = attntrace.build(spec), make_inputs(spec)["x"]
    with torch.set_grad_enabled(grad):
        block(x)
        whole, _ = profiled_peak(lambda: block(x))
    parameters = sum(p.nbytes for p in block.parameters())
    held = parameters + x.nbytes + whole
    assert least_nbytes(spec) <= held
    if not grad:
        assert held <= 1.6 * least_nbytes(spec) + 20_000


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
