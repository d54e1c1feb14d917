"""Shapes that a tensor does not stretch to."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.diagnosis.failing import failure

CASES = {
    "a mask of keys": (
        lambda mask: mask.expand(2, 4, 10, 12),
        [(2, 12)],
        "`mask.expand(2, 4, 10, 12)` stretches the second-last size of mask, 2, to 10: only sizes of 1 stretch, and (2, 12) lines up with (2, 4, 10, 12) from the right.",
        ["mask[:, None, None].expand(2, 4, 10, 12)"],
    ),
    "a mask of tokens": (
        lambda mask, x: mask.expand_as(x),
        [(2, 10), (2, 10, 64)],
        "`mask.expand_as(x)` stretches the last size of mask, 10, to 64: only sizes of 1 stretch, and (2, 10) lines up with (2, 10, 64) from the right.",
        ["mask.unsqueeze(-1).expand_as(x)"],
    ),
    "shared heads": (
        lambda k: k.expand(2, 8, 10, 16),
        [(2, 2, 10, 16)],
        "`k.expand(2, 8, 10, 16)` stretches the size of axis 1 of k, 2, to 8: only sizes of 1 stretch, and (2, 2, 10, 16) lines up with (2, 8, 10, 16) from the right.",
        ["k.repeat_interleave(4, dim=1)"],
    ),
    "a class token of another width": (
        lambda token: token.expand(2, 1, 128),
        [(1, 1, 64)],
        "`token.expand(2, 1, 128)` stretches the last size of token, 64, to 128: only sizes of 1 stretch, and (1, 1, 64) lines up with (2, 1, 128) from the right.",
        ["token.expand(2, 1, -1)"],
    ),
    "too few sizes": (
        lambda token: token.expand(2, -1),
        [(1, 1, 64)],
        "`token.expand(2, -1)` gives 2 sizes, (2, -1), but token has 3 axes, (1, 1, 64), and expanding cannot leave any out.",
        ["token.expand(2, -1, -1)"],
    ),
    "a new axis that is kept": (
        lambda token: token.expand(-1, 2, 64),
        [(5, 64)],
        "`token.expand(-1, 2, 64)` keeps (-1) axis 0, but token has only 2 axes, (5, 64): sizes line up from the right, and the first 1 are new.",
        ["token.unsqueeze(1).expand(-1, 2, 64)"],
    ),
    "a batch that is no 1": (
        lambda x: x.expand(3, 4),
        [(2, 4)],
        "`x.expand(3, 4)` stretches the second-last size of x, 2, to 3: only sizes of 1 stretch, and (2, 4) lines up with (3, 4) from the right.",
        ["x.expand(-1, 4)"],
    ),
    "a column": (
        lambda x: torch.broadcast_to(x, (3, 4)),
        [(3,)],
        "`torch.broadcast_to(x, (3, 4))` stretches the size of x, 3, to 4: only sizes of 1 stretch, and (3,) lines up with (3, 4) from the right.",
        ["torch.broadcast_to(x.unsqueeze(-1), (3, 4))"],
    ),
    "one number of repetitions": (
        lambda x: x.repeat(2),
        [(3, 7)],
        "`x.repeat(2)` gives 1 number of repetitions, (2,), but x has 2 axes: (3, 7).",
        ["x.repeat(2, 1)", "x.repeat(1, 2)"],
    ),
    "a repetition that is kept": (
        lambda token: token.repeat(2, -1, -1),
        [(1, 1, 64)],
        "`token.repeat(2, -1, -1)` repeats an axis -1 times: repeat has no -1, 1 keeps an axis, and token is (1, 1, 64).",
        ["token.repeat(2, 1, 1)"],
    ),
}


@pytest.mark.parametrize(("forward", "inputs", "rule", "fixes"), CASES.values(), ids=CASES)
def test_expand(forward, inputs, rule, fixes):
    """An expand that fails says which size does not stretch, and what to write instead."""
    found = failure(forward, inputs)
    assert found.rule == rule
    assert [fix.code or fix.said for fix in found.fixes] == fixes


@settings(max_examples=40, deadline=None, derandomize=True, database=None)
@given(st.lists(st.integers(2, 6), min_size=2, max_size=4, unique=True), st.data())
def test_any_axis_that_does_not_stretch(shape, data):
    """The rule has the size and what it was to be, and each fix runs on the tensor."""
    dim = data.draw(st.integers(0, len(shape) - 1))
    wanted = tuple(size + (dim == place) * 5 for place, size in enumerate(shape))
    found = failure(lambda x: x.expand(wanted), [tuple(shape)], wanted=wanted)
    assert f"of x, {shape[dim]}, to {wanted[dim]}: only sizes of 1 stretch" in found.rule
