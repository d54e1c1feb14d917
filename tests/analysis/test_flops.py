"""FLOPs from shapes against PyTorch's own counter, and figures worked out by hand."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

import attntrace
from attntrace.analysis.flops import flops_of, not_counted, total_flops


def counted(module, *args):
    """Return what PyTorch counts."""
    with FlopCounterMode(display=False) as counter:
        module(*args)
    return counter.get_total_flops()


@pytest.mark.parametrize("heads", [1, 2, 4])
def test_the_eager_block(heads):
    """The layer costs what PyTorch's counter says."""
    spec = {"heads": heads, "attention": {"qkv_bias": True}}
    block = attntrace.build(spec)
    assert total_flops(attntrace.run(spec).ops) == counted(block, torch.randn(13, 100, 49))


@pytest.mark.parametrize("heads", [1, 2, 4])
def test_fused_attention_costs_what_it_does_taken_apart(heads):
    """SDPA's CPU kernel, which PyTorch's counter does not know, costs what the eager steps cost."""
    eager, sdpa = (
        attntrace.run({"heads": heads, "attention": {"impl": impl}}) for impl in ("eager", "sdpa")
    )
    assert total_flops(sdpa.ops) == total_flops(eager.ops) == 68_390_400


def test_multihead_attention_of_torch():
    """With its weights asked for, nn.MultiheadAttention is taken apart and PyTorch can count it."""
    attention = {"impl": "torch", "qkv_bias": True, "need_weights": "averaged"}
    spec = {"heads": 4, "attention": attention, "run": {"grad": True}}
    block = attntrace.build(spec)
    assert total_flops(attntrace.run(spec).ops) == counted(block, torch.randn(13, 100, 64))


@pytest.mark.parametrize(
    ("make", "shape"),
    [
        (lambda: nn.Conv2d(6, 10, 3, stride=2, groups=2), (2, 6, 11, 13)),
        (lambda: nn.Conv1d(6, 10, 5), (2, 6, 23)),
        (lambda: nn.ConvTranspose2d(6, 10, 3, stride=2), (2, 6, 5, 7)),
        (lambda: nn.ConvTranspose2d(8, 8, 3, stride=2), (2, 8, 9, 9)),
        (lambda: nn.Linear(7, 5), (3, 7)),
        (lambda: nn.Bilinear(7, 7, 5), None),
    ],
    ids=["conv2d", "conv1d", "transposed", "transposed, as many out", "linear", "bilinear"],
)
def test_other_modules(make, shape):
    """Convolutions and products of users' modules are counted as PyTorch does."""
    module = make()
    args = (torch.randn(3, 7), torch.randn(3, 7)) if shape is None else (torch.randn(shape),)
    assert total_flops(attntrace.trace(module, *args).ops) == counted(module, *args)


def test_the_fused_kernel_of_multihead_attention():
    """The fused inference kernel costs what the same layer costs when it is taken apart."""
    spec = {"heads": 4, "attention": {"impl": "torch", "qkv_bias": True}}
    fused, apart = attntrace.run(spec), attntrace.run({**spec, "run": {"grad": True}})
    assert fused.ops[0].op == "aten._native_multi_head_attention.default"
    assert total_flops(fused.ops) == total_flops(apart.ops) == 75_878_400


def test_figures_by_hand():
    """Two per multiply-add, and None where there is no formula."""
    assert flops_of("aten.mm.default", [(3, 5), (5, 7)], [(3, 7)]) == 2 * 3 * 5 * 7
    assert flops_of("aten.addmm.default", [(7,), (3, 5), (5, 7)], [(3, 7)]) == 2 * 3 * 5 * 7
    assert flops_of("aten.bmm.default", [(2, 3, 5), (2, 5, 7)], [(2, 3, 7)]) == 2 * 2 * 3 * 5 * 7
    assert flops_of("aten.relu.default", [(3,)], [(3,)]) is None


def test_what_is_not_counted_is_listed():
    """Ops that compute without a formula are named; views and copies are not."""
    assert not_counted(attntrace.run({"heads": 4}).ops) == ("mul", "softmax", "add")


def test_the_experts_of_one_product():
    """Backward through experts in one grouped product is as much as through a loop over them."""
    part = {"kind": "moe", "experts": 4, "experts_per_token": 2}
    loop, grouped = (
        attntrace.run(
            {
                "block": "decoder",
                "heads": 4,
                "batch": 3,
                "tokens": 10,
                "feed_forward": {**part, "expert_impl": impl},
                "run": {"grad": True},
            }
        ).ops
        for impl in ("loop", "grouped")
    )
    assert total_flops(grouped) == total_flops(loop)
    assert total_flops(grouped, "backward") == total_flops(loop, "backward")
