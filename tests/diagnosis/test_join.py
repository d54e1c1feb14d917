"""Joins that fail: what is said of them."""

from __future__ import annotations

import pytest
import torch

from tests.diagnosis.failing import case, crashing, parameter, watched, zeros

FAILING = [
    case(
        "a cache of another layout",
        lambda self, past_k, k: torch.cat([past_k, k], dim=2),
        (zeros(2, 9, 4, 16), zeros(2, 4, 1, 16)),
        {},
        (
            "cat along dim 2 needs every size but that of dim 2 to agree, but dim 1 is 9 in "
            "past_k and 4 in k: past_k (2, 9, 4, 16) and k (2, 4, 1, 16)."
        ),
        (
            "past_k (2, 9, 4, 16) has its axes in another order than k (2, 4, 1, 16): transpose "
            "it, `past_k.transpose(1, 2)` has shape (2, 4, 9, 16)"
        ),
        "torch.cat([past_k.transpose(1, 2), k], dim=2)",
    ),
    case(
        "maps of three stages on each other",
        lambda self, x: torch.stack([x[:, :, ::step, ::step] for step in (1, 2, 4)], dim=1),
        (zeros(2, 3, 8, 8),),
        {},
        (
            "stack needs tensors of one shape, but x[:, :, ::step, ::step] (2, 3, 8, 8) and x[:, "
            ":, ::step, ::step] (2, 3, 4, 4) differ: dim 2 is 8 and 4 and dim 3 is 8 and 4."
        ),
        (
            "bring the maps of 8*8, 4*4 and 2*2 to one height and width: resize them, "
            "`[F.interpolate(one, size=(8, 8)) for one in [x[:, :, ::step, ::step] for step in (1, "
            "2, 4)]]`, or pool them with F.adaptive_avg_pool2d"
        ),
        "torch.stack([F.interpolate(one, size=(8, 8)) for one in [x[:, :, ::step, ::step] for step "
        "in (1, 2, 4)]], dim=1)",
    ),
    case(
        "a class token for one sample",
        lambda self, x: torch.cat([self.cls, x], dim=1),
        (zeros(2, 9, 16),),
        {"cls": parameter(1, 1, 16)},
        (
            "cat along dim 1 needs every size but that of dim 1 to agree, but dim 0 is 1 in "
            "self.cls and 2 in x: self.cls (1, 1, 16) and x (2, 9, 16)."
        ),
        (
            "expand self.cls to the batch, 2, for joining does not broadcast: `self.cls.expand(2,"
            " -1, -1)`"
        ),
        "torch.cat([self.cls.expand(2, -1, -1), x], dim=1)",
    ),
    case(
        "a class token of rank 2",
        lambda self, x: torch.cat((self.cls, x), 1),
        (zeros(2, 9, 16),),
        {"cls": parameter(1, 16)},
        (
            "cat needs tensors of one rank, and self.cls (1, 16) has 2 dimensions where x (2, 9, "
            "16) has 3."
        ),
        (
            "give self.cls the axis that it lacks (unsqueeze): `self.cls.expand(2, -1, -1)` has "
            "shape (2, 1, 16)"
        ),
        "torch.cat([self.cls.expand(2, -1, -1), x], 1)",
    ),
    case(
        "a class token of rank 1",
        lambda self, x: torch.cat([self.cls, x], 1),
        (zeros(2, 9, 16),),
        {"cls": parameter(16)},
        (
            "cat needs tensors of one rank, and self.cls (16,) has 1 dimension where x (2, 9, 16)"
            " has 3."
        ),
        (
            "give self.cls the axes that it lacks (unsqueeze): `self.cls.expand(2, 1, -1)` has "
            "shape (2, 1, 16)"
        ),
        "torch.cat([self.cls.expand(2, 1, -1), x], 1)",
    ),
    case(
        "a prompt without a batch",
        lambda self, x: torch.cat([self.prompt, x], dim=1),
        (zeros(2, 9, 16),),
        {"prompt": parameter(5, 16)},
        (
            "cat needs tensors of one rank, and self.prompt (5, 16) has 2 dimensions where x (2, "
            "9, 16) has 3."
        ),
        (
            "give self.prompt the axis that it lacks (unsqueeze): `self.prompt.expand(2, -1, -1)`"
            " has shape (2, 5, 16)"
        ),
        "torch.cat([self.prompt.expand(2, -1, -1), x], dim=1)",
    ),
    case(
        "a vector as a token",
        lambda self, x, c: torch.cat([x, c], dim=1),
        (zeros(2, 9, 16), zeros(2, 16)),
        {},
        ("cat needs tensors of one rank, and c (2, 16) has 2 dimensions where x (2, 9, 16) has 3."),
        "give c the axis that it lacks (unsqueeze): `c.unsqueeze(1)` has shape (2, 1, 16)",
        "torch.cat([x, c.unsqueeze(1)], dim=1)",
    ),
    case(
        "a vector beside each token",
        lambda self, x, c: torch.cat([x, c], dim=-1),
        (zeros(2, 9, 16), zeros(2, 5)),
        {},
        "cat needs tensors of one rank, and c (2, 5) has 2 dimensions where x (2, 9, 16) has 3.",
        (
            "give c the axis that it lacks (unsqueeze): `c.unsqueeze(1).expand(-1, 9, -1)` has "
            "shape (2, 9, 5)"
        ),
        "torch.cat([x, c.unsqueeze(1).expand(-1, 9, -1)], dim=-1)",
    ),
    case(
        "a skip of an odd size",
        lambda self, up, skip: torch.cat([up, skip], dim=1),
        (zeros(2, 16, 8, 8), zeros(2, 16, 9, 9)),
        {},
        (
            "cat along dim 1 needs every size but that of dim 1 to agree, but dim 2 is 8 in up "
            "and 9 in skip and dim 3 is 8 in up and 9 in skip: up (2, 16, 8, 8) and skip (2, 16, "
            "9, 9)."
        ),
        "resize up from 8*8 to 9*9: `F.interpolate(up, size=(9, 9))`",
        "torch.cat([F.interpolate(up, size=(9, 9)), skip], dim=1)",
    ),
    case(
        "a skip of twice the size",
        lambda self, up, skip: torch.cat([up, skip], dim=1),
        (zeros(2, 16, 16, 16), zeros(2, 16, 8, 8)),
        {},
        (
            "cat along dim 1 needs every size but that of dim 1 to agree, but dim 2 is 16 in up "
            "and 8 in skip and dim 3 is 16 in up and 8 in skip: up (2, 16, 16, 16) and skip (2, "
            "16, 8, 8)."
        ),
        "resize skip from 8*8 to 16*16: `F.interpolate(skip, size=(16, 16))`",
        "torch.cat([up, F.interpolate(skip, size=(16, 16))], dim=1)",
    ),
    case(
        "another axis",
        lambda self, a, b: torch.cat([a, b], dim=1),
        (zeros(2, 9, 16), zeros(2, 9, 24)),
        {},
        (
            "cat along dim 1 needs every size but that of dim 1 to agree, but dim 2 is 16 in a "
            "and 24 in b: a (2, 9, 16) and b (2, 9, 24)."
        ),
        "join along dim=2, the only one where they differ",
        "torch.cat([a, b], dim=2)",
    ),
    case(
        "the axis that is not given",
        lambda self, a, b: torch.cat([a, b]),
        (zeros(2, 9), zeros(2, 7)),
        {},
        (
            "cat along dim 0 needs every size but that of dim 0 to agree, but dim 1 is 9 in a and"
            " 7 in b: a (2, 9) and b (2, 7)."
        ),
        "join along dim=1, the only one where they differ",
        "torch.cat([a, b], dim=1)",
    ),
    case(
        "two lengths",
        lambda self, a, b: torch.cat([a, b], -1),
        (zeros(2, 9, 16), zeros(2, 7, 24)),
        {},
        (
            "cat along dim 2 needs every size but that of dim 2 to agree, but dim 1 is 9 in a and"
            " 7 in b: a (2, 9, 16) and b (2, 7, 24)."
        ),
        "crop a to the smaller size: `a[:, :7]`",
        "torch.cat([a[:, :7], b], -1)",
    ),
    case(
        "two batches",
        lambda self, a, b: torch.cat([a, b], dim=1),
        (zeros(2, 64, 16), zeros(3, 64, 16)),
        {},
        (
            "cat along dim 1 needs every size but that of dim 1 to agree, but dim 0 is 2 in a and"
            " 3 in b: a (2, 64, 16) and b (3, 64, 16)."
        ),
        "join along dim=0, the only one where they differ",
        "torch.cat([a, b], dim=0)",
    ),
    case(
        "channels first and last",
        lambda self, a, b: torch.cat([a, b], dim=1),
        (zeros(2, 64, 16), zeros(2, 16, 4)),
        {},
        (
            "cat along dim 1 needs every size but that of dim 1 to agree, but dim 2 is 16 in a "
            "and 4 in b: a (2, 64, 16) and b (2, 16, 4)."
        ),
        (
            "b (2, 16, 4) has its axes in another order than a (2, 64, 16): transpose it, "
            "`b.transpose(1, 2)` has shape (2, 4, 16)"
        ),
        "torch.cat([a, b.transpose(1, 2)], dim=1)",
    ),
    case(
        "nothing",
        lambda self: torch.cat([], dim=1),
        (),
        {},
        "cat needs at least one tensor, and the list is empty.",
    ),
    case(
        "hstack",
        lambda self, a, b: torch.hstack([a, b]),
        (zeros(2, 9, 8), zeros(2, 9, 6)),
        {},
        (
            "hstack along dim 1 needs every size but that of dim 1 to agree, but dim 2 is 8 in a "
            "and 6 in b: a (2, 9, 8) and b (2, 9, 6)."
        ),
        "give both one width (8 = 6*1 + 2): build a with 6 in dim 2, as b has, or b with 8",
        None,
    ),
    case(
        "heads of two widths, one after the other",
        lambda self, prefix, k: torch.cat([prefix, k], dim=2),
        (zeros(2, 4, 5, 8), zeros(2, 4, 9, 16)),
        {},
        (
            "cat along dim 2 needs every size but that of dim 2 to agree, but dim 3 is 8 in prefix "
            "and 16 in k: prefix (2, 4, 5, 8) and k (2, 4, 9, 16)."
        ),
        (
            "give both one head size (head_dim) (16 = 8*2): build prefix with 16 in dim 3, as k "
            "has, or k with 8"
        ),
        None,
    ),
    case(
        "stack of two lengths",
        lambda self, a, b: torch.stack([a, b]),
        (zeros(2, 9, 8), zeros(2, 7, 8)),
        {},
        (
            "stack needs tensors of one shape, but a (2, 9, 8) and b (2, 7, 8) differ: dim 1 is 9"
            " and 7."
        ),
        "join them along dim 1, the only one where they differ, with torch.cat",
        "torch.cat([a, b], dim=1)",
    ),
    case(
        "stack of two ranks",
        lambda self, a, b: torch.stack([a, b], dim=1),
        (zeros(2, 9, 8), zeros(2, 8)),
        {},
        ("stack needs tensors of one shape, but a (2, 9, 8) and b (2, 8) have 3 and 2 dimensions."),
        (
            "give b the axis that it lacks (unsqueeze): `b.unsqueeze(1).expand(-1, 9, -1)` has "
            "shape (2, 9, 8)"
        ),
        "torch.stack([a, b.unsqueeze(1).expand(-1, 9, -1)], dim=1)",
    ),
    case(
        "stack of a number and a vector",
        lambda self, a, b: torch.stack([a.sum(), b]),
        (zeros(2, 9, 8), zeros(1)),
        {},
        "stack needs tensors of one shape, but a.sum() () and b (1,) have 0 and 1 dimensions.",
        "give a.sum() the axis that it lacks (unsqueeze): `a.sum().unsqueeze(0)` has shape (1,)",
        "torch.stack([a.sum().unsqueeze(0), b])",
    ),
]

CRASHING = [
    case(
        "nothing cached yet",
        lambda self, past, k: torch.cat([past, k], dim=1),
        (None, zeros(2, 9)),
        {},
        "cat joins tensors, and place 0 of its list of 2 holds None.",
        (
            "leave None out, for it is there before anything was put into it: join only if it is "
            "not None, else take k alone"
        ),
        None,
    ),
    case(
        "one tensor",
        lambda self, a: torch.cat(a, dim=1),
        (zeros(2, 9),),
        {},
        "cat joins a list of tensors, and a (2, 9) is one tensor.",
        (
            "put the tensors into a list: `torch.cat([a, ...])`; to join two axes of a use "
            "`a.flatten(0, 1)`"
        ),
        None,
    ),
    case(
        "a tuple of tensors",
        lambda self, a, b: torch.cat([a, (a, b)], dim=1),
        (zeros(2, 9), zeros(2, 9)),
        {},
        "cat joins tensors, and place 1 of its list of 2 holds tuple.",
        "take the tensors out of the tuple at place 1, `*` before it or [0]",
        None,
    ),
]


@pytest.mark.parametrize(("forward", "args", "kept", "said"), FAILING)
def test_what_is_said(forward, args, kept, said):
    """The rule, the likeliest fix and its code are these, whole; the fix was tried."""
    assert watched(forward, *args, **kept).first == said


@pytest.mark.parametrize(("forward", "args", "kept", "said"), CRASHING)
def test_what_a_traceback_tells(forward, args, kept, said):
    """The rule, the likeliest fix and its code are these, whole; the fix was tried."""
    assert crashing(forward, *args, **kept).first == said
