"""The comparison with a GPU's allocator, as far as it goes without one."""

from __future__ import annotations

import pytest
import torch

import attntrace
from benchmarks import gpu_memory


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has CUDA")
def test_without_a_gpu_it_says_so(capsys):
    """One sentence on stderr, nothing on stdout, and the exit code of what cannot run."""
    assert gpu_memory.main([]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err == (
        "gpu_memory: this torch sees no GPU, and the figures are about one; nothing was measured\n"
    )


@pytest.mark.parametrize("case", list(gpu_memory.cases())[::5], ids=str)
def test_its_cases_can_be_predicted_without_a_gpu(case):
    """On meta each of them runs, and its peak is a sum of the allocator's blocks."""
    name, impl, dtype, grad = case
    nbytes = gpu_memory.predicted(gpu_memory.spec_of(name, impl, dtype, grad=grad))
    assert nbytes > 0
    assert nbytes % 512 == 0


def test_a_gpu_runs_other_kernels_than_a_cpu():
    """What a run on meta shows depends on what it speaks for."""
    given = gpu_memory.spec_of("attention", "sdpa", "bfloat16", grad=False)
    kernels = {}
    for target in ("cpu", "cuda"):
        trace = attntrace.run(
            {**given, "run": {**given["run"], "device": "meta", "as_device": target}}
        )
        assert trace.facts.environment.as_device == target
        kernels[target] = [op.op for op in trace.ops if "attention" in op.op]
    assert kernels == {
        "cpu": ["aten._scaled_dot_product_flash_attention_for_cpu.default"],
        "cuda": ["aten._scaled_dot_product_flash_attention.default"],
    }
