"""Which attention kernel is said to have run."""

from __future__ import annotations

import pytest
import torch

import attntrace
from attntrace.analysis.kernel import attention_kernel


@pytest.mark.parametrize(
    ("settings", "kernel"),
    [
        ({"attention": {"impl": "eager"}}, "none fused (bmm, softmax, bmm)"),
        ({"attention": {"impl": "sdpa"}}, "flash (cpu)"),
        ({"attention": {"impl": "torch", "qkv_bias": True}}, "fused nn.MultiheadAttention"),
        (
            {"attention": {"impl": "torch", "qkv_bias": True}, "run": {"grad": True}},
            "flash (cpu)",
        ),
        ({"attention": {"impl": "sdpa"}, "run": {"device": "meta"}}, "flash (cpu)"),
    ],
    ids=["eager", "sdpa", "torch", "torch with grad", "sdpa on meta"],
)
def test_our_blocks(settings, kernel):
    """The kernel of each implementation is read off the ops that ran."""
    assert attention_kernel(attntrace.run({"heads": 4, **settings}).facts) == kernel


def test_no_attention_no_kernel():
    """A run without attention has none."""
    assert attention_kernel(attntrace.trace(torch.relu, torch.randn(3)).facts) is None
