"""Number formats that an op does not take, or does not take together."""

# ruff: noqa: PLW0108 - the call has to stand in a line of ours

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional as F

from tests.diagnosis.failing import Applied, Layered, offered, refused

FLOATS = torch.zeros(3, 4)
SHORT = FLOATS.bfloat16()
WHOLE = torch.ones(3, 4, dtype=torch.int64)
TRUTHS = FLOATS > 0


def add_in_place(x, y):
    """Write a sum into the first."""
    x += y
    return x


def divide_in_place(x):
    """Write a quotient into it."""
    x /= 2
    return x


def store(out, rows, y):
    """Write rows."""
    out[rows] = y
    return out


CASES = {
    "ids into a linear layer": (
        Layered(nn.Linear(4, 5)),
        [WHOLE],
        "`linear` needs tensors of one dtype, and x is int64 where self.fc.weight is float32.",
        "cast x, or look ids up in an nn.Embedding first: `x.float()`",
    ),
    "short floats into a model of float32": (
        Layered(nn.Linear(4, 5)),
        [SHORT],
        "`linear` needs tensors of one dtype, and x is bfloat16 where self.fc.weight is float32.",
        "cast x to float32: `x.to(self.fc.weight.dtype)`",
    ),
    "doubles from numpy": (
        Layered(nn.Linear(4, 5)),
        [FLOATS.double()],
        "`linear` needs tensors of one dtype, and x is float64 where self.fc.weight is float32.",
        "cast x to float32: `x.to(self.fc.weight.dtype)`",
    ),
    "floats into half a model": (
        Layered(nn.Linear(4, 5).half()),
        [FLOATS],
        "`linear` needs tensors of one dtype, and x is float32 where self.fc.weight is float16.",
        "cast x to float16: `x.to(self.fc.weight.dtype)`",
    ),
    "an image of bytes": (
        Layered(nn.Conv2d(3, 4, 3)),
        [torch.ones(1, 3, 8, 8, dtype=torch.uint8)],
        "`conv2d` needs tensors of one dtype, and x is uint8 where self.fc.weight is float32.",
        "cast x: `x.float()`",
    ),
    "weights of whole numbers": (
        Applied(lambda x, quantised: F.linear(x, quantised)),
        [FLOATS, torch.ones(5, 4, dtype=torch.int8)],
        "`linear` needs tensors of one dtype, and quantised is int8 where x is float32.",
        "cast quantised to float32: `quantised.to(x.dtype)`",
    ),
    "complex numbers into a linear layer": (
        Layered(nn.Linear(4, 5)),
        [torch.complex(FLOATS, FLOATS)],
        "`linear` needs tensors of one dtype, and x is complex64 where self.fc.weight is float32.",
        "take the absolute value, the .real part or torch.view_as_real: `x.abs()`",
    ),
    "a norm of another format": (
        Layered(nn.LayerNorm(4).bfloat16()),
        [FLOATS],
        (
            "`layer_norm` needs tensors of one dtype, and x is float32 where self.fc.weight is "
            "bfloat16."
        ),
        "cast x to bfloat16: `x.to(self.fc.weight.dtype)`",
    ),
    "weights that were promoted": (
        lambda weights, v: weights @ v,
        [FLOATS, SHORT.T],
        "`matmul` needs tensors of one dtype, and weights is float32 where v is bfloat16.",
        "cast weights to bfloat16: `weights.to(v.dtype)`",
    ),
    "a mask as a matrix": (
        lambda mask, x: mask @ x,
        [TRUTHS, FLOATS.T],
        "`matmul` needs tensors of one dtype, and mask is bool where x is float32.",
        "cast mask to float32: `mask.to(x.dtype)`",
    ),
    "two masks as matrices": (
        lambda a, b: a @ b,
        [TRUTHS, TRUTHS.T],
        "`matmul` takes numbers, and a and b are of torch.bool.",
        "cast them to float32: `a.float()` and `b.float()`",
    ),
    "an einsum": (
        lambda a, b: torch.einsum("ij,kj->ik", a, b),
        [FLOATS, SHORT],
        "`einsum` needs tensors of one dtype, and a is float32 where b is bfloat16.",
        "cast a to bfloat16: `a.to(b.dtype)`",
    ),
    "queries and keys that were promoted": (
        lambda q, k, v: F.scaled_dot_product_attention(q, k, v),
        [FLOATS, FLOATS, SHORT],
        (
            "`scaled_dot_product_attention` needs tensors of one dtype, and q and k are float32 "
            "where v is bfloat16."
        ),
        "cast q and k to bfloat16: `q.to(v.dtype)` and `k.to(v.dtype)`",
    ),
    "an attention of whole numbers": (
        lambda q: F.scaled_dot_product_attention(q, q, q),
        [WHOLE],
        "`scaled_dot_product_attention` takes floats, and q is int64.",
        "cast to float32 first: `q.float()`",
    ),
    "an interpolation": (
        lambda a, b: torch.lerp(a, b, 0.5),
        [FLOATS, SHORT],
        "`lerp` needs tensors of one dtype, and a is float32 where b is bfloat16.",
        "cast a to bfloat16: `a.to(b.dtype)`",
    ),
    "how often, as floats": (
        lambda x, times: torch.repeat_interleave(x, times, dim=0),
        [FLOATS, torch.ones(3)],
        "`repeat_interleave` takes int32 or int64, and times is float32.",
        "cast to int64: `times.long()`",
    ),
    "counts of floats": (
        lambda x: torch.bincount(x),
        [torch.ones(3)],
        "`bincount` takes int32 or int64, and x is float32.",
        "cast to int64: `x.long()`",
    ),
    "a softmax of whole numbers": (
        lambda scores: scores.softmax(-1),
        [WHOLE],
        "`softmax` takes floats, and scores is int64.",
        "cast to float32 first: `scores.float()`",
    ),
    "a mean of a mask": (
        lambda mask: mask.mean(),
        [TRUTHS],
        "`mean` takes floats, and mask is bool.",
        "cast to float32 first: `mask.float()`",
    ),
    "a norm of whole numbers": (
        Layered(nn.LayerNorm(4)),
        [WHOLE],
        "`layer_norm` takes floats, and x is int64.",
        "cast to float32 first: `x.float()`",
    ),
    "a dropout of whole numbers": (
        lambda x: F.dropout(x, 0.1, True),
        [WHOLE],
        "`dropout` takes floats, and x is int64.",
        "cast to float32 first: `x.float()`",
    ),
    "a gradient of whole numbers": (
        lambda x: x.requires_grad_(),
        [WHOLE],
        "`requires_grad_` takes floats, and x is int64.",
        "cast to float32 first: `x.float()`",
    ),
    "complex numbers from short floats": (
        lambda x: torch.view_as_complex(x),
        [torch.zeros(3, 2, dtype=torch.bfloat16)],
        "`view_as_complex` takes float32 or float64, and x is bfloat16.",
        "cast to float32 for this step: `x.float()`",
    ),
    "a transform of short floats": (
        lambda x: torch.fft.rfft(x),
        [SHORT],
        "`fft_rfft` takes float32 or float64, and x is bfloat16.",
        "cast to float32 for this step: `x.float()`",
    ),
    "complex numbers in order": (
        lambda z: z > 0,
        [torch.complex(FLOATS, FLOATS)],
        "`gt` is not defined for complex numbers, and z is complex64.",
        "take the absolute value, or the .real part, first: `z.abs()`",
    ),
    "more than half holds": (
        lambda scores, mask: scores.masked_fill(mask, -1e9),
        [FLOATS.half(), TRUTHS],
        "`masked_fill` writes -1e+09 into scores, float16, whose largest number is 65504.",
        "fill with what the format holds, -65504: `torch.finfo(scores.dtype).min`",
    ),
    "infinity among whole numbers": (
        lambda scores, mask: scores.masked_fill(mask, float("-inf")),
        [WHOLE, TRUTHS],
        "`masked_fill` cannot write -inf into scores, int64: only floats have it.",
        "cast it first: `scores.float()`",
    ),
    "a sum into whole numbers": (
        add_in_place,
        [WHOLE.clone(), FLOATS],
        "`add_` writes its result into x, int64, which cannot hold float32, as y is.",
        "cast x first: `x = x.float()`",
    ),
    "a quotient into whole numbers": (
        divide_in_place,
        [WHOLE.clone()],
        "`div_` writes its result into x, int64, which cannot hold float32.",
        "cast x first: `x = x.float()`",
    ),
    "short floats into float32": (
        store,
        [FLOATS.clone(), torch.tensor([0, 1]), SHORT[:2]],
        "`setitem` writes only values of the dtype of out, float32, into it, and y is bfloat16.",
        "cast y: `y.to(out.dtype)`",
    ),
}


@pytest.mark.parametrize(("forward", "inputs", "rule", "fix"), CASES.values(), ids=CASES)
def test_dtype(forward, inputs, rule, fix):
    """The rule names the tensor with the odd format, and the likeliest cast was tried."""
    module = forward if isinstance(forward, nn.Module) else Applied(forward)
    found = refused(module, *inputs)
    assert found.rule == rule
    assert offered(found)[0] == fix


formats = st.sampled_from([torch.float16, torch.bfloat16, torch.float32, torch.float64])


@settings(max_examples=30, deadline=None, derandomize=True, database=None)
@given(formats, formats, st.integers(1, 4), st.integers(1, 4))
def test_any_two_formats(one, other, rows, columns):
    """Both formats are named, and both ways to make them one were tried."""
    if one is other:
        return
    inputs = torch.zeros(rows, 3, dtype=one), torch.zeros(3, columns, dtype=other)
    found = refused(Applied(lambda a, b: a @ b), *inputs)
    assert all(str(each).removeprefix("torch.") in found.rule for each in (one, other))
    assert {fix.code for fix in found.fixes} == {"a.to(b.dtype) @ b", "a @ b.to(a.dtype)"}
    assert all(fix.tried == "on cpu" for fix in found.fixes)
