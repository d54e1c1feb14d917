"""Masks that do not fit, or are no bool: what is said of real failures."""

from __future__ import annotations

import pytest
import torch

from tests.diagnosis.failing import case, crashing, mask, watched, zeros

FAILING = [
    case(
        "one for each window",
        lambda self, attn: attn + self.attn_mask,
        (zeros(8, 3, 49, 49),),
        {"attn_mask": zeros(4, 49, 49)},
        (
            "`attn + self.attn_mask` needs dim 1 of attn, 3, to equal dim 0 of self.attn_mask, 4,"
            " unless one is 1, for shapes are lined up from the right: attn (8, 3, 49, 49) and "
            "self.attn_mask (4, 49, 49)."
        ),
        (
            "repeat the 4 masks for each of 2 samples, 8 = 2*4, with an axis for heads: "
            "`self.attn_mask.repeat(2, 1, 1).unsqueeze(1)` has shape (8, 1, 49, 49)"
        ),
        "attn + self.attn_mask.repeat(2, 1, 1).unsqueeze(1)",
    ),
    case(
        "biases for more keys",
        lambda self, scores: scores + self.alibi,
        (zeros(2, 4, 10, 10),),
        {"alibi": zeros(4, 1, 64)},
        (
            "`scores + self.alibi` needs dim 3 of scores, 10, to equal dim 2 of self.alibi, 64, "
            "unless one is 1, for shapes are lined up from the right: scores (2, 4, 10, 10) and "
            "self.alibi (4, 1, 64)."
        ),
        "take the first 10 of the 64 keys: `self.alibi[..., :10]`",
        "scores + self.alibi[..., :10]",
    ),
    case(
        "one by another name",
        lambda self, scores, m: scores + m,
        (zeros(2, 4, 1, 19), zeros(2, 1, 1, 10)),
        {},
        (
            "`scores + m` needs dim 3 of scores, 19, to equal dim 3 of m, 10, unless one is 1: "
            "scores (2, 4, 1, 19) and m (2, 1, 1, 10)."
        ),
        (
            "build m for 1*19 (queries, keys): it lacks the 9 keys that were put before the 10 (a"
            ' cache, a class token): torch.full((1, 19), float("-inf")).triu(19), or F.pad(m, '
            "(9, 0), value=0)"
        ),
        "scores + F.pad(m, (9, 0), value=0)",
    ),
    case(
        "padding",
        lambda self, scores, mask: scores.masked_fill(mask, -1e9),
        (zeros(2, 4, 10, 10), mask(2, 10)),
        {},
        (
            "`scores.masked_fill(mask, -1e9)` needs dim 2 of scores, 10, to equal dim 0 of mask, "
            "2, unless one is 1, for shapes are lined up from the right: scores (2, 4, 10, 10) "
            "and mask (2, 10)."
        ),
        (
            "give mask 2 axes of size 1 for heads and queries (unsqueeze): `mask[:, None, None, "
            ":]` has shape (2, 1, 1, 10), which broadcasts with (2, 4, 10, 10)"
        ),
        "scores.masked_fill(mask[:, None, None, :], -1e9)",
    ),
    case(
        "one for each sample",
        lambda self, scores, mask: scores.masked_fill(mask == 0, -1e9),
        (zeros(2, 4, 10, 10), zeros(2, 10, 10)),
        {},
        (
            "`scores.masked_fill(mask == 0, -1e9)` needs dim 1 of scores, 4, to equal dim 0 of "
            "mask == 0, 2, unless one is 1, for shapes are lined up from the right: scores (2, 4,"
            " 10, 10) and mask == 0 (2, 10, 10)."
        ),
        (
            "give mask == 0 one axis of size 1 for heads (unsqueeze): `(mask == 0).unsqueeze(1)` "
            "has shape (2, 1, 10, 10), which broadcasts with (2, 4, 10, 10)"
        ),
        "scores.masked_fill((mask == 0).unsqueeze(1), -1e9)",
    ),
    case(
        "one that is added",
        lambda self, scores, mask: scores + mask,
        (zeros(2, 4, 10, 10), zeros(2, 10, 10)),
        {},
        (
            "`scores + mask` needs dim 1 of scores, 4, to equal dim 0 of mask, 2, unless one is "
            "1, for shapes are lined up from the right: scores (2, 4, 10, 10) and mask (2, 10, "
            "10)."
        ),
        (
            "give mask one axis of size 1 for heads (unsqueeze): `mask.unsqueeze(1)` has shape "
            "(2, 1, 10, 10), which broadcasts with (2, 4, 10, 10)"
        ),
        "scores + mask.unsqueeze(1)",
    ),
    case(
        "causal, too long",
        lambda self, scores: scores.masked_fill(self.causal, -1e9),
        (zeros(2, 4, 10, 10),),
        {"causal": mask(1, 1, 64, 64)},
        (
            "`scores.masked_fill(self.causal, -1e9)` needs dims 2 and 3 of scores, 10 and 10, to "
            "equal dims 2 and 3 of self.causal, 64 and 64, unless one is 1: scores (2, 4, 10, 10)"
            " and self.causal (1, 1, 64, 64)."
        ),
        (
            "slice self.causal, built for 64 tokens, to what the scores have, 10*10 (queries, "
            "keys): `self.causal[:, :, :10, :10]`"
        ),
        "scores.masked_fill(self.causal[:, :, :10, :10], -1e9)",
    ),
    case(
        "causal, at the last step",
        lambda self, scores: scores.masked_fill(self.causal, -1e9),
        (zeros(2, 4, 1, 10),),
        {"causal": mask(64, 64)},
        (
            "`scores.masked_fill(self.causal, -1e9)` needs dim 3 of scores, 10, to equal dim 1 of"
            " self.causal, 64, unless one is 1, for shapes are lined up from the right: scores "
            "(2, 4, 1, 10) and self.causal (64, 64)."
        ),
        (
            "slice self.causal, built for 64 tokens, to what the scores have, 1*10 (queries, "
            "keys): `self.causal[9:10, :10]`"
        ),
        "scores.masked_fill(self.causal[9:10, :10], -1e9)",
    ),
    case(
        "causal, without the cache",
        lambda self, scores, mask: scores.masked_fill(mask, -1e9),
        (zeros(2, 4, 5, 12), mask(5, 5)),
        {},
        (
            "`scores.masked_fill(mask, -1e9)` needs dim 3 of scores, 12, to equal dim 1 of mask, "
            "5, unless one is 1, for shapes are lined up from the right: scores (2, 4, 5, 12) and"
            " mask (5, 5)."
        ),
        (
            "build mask for 5*12 (queries, keys): it lacks the 7 keys that were put before the 5 "
            "(a cache, a class token): torch.ones(5, 12, dtype=torch.bool).triu(8), or "
            "F.pad(mask, (7, 0), value=False)"
        ),
        "scores.masked_fill(F.pad(mask, (7, 0), value=False), -1e9)",
    ),
    case(
        "folded heads",
        lambda self, scores, mask: scores + mask,
        (zeros(8, 10, 10), zeros(2, 10, 10)),
        {},
        (
            "`scores + mask` needs dim 0 of scores, 8, to equal dim 0 of mask, 2, unless one is "
            "1: scores (8, 10, 10) and mask (2, 10, 10)."
        ),
        (
            "repeat the mask of each sample for its heads, 8 = 2*4: `mask.repeat_interleave(4, "
            "dim=0)` has shape (8, 10, 10)"
        ),
        "scores + mask.repeat_interleave(4, dim=0)",
    ),
    case(
        "folded heads and padding",
        lambda self, scores, mask: scores + mask,
        (zeros(8, 10, 10), zeros(2, 10)),
        {},
        (
            "`scores + mask` needs dim 1 of scores, 10, to equal dim 0 of mask, 2, unless one is "
            "1, for shapes are lined up from the right: scores (8, 10, 10) and mask (2, 10)."
        ),
        (
            "repeat the mask of each sample for its heads, 8 = 2*4: "
            "`mask.unsqueeze(1).repeat_interleave(4, dim=0)` has shape (8, 1, 10)"
        ),
        "scores + mask.unsqueeze(1).repeat_interleave(4, dim=0)",
    ),
    case(
        "without the class token",
        lambda self, scores, mask: torch.where(mask, scores, -1e9),
        (zeros(2, 4, 50, 50), mask(2, 1, 1, 49)),
        {},
        (
            "`torch.where(mask, scores, -1e9)` needs dim 3 of scores, 50, to equal dim 3 of mask,"
            " 49, unless one is 1: scores (2, 4, 50, 50) and mask (2, 1, 1, 49)."
        ),
        (
            "build mask for 50*50 (queries, keys): it lacks the 1 key that was put before the 49 "
            "(a cache, a class token): torch.ones(50, 50, dtype=torch.bool).tril(0), or "
            "F.pad(mask, (1, 0), value=True)"
        ),
        "torch.where(F.pad(mask, (1, 0), value=True), scores, -1e9)",
    ),
    case(
        "pooling",
        lambda self, x, mask: x * mask,
        (zeros(2, 10, 16), zeros(2, 10)),
        {},
        (
            "`x * mask` needs dims 1 and 2 of x, 10 and 16, to equal dims 0 and 1 of mask, 2 and "
            "10, unless one is 1, for shapes are lined up from the right: x (2, 10, 16) and mask "
            "(2, 10)."
        ),
        (
            "give mask one axis of size 1 (unsqueeze): `mask.unsqueeze(-1)` has shape (2, 10, 1),"
            " which broadcasts with (2, 10, 16)"
        ),
        "x * mask.unsqueeze(-1)",
    ),
    case(
        "of float",
        lambda self, scores, m: scores.masked_fill(m, -1e9),
        (zeros(2, 4, 10, 10), zeros(10, 10)),
        {},
        "masked_fill needs a mask of dtype bool, and m (10, 10) is of dtype float32.",
        "make it bool, True where m is not 0: `m.bool()`",
        "scores.masked_fill(m.bool(), -1e9)",
    ),
    case(
        "of whole numbers",
        lambda self, scores, attention_mask: scores.masked_fill(attention_mask, -1e9),
        (zeros(2, 4, 10, 10), zeros(10, 10).long()),
        {},
        "masked_fill needs a mask of dtype bool, and attention_mask (10, 10) is of dtype int64.",
        "if 0 marks what to leave out, compare: `attention_mask == 0` is of dtype bool",
        "scores.masked_fill(attention_mask == 0, -1e9)",
    ),
    case(
        "a condition of float",
        lambda self, scores, m: torch.where(m, scores, 0.0),
        (zeros(2, 4, 10, 10), zeros(10, 10)),
        {},
        "where needs a mask of dtype bool, and m (10, 10) is of dtype float32.",
        "make it bool, True where m is not 0: `m.bool()`",
        "torch.where(m.bool(), scores, 0.0)",
    ),
    case(
        "inverted floats",
        lambda self, pad: ~pad,
        (zeros(10, 10),),
        {},
        "`~` needs a tensor of bool or of whole numbers, and pad (10, 10) is of dtype float32.",
        "make the mask bool before it is inverted: `~pad.bool()`",
        "~pad.bool()",
    ),
    case(
        "minus bool",
        lambda self, pad: -pad,
        (mask(10, 10),),
        {},
        "`-` is not defined for bool, and pad (10, 10) is of dtype bool.",
        "invert a bool mask with `~pad` (logical_not)",
        "~pad",
    ),
    case(
        "bits of float",
        lambda self, m, n: m & n,
        (mask(10, 10), zeros(10, 10)),
        {},
        "`&` needs tensors of bool or of whole numbers, and n (10, 10) is of dtype float32.",
        "make it bool first: `n.bool()`",
        "m & n.bool()",
    ),
    case(
        "one value with an axis",
        lambda self, scores, m: scores.masked_fill(m, self.fill),
        (zeros(2, 4, 10, 10), mask(10, 10)),
        {"fill": zeros(1)},
        "masked_fill fills with one number, of 0 dimensions, and self.fill has 1: (1,).",
        "give it as a number: `self.fill.squeeze()` has no dimensions",
        "scores.masked_fill(m, self.fill.squeeze())",
    ),
    case(
        "a token for what is masked",
        lambda self, x, m: x.masked_fill(m, self.token),
        (zeros(2, 10, 16), mask(2, 10, 1)),
        {"token": zeros(16)},
        "masked_fill fills with one number, of 0 dimensions, and self.token has 1: (16,).",
        "take a tensor of values with `torch.where(m, self.token, x)`",
        "torch.where(m, self.token, x)",
    ),
]

CRASHING = [
    case(
        "one minus bool",
        lambda self, pad: 1 - pad,
        (mask(10, 10),),
        {},
        "`-` is not defined for bool, and pad (10, 10) is of dtype bool.",
        "invert a bool mask with `~pad` (logical_not)",
        "~pad",
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
