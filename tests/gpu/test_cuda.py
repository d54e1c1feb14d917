"""On a GPU: the peak against the allocator's. Run where CUDA is; skipped elsewhere."""

from __future__ import annotations

import pytest
import torch

import attntrace
from attntrace.blocks import make_inputs
from benchmarks import gpu_memory

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="this machine has no CUDA"),
]
BLOCK = 512  # the allocator rounds up to this


def rounded_peak(trace):
    """Return the peak of a trace with each storage rounded up as the allocator rounds it."""
    storages = [s for s in trace.facts.storages if s.owner == "run"]
    size = {s.id: -(-s.nbytes // BLOCK) * BLOCK for s in storages}
    events = [(s.born, size[s.id]) for s in storages]
    events += [(s.died, -size[s.id]) for s in storages if s.died is not None]
    alive = peak = 0
    for _, change in sorted(events):
        alive += change
        peak = max(peak, alive)
    return peak


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("heads", [1, 2, 4])
def test_peak_is_the_allocators(heads, dtype):
    """Eager, the peak is max_memory_allocated once its rounding is applied."""
    spec = attntrace.load(heads=heads, run={"device": "cuda", "dtype": dtype})
    block, x = attntrace.build(spec), make_inputs(spec)["x"]
    with torch.no_grad():
        block(x)  # workspaces of cuBLAS stay from here on
        torch.cuda.synchronize()
        before = torch.cuda.memory_allocated()
        torch.cuda.reset_peak_memory_stats()
        trace = attntrace.trace(block, x)
        torch.cuda.synchronize()
    assert rounded_peak(trace) == torch.cuda.max_memory_allocated() - before


@pytest.mark.parametrize("impl", ["eager", "sdpa", "torch"])
def test_the_bits_are_the_same(impl):
    """Tracing on a GPU changes no bit of the output."""
    attention = {"impl": impl, "qkv_bias": True}
    spec = attntrace.load(heads=4, attention=attention, run={"device": "cuda", "dtype": "float16"})
    block, x = attntrace.build(spec), make_inputs(spec)["x"]
    with torch.no_grad():
        assert torch.equal(block(x), attntrace.trace(block, x).output)


@pytest.mark.parametrize(("name", "impl", "dtype", "grad"), list(gpu_memory.cases()), ids=str)
def test_meta_as_cuda_predicts_the_allocators_peak(name, impl, dtype, grad):
    """Without allocating, within 1 % of max_memory_allocated of the real run."""
    figures = gpu_memory.measured(gpu_memory.spec_of(name, impl, dtype, grad=grad))
    assert abs(figures.off) <= gpu_memory.WITHIN, figures
