"""What a sketch answers itself is what torch answers: shape, layout and refusal."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from attntrace.capture import Uninitialized
from attntrace.capture.shortcuts import SHORT

sizes = st.integers(1, 4)


@st.composite
def tensors(draw, rank=None):
    """Return a tensor of any layout: permuted, sliced, expanded."""
    shape = draw(st.lists(sizes, min_size=rank or 1, max_size=rank or 4))
    tensor = torch.zeros([size * 2 for size in shape]).permute(
        draw(st.permutations(range(len(shape))))
    )
    step = draw(st.sampled_from([1, 2]))
    tensor = tensor[tuple(slice(None, size, step) for size in tensor.shape)]
    return tensor[..., :1].expand(tensor.shape) if draw(st.integers(0, 9)) == 0 else tensor


def answer(func, *args):
    """Return shape and layout of what a call gives, None where it is refused."""
    try:
        out = func(*args)
    except RuntimeError:
        return None
    steps = [step for size, step in zip(out.shape, out.stride(), strict=True) if size != 1]
    return tuple(out.shape), steps, out.dtype


def on_meta(args):
    """Return arguments with their tensors on meta, of the same layout."""
    return [
        torch.empty_strided(arg.shape, arg.stride(), dtype=arg.dtype, device="meta")
        if isinstance(arg, torch.Tensor) else arg
        for arg in args
    ]  # fmt: skip


def check(func, *args):
    """Assert that the shortcut says what torch says."""
    with torch.no_grad():
        assert answer(SHORT[func], *on_meta(args)) == answer(func, *args)


@settings(max_examples=60, deadline=None)
@given(tensors(), tensors(), st.sampled_from([torch.add, torch.mul, torch.div]))
def test_elementwise_ops_of_two(one, other, func):
    """Shapes broadcast and layouts are kept as torch does it, and what does not fit is refused."""
    check(func, one, other)
    check(func, one, one.clone())
    check(func, one, 2.0)


@settings(max_examples=60, deadline=None)
@given(tensors(), tensors())
def test_products(one, other):
    """Batches broadcast, and widths that differ are refused."""
    check(torch.matmul, one, other)
    if one.dim() > 1:
        check(torch.matmul, one, one.transpose(-2, -1))


@settings(max_examples=30, deadline=None)
@given(tensors(), st.integers(1, 4), st.booleans())
def test_linear(one, width, biased):
    """A linear layer gives its width, and refuses another than its own."""
    check(F.linear, one, torch.zeros(5, width), torch.zeros(5) if biased else None)
    check(F.linear, one, torch.zeros(5, one.shape[-1]))


@settings(max_examples=30, deadline=None)
@given(tensors())
def test_functions_of_one(one):
    """Activations, softmax and norms keep the shape, and the layout that torch gives them."""
    for func in (F.relu, F.gelu, torch.neg):
        check(func, one)
    check(F.softmax, one, -1)
    check(F.layer_norm, one, one.shape[-1:])


def test_embedding():
    """Ids become rows of the table."""
    ids, table = torch.zeros(2, 3, dtype=torch.int64), torch.zeros(7, 5)
    check(F.embedding, ids, table)
    with torch.no_grad():
        rows = SHORT[F.embedding](
            *on_meta([ids, table]), padding_idx=1, norm_type=2.0, sparse=False
        )
    assert rows.shape == (2, 3, 5)


@pytest.mark.parametrize("kind", [nn.Embedding, nn.Linear])
def test_no_numbers_are_drawn_on_meta(kind):
    """A module on meta is as it would be; one on the CPU gets its numbers."""
    with Uninitialized():
        with torch.device("meta"):
            assert kind(3, 5).weight.is_meta
        assert kind(30, 50).weight.std() > 0
