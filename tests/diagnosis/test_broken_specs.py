"""Random valid blocks with one size broken: the panel names the pair that does not fit."""

from __future__ import annotations

import random
import re

import torch
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from torch import nn

import attntrace
from attntrace import blocks
from attntrace.spec import load
from tests.blocks.any_spec import any_spec, nested

broken = settings(
    deadline=None, derandomize=True, database=None, max_examples=16, phases=[Phase.generate]
)
seeds = st.integers(0, 2**32)


def spec_of(seed):
    """Return a random valid spec."""
    return load(**nested(any_spec(random.Random(seed))[0])).spec


def linears(block):
    """Return the linear layers of a block that no attention of torch's own looks into."""
    own = [m for m in block.modules() if isinstance(m, nn.MultiheadAttention)]
    inside = {id(child) for module in own for child in module.modules()}
    return [m for m in block.modules() if type(m) is nn.Linear and id(m) not in inside]


def failure_of(block, inputs):
    """Return the diagnosis of a block that does not run, None of one that does."""
    try:
        with torch.no_grad():
            attntrace.trace(block, **inputs)
    except attntrace.ForwardError as error:
        return error.diagnosis
    return None


def numbers(text):
    """Return the whole numbers of a sentence."""
    return {int(found.replace(",", "")) for found in re.findall(r"\d[\d,]*", text or "")}


@broken
@given(seeds)
def test_a_linear_layer_built_for_another_width(seed):
    """Where a layer takes one feature more than it gets, both numbers are said, and what to build."""
    spec = spec_of(seed)
    block, inputs = blocks.build(spec), blocks.make_inputs(spec)
    layers = linears(block)
    if not layers:
        return
    layer = random.Random(seed).choice(layers)
    wide, out = layer.in_features + 1, layer.out_features
    layer.in_features, layer.weight = (
        wide,
        nn.Parameter(torch.zeros(out, wide, dtype=layer.weight.dtype)),
    )
    found = failure_of(block, inputs)
    if found is None:
        return  # an expert that no token was sent to
    assert {wide, wide - 1} <= numbers(found.rule), found
    shapes = [operand.shape for operand in found.operands]
    assert (out, wide) in shapes
    assert any(f"in_features={wide - 1}" in f"{fix.said} {fix.code}" for fix in found.fixes), found


@broken
@given(seeds)
def test_a_linear_layer_that_makes_another_width(seed):
    """Where a layer makes one feature more, what it does not fit is said with both numbers."""
    spec = spec_of(seed)
    block, inputs = blocks.build(spec), blocks.make_inputs(spec)
    layers = linears(block)
    if not layers:
        return
    layer = random.Random(seed).choice(layers)
    wide, features = layer.out_features + 1, layer.in_features
    layer.out_features, layer.weight = (
        wide,
        nn.Parameter(torch.zeros(wide, features, dtype=layer.weight.dtype)),
    )
    if layer.bias is not None:
        layer.bias = nn.Parameter(torch.zeros(wide, dtype=layer.weight.dtype))
    found = failure_of(block, inputs)
    if found is None:
        return  # the last layer of all
    assert found.rule, found
    assert len(numbers(found.rule)) > 1, found.rule
    assert found.line
    assert found.operands


@broken
@given(seeds, st.integers(0, 2**16))
def test_an_input_of_another_size(seed, choice):
    """Where an input has one more of something, the panel has a rule with two numbers."""
    spec = spec_of(seed)
    block, inputs = blocks.build(spec), blocks.make_inputs(spec)
    pick = random.Random(choice)
    tensors = {
        name: one for name, one in inputs.items() if isinstance(one, torch.Tensor) and one.dim()
    }
    name = pick.choice(sorted(tensors))
    dim = pick.randrange(tensors[name].dim())
    extra = tensors[name].narrow(dim, 0, 1) if tensors[name].shape[dim] else None
    if extra is None:
        return
    found = failure_of(block, {**inputs, name: torch.cat([tensors[name], extra], dim)})
    if found is None:
        return  # a batch or a sequence that is longer
    assert found.rule, found
    assert len(numbers(found.rule)) > 1, found.rule
