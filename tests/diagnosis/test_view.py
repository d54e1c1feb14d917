"""Shapes that a tensor does not take."""

from __future__ import annotations

import re

import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from tests.diagnosis.failing import failure

CASES = {
    "heads that do not divide": (
        lambda states: states.view(2, 12, 6, 10),
        [(2, 12, 64)],
        "`states.view(2, 12, 6, 10)` asks for 2*12*6*10 = 1440 elements, but states has 2*12*64 = 1536: the last size of states is 64 where 6*10 = 60 is asked for, and 64 = 6*10 + 4.",
        ["states.view(2, 12, 4, 16)", "make the width a multiple of 6 heads: 60 or 66"],
    ),
    "heads and an open width": (
        lambda x: x.view(*x.shape[:2], 6, -1),
        [(2, 12, 64)],
        "`x.view(*x.shape[:2], 6, -1)` asks for a multiple of 144 elements, but x has 2*12*64 = 1536: the last size of x is 64 where a multiple of 6 is asked for, and 64 = 6*10 + 4.",
        ["x.view(2, 12, 4, -1)", "make the width a multiple of 6 heads: 60 or 66"],
    ),
    "heads and an open length": (
        lambda x: x.reshape(2, -1, 6, 10),
        [(2, 12, 64)],
        "`x.reshape(2, -1, 6, 10)` asks for a multiple of 120 elements, but x has 2*12*64 = 1536: the last size of x is 64 where 6*10 = 60 is asked for, and 64 = 6*10 + 4.",
        ["x.reshape(2, -1, 4, 16)", "make the width a multiple of 6 heads: 60 or 66"],
    ),
    "unflatten": (
        lambda x: x.unflatten(-1, (6, 10)),
        [(2, 12, 64)],
        "`x.unflatten(-1, (6, 10))` asks for 6*10 = 60 elements: the last size of x is 64 where 6*10 = 60 is asked for, and 64 = 6*10 + 4.",
        ["x.unflatten(-1, (4, 16))", "make the width a multiple of 6 heads: 60 or 66"],
    ),
    "a tuple of sizes": (
        lambda x: torch.reshape(x, (2, 12, 4, 10)),
        [(2, 12, 64)],
        "`torch.reshape(x, (2, 12, 4, 10))` asks for 2*12*4*10 = 960 elements, but x has 2*12*64 = 1536: the last size of x is 64 where 4*10 = 40 is asked for.",
        ["torch.reshape(x, (2, 12, 4, 16))"],
    ),
    "a width that is not the heads'": (
        lambda c: c.reshape(2, 12, 49),
        [(2, 12, 4, 16)],
        "`c.reshape(2, 12, 49)` asks for 2*12*49 = 1176 elements, but c has 2*12*4*16 = 1536: sizes 4*16 = 64 are left where 49 is asked for.",
        ["c.reshape(2, 12, 64)"],
    ),
    "queries, keys and values in one": (
        lambda qkv: qkv.view(2, 12, 4, 16),
        [(2, 12, 192)],
        "`qkv.view(2, 12, 4, 16)` asks for 2*12*4*16 = 1536 elements, but qkv has 2*12*192 = 4608: the last size of qkv is 192 where 4*16 = 64 is asked for.",
        ["qkv.view(2, 12, 3, 4, 16)"],
    ),
    "a fused projection of other heads": (
        lambda qkv: qkv.view(2, 12, 3, 4, 20),
        [(2, 12, 192)],
        "`qkv.view(2, 12, 3, 4, 20)` asks for 2*12*3*4*20 = 5760 elements, but qkv has 2*12*192 = 4608: the last size of qkv is 192 where 3*4*20 = 240 is asked for.",
        ["qkv.view(2, 12, 3, 4, 16)"],
    ),
    "features of another image": (
        lambda x: x.view(-1, 400),
        [(2, 16, 6, 6)],
        "`x.view(-1, 400)` asks for a multiple of 400 elements, but x has 2*16*6*6 = 1152: sizes 16*6*6 = 576 are left where 400 is asked for.",
        ["x.view(2, -1)"],
    ),
    "the last batch": (
        lambda x: x.view(32, 784),
        [(20, 1, 28, 28)],
        "`x.view(32, 784)` asks for 32*784 = 25088 elements, but x has 20*1*28*28 = 15680.",
        ["x.view(20, 784)"],
    ),
    "a class token": (
        lambda x: x.view(2, 14, 14, 96),
        [(2, 197, 96)],
        "`x.view(2, 14, 14, 96)` asks for 2*14*14*96 = 37632 elements, but x has 2*197*96 = 37824: the second-last size of x is 197 where 14*14 = 196 is asked for, and 197 = 14*14 + 1.",
        ["x[:, 1:].view(2, 14, 14, 96)"],
    ),
    "another grid": (
        lambda x: x.view(2, 7, 7, 96),
        [(2, 64, 96)],
        "`x.view(2, 7, 7, 96)` asks for 2*7*7*96 = 9408 elements, but x has 2*64*96 = 12288: the second-last size of x is 64 where 7*7 = 49 is asked for.",
        ["x.view(2, 8, 8, 96)"],
    ),
    "heads of a fused projection that do not divide": (
        lambda qkv: qkv.reshape(2, 12, 3, 6, 10),
        [(2, 12, 192)],
        "`qkv.reshape(2, 12, 3, 6, 10)` asks for 2*12*3*6*10 = 4320 elements, but qkv has 2*12*192 = 4608: the last size of qkv is 192 where 3*6*10 = 180 is asked for, and 64 = 6*10 + 4.",
        ["qkv.reshape(2, 12, 3, 4, 16)", "make the width a multiple of 6 heads: 60 or 66"],
    ),
    "windows that do not divide": (
        lambda x: x.view(2, 9, 7, 9, 7, 96),
        [(2, 64, 64, 96)],
        "`x.view(2, 9, 7, 9, 7, 96)` asks for 2*9*7*9*7*96 = 762048 elements, but x has 2*64*64*96 = 786432: sizes 64*64 = 4096 are left where 9*7*9*7 = 3969 is asked for, and 64 = 7*9 + 1.",
        [
            "x.view(2, 8, 8, 8, 8, 96)",
            "pad 64 to 70, a multiple of 7, with F.pad first: `F.pad(x, (0, 0, 0, 6, 0, 6))`",
        ],
    ),
    "patches that do not divide": (
        lambda x: x.reshape(2, 3, 1, 16, 2, 16),
        [(2, 3, 30, 40)],
        "`x.reshape(2, 3, 1, 16, 2, 16)` asks for 2*3*1*16*2*16 = 3072 elements, but x has 2*3*30*40 = 7200: sizes 30*40 = 1200 are left where 1*16*2*16 = 512 is asked for, and 30 = 16*1 + 14.",
        [
            "x.reshape(2, 3, 6, 5, 8, 5)",
            "pad 30 to 32, a multiple of 16, with F.pad first: `F.pad(x, (0, 8, 0, 2))`",
        ],
    ),
    "pairs of an odd width": (
        lambda x: x.reshape(2, 12, -1, 2),
        [(2, 12, 15)],
        "`x.reshape(2, 12, -1, 2)` asks for a multiple of 48 elements, but x has 2*12*15 = 360: the last size of x is 15 where a multiple of 2 is asked for, and 15 = 2*7 + 1.",
        ["make the width a multiple of 2 features: 14 or 16"],
    ),
    "a table of another grid": (
        lambda table: table.view(64, 64, -1),
        [(2401, 4)],
        "`table.view(64, 64, -1)` asks for a multiple of 4096 elements, but table has 2401*4 = 9604.",
        ["table.view(49, 49, -1)"],
    ),
    "a width of two": (
        lambda x: x.reshape(2, 12, 64),
        [(2, 12, 32)],
        "`x.reshape(2, 12, 64)` asks for 2*12*64 = 1536 elements, but x has 2*12*32 = 768: the last size of x is 32 where 64 is asked for.",
        ["x.reshape(2, 12, 32)"],
    ),
    "after a slice": (
        lambda x: x[:, :, :4].view(2, 20),
        [(2, 5, 8)],
        "`x[:, :, :4].view(2, 20)` merges axes 1 and 2 of x[:, :, :4], 5*4 = 20, which are not one after the other in memory (as after a slice): a step along axis 1 is 8 and would have to be 4; strides are (40, 8, 1), so the tensor is not contiguous.",
        ["x[:, :, :4].reshape(2, 20)", "x[:, :, :4].contiguous().view(2, 20)"],
    ),
    "after an expansion": (
        lambda x: x.expand(4, 6, 8).view(24, 8),
        [(1, 6, 8)],
        "`x.expand(4, 6, 8).view(24, 8)` merges axes 0 and 1 of x.expand(4, 6, 8), 4*6 = 24, which are not one after the other in memory (after `.expand(4, 6, 8)`): a step along axis 0 is 0 and would have to be 48; strides are (0, 8, 1), so the tensor is not contiguous.",
        ["x.expand(4, 6, 8).reshape(24, 8)", "x.expand(4, 6, 8).contiguous().view(24, 8)"],
    ),
    "a float": (
        lambda x: x.view(2, 12, 4, x.shape[-1] / 4),
        [(2, 12, 64)],
        "`x.view(2, 12, 4, x.shape[-1] / 4)` takes whole numbers, and `x.shape[-1] / 4` is the float 16.0.",
        ["x.view(2, 12, 4, x.shape[-1] // 4)"],
    ),
    "two open sizes": (
        lambda x: x.view(2, -1, -1, 16),
        [(2, 12, 64)],
        "`x.view(2, -1, -1, 16)` asks for -1 2 times: only one size may be left open, as -1, and x is (2, 12, 64).",
        ["x.view(2, 12, -1, 16)"],
    ),
    "a negative size": (
        lambda x: x.view(2, 12, -4, 16),
        [(2, 12, 64)],
        "`x.view(2, 12, -4, 16)` asks for a size of -4: only one size may be left open, as -1, and x is (2, 12, 64).",
        [],
    ),
    "nothing to share out": (
        lambda x: x.view(0, -1),
        [(0, 12)],
        "`x.view(0, -1)` leaves -1 open, but x, (0, 12), has 0 elements for a product of 0: any size would do.",
        [],
    ),
    "after a transposition": (
        lambda context: context.transpose(1, 2).view(2, 12, 64),
        [(2, 4, 12, 16)],
        "`context.transpose(1, 2).view(2, 12, 64)` merges axes 2 and 3 of context.transpose(1, 2), 4*16 = 64, which are not one after the other in memory (after `.transpose(1, 2)`): a step along axis 2 is 192 and would have to be 16; strides are (768, 16, 192, 1), so the tensor is not contiguous.",
        [
            "context.transpose(1, 2).reshape(2, 12, 64)",
            "context.transpose(1, 2).contiguous().view(2, 12, 64)",
        ],
    ),
    "a tensor that came transposed": (
        lambda context: context.view(24, -1),
        [torch.zeros(2, 4, 12, 16).transpose(1, 2)],
        "`context.view(24, -1)` merges axes 0 and 1 of context, 2*12 = 24, which are not one after the other in memory (as after transpose or permute): a step along axis 0 is 768 and would have to be 192; strides are (768, 16, 192, 1), so the tensor is not contiguous.",
        ["context.reshape(24, -1)", "context.contiguous().view(24, -1)"],
    ),
    "as another tensor": (
        lambda x, y: x.view_as(y),
        [(2, 12, 64), (2, 12, 4, 15)],
        "`x.view_as(y)` asks for 2*12*4*15 = 1440 elements, but x has 2*12*64 = 1536: the last size of x is 64 where 4*15 = 60 is asked for.",
        ["x.view(2, 12, 4, 16)"],
    ),
    "the bytes of another format": (
        lambda x: x.view(torch.float64),
        [(2, 3)],
        "`x.view(torch.float64)` reads the bytes of x anew: its last size, 3, times 4 bytes must be a multiple of 8 bytes.",
        ["convert the values instead, with `.to(torch.float64)`"],
    ),
    "an end before the start": (
        lambda x: x.flatten(2, 1),
        [(2, 3, 4)],
        "`x.flatten(2, 1)` flattens from axis 2 to axis 1, but the first must not come after the last: x has 3 axes.",
        ["swap the two"],
    ),
}


@pytest.mark.parametrize(("forward", "inputs", "rule", "fixes"), CASES.values(), ids=CASES)
def test_view(forward, inputs, rule, fixes):
    """A view that fails says how the elements divide, and which sizes would do."""
    found = failure(forward, inputs)
    assert found.rule == rule
    assert [fix.code or fix.said for fix in found.fixes] == fixes


@settings(max_examples=40, deadline=None, derandomize=True, database=None)
@given(st.integers(8, 96), st.integers(3, 12), st.booleans())
def test_any_heads_that_do_not_divide(width, heads, left_open):
    """The rule has the division, and the heads that are proposed divide the width."""
    assume(width % heads)
    head_dim = -1 if left_open else width // heads
    found = failure(
        lambda x: x.view(2, 5, heads, head_dim), [(2, 5, width)], heads=heads, head_dim=head_dim
    )
    assert f"{width} = {heads}*{width // heads} + {width % heads}" in found.rule
    for proposed in re.findall(r"num_heads=(\d+)", found.fixes[0].said):
        assert width % int(proposed) == 0


@settings(max_examples=60, deadline=None, derandomize=True, database=None)
@given(st.permutations(range(4)), st.integers(0, 2), st.data())
def test_any_view_of_any_order_in_memory(order, start, data):
    """Whether a view is refused is torch's to say; where it is, the rule names axes and strides."""
    stop = data.draw(st.integers(start + 1, 3))
    x = torch.zeros(2, 3, 1, 5).permute(order)
    wanted = x.flatten(start, stop).shape
    try:
        x.view(wanted)
    except RuntimeError:
        found = failure(lambda x: x.view(wanted), [x], wanted=wanted)
        assert str(tuple(x.stride())) in found.rule
        assert found.fixes[0].code == "x.reshape(wanted)"
