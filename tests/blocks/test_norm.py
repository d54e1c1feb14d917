"""The norms: torch's own and LLaMA's formula agree."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from transformers.models.llama.modeling_llama import LlamaRMSNorm

import attntrace
from attntrace.blocks.norm import norm


def spec_of(**settings):
    """Return the spec of an encoder with such norms."""
    return attntrace.load(block="encoder", chan=12, heads=3, norm=settings)


def test_rmsnorm_is_llamas():
    """x / sqrt(mean(x^2) + eps) * weight, the same as LlamaRMSNorm to float tolerance."""
    ours = norm(spec_of(kind="rmsnorm", eps=1e-3), 7)
    theirs = LlamaRMSNorm(7, eps=1e-3)
    weight, x = torch.randn(7), torch.randn(2, 5, 7)
    ours.weight.data, theirs.weight.data = weight, weight
    torch.testing.assert_close(ours(x), theirs(x))
    assert [name for name, _ in ours.named_parameters()] == ["weight"]


@pytest.mark.parametrize(("bias", "parameters"), [(True, 14), (False, 7)])
def test_layernorm_has_its_eps_and_its_bias(bias, parameters):
    """Layernorm takes eps and the bias switch from the spec."""
    built = norm(spec_of(bias=bias, eps=1e-12), 7)
    x = torch.randn(2, 5, 7)
    expected = (x - x.mean(-1, keepdim=True)) / x.std(-1, unbiased=False, keepdim=True)
    torch.testing.assert_close(built(x), expected)
    assert built.eps == 1e-12
    assert sum(p.numel() for p in built.parameters()) == parameters


@pytest.mark.parametrize("mode", ["train", "eval"])
def test_batchnorm_takes_all_tokens_of_all_sequences_as_samples(mode):
    """Batchnorm equals BatchNorm1d over features in the middle, where torch expects them."""
    built = norm(spec_of(kind="batchnorm"), 7).train(mode == "train")
    torchs = nn.BatchNorm1d(7).train(mode == "train")
    x = torch.randn(2, 5, 7)
    torch.testing.assert_close(built(x), torchs(x.transpose(1, 2)).transpose(1, 2))


def test_no_norm_returns_the_very_tensor():
    """Kind none is the identity."""
    x = torch.randn(2, 5, 7)
    assert norm(spec_of(kind="none"), 7)(x) is x
