"""Rotary tables that do not fit a head: what is said of real failures."""

from __future__ import annotations

import pytest
import torch

from tests.diagnosis.failing import case, watched, zeros

FAILING = [
    case(
        "one value for each pair, with axes of 1 as a mask has",
        lambda self, q: q * self.cos[None, None],
        (zeros(2, 4, 12, 16),),
        {"cos": zeros(12, 8)},
        (
            "`q * self.cos[None, None]` needs dim 3 of q, 16, to equal dim 3 of self.cos[None, "
            "None], 8, unless one is 1: q (2, 4, 12, 16) and self.cos[None, None] (1, 1, 12, 8)."
        ),
        (
            "self.cos[None, None] has one value for each pair, 16 = 2*8: repeat it to head_dim, "
            "`torch.cat([self.cos[None, None], self.cos[None, None]], dim=-1)` (or "
            "repeat_interleave(2, dim=-1) where pairs are neighbours)"
        ),
        "q * torch.cat([self.cos[None, None], self.cos[None, None]], dim=-1)",
    ),
    case(
        "as many positions as heads",
        lambda self, q: q * self.cos[: q.shape[1]],
        (zeros(2, 4, 10, 64),),
        {"cos": zeros(32, 64)},
        (
            "`q * self.cos[: q.shape[1]]` needs dim 2 of q, 10, to equal dim 0 of self.cos[: "
            "q.shape[1]], 4, unless one is 1, for shapes are lined up from the right: q (2, 4, "
            "10, 64) and self.cos[: q.shape[1]] (4, 64)."
        ),
        (
            "add an axis of size 1 to self.cos[: q.shape[1]] (unsqueeze): `self.cos[: "
            "q.shape[1]].unsqueeze(1)` has shape (4, 1, 64), which broadcasts with (2, 4, 10, 64)"
        ),
        "q * self.cos[: q.shape[1]].unsqueeze(1)",
    ),
    case(
        "one value for each pair",
        lambda self, q: q * self.cos,
        (zeros(2, 4, 10, 64),),
        {"cos": zeros(10, 32)},
        (
            "`q * self.cos` needs dim 3 of q, 64, to equal dim 1 of self.cos, 32, unless one is "
            "1, for shapes are lined up from the right: q (2, 4, 10, 64) and self.cos (10, 32)."
        ),
        (
            "self.cos has one value for each pair, 64 = 2*32: repeat it to head_dim, "
            "`torch.cat([self.cos, self.cos], dim=-1)` (or repeat_interleave(2, dim=-1) where "
            "pairs are neighbours)"
        ),
        "q * torch.cat([self.cos, self.cos], dim=-1)",
    ),
    case(
        "half of a head",
        lambda self, q: q * self.cos,
        (zeros(2, 4, 10, 32),),
        {"cos": zeros(10, 64)},
        (
            "`q * self.cos` needs dim 3 of q, 32, to equal dim 1 of self.cos, 64, unless one is "
            "1, for shapes are lined up from the right: q (2, 4, 10, 32) and self.cos (10, 64)."
        ),
        (
            "q holds half of each head, 64 = 2*32: take half of the table, head_dim/2 values, "
            "`self.cos[:, :32]`"
        ),
        "q * self.cos[:, :32]",
    ),
    case(
        "the width of the model",
        lambda self, q: q * self.cos,
        (zeros(2, 4, 10, 64),),
        {"cos": zeros(10, 256)},
        (
            "`q * self.cos` needs dim 3 of q, 64, to equal dim 1 of self.cos, 256, unless one is "
            "1, for shapes are lined up from the right: q (2, 4, 10, 64) and self.cos (10, 256)."
        ),
        (
            "build the rotary table with head_dim=64 in place of 256 (256 = 4*64 looks like the "
            "whole width of the model)"
        ),
        None,
    ),
    case(
        "a part of a head",
        lambda self, q: q * self.sin,
        (zeros(2, 4, 10, 64),),
        {"sin": zeros(10, 24)},
        (
            "`q * self.sin` needs dim 3 of q, 64, to equal dim 1 of self.sin, 24, unless one is "
            "1, for shapes are lined up from the right: q (2, 4, 10, 64) and self.sin (10, 24)."
        ),
        "build the rotary table with head_dim=64 in place of 24",
        None,
    ),
    case(
        "heads before tokens",
        lambda self, q: q * self.cos,
        (zeros(2, 10, 4, 64),),
        {"cos": zeros(10, 64)},
        (
            "`q * self.cos` needs dim 2 of q, 4, to equal dim 0 of self.cos, 10, unless one is 1,"
            " for shapes are lined up from the right: q (2, 10, 4, 64) and self.cos (10, 64)."
        ),
        (
            "add an axis of size 1 to self.cos (unsqueeze): `self.cos.unsqueeze(1)` has shape "
            "(10, 1, 64), which broadcasts with (2, 10, 4, 64)"
        ),
        "q * self.cos.unsqueeze(1)",
    ),
    case(
        "more positions than tokens",
        lambda self, q: q * self.cos,
        (zeros(2, 4, 10, 64),),
        {"cos": zeros(128, 64)},
        (
            "`q * self.cos` needs dim 2 of q, 10, to equal dim 0 of self.cos, 128, unless one is "
            "1, for shapes are lined up from the right: q (2, 4, 10, 64) and self.cos (128, 64)."
        ),
        (
            "take the first positions, as many as there are tokens: `self.cos[:10]` has shape "
            "(10, 64), which broadcasts with (2, 4, 10, 64)"
        ),
        "q * self.cos[:10]",
    ),
    case(
        "more positions and heads last",
        lambda self, q: q * self.cos,
        (zeros(2, 10, 4, 64),),
        {"cos": zeros(128, 64)},
        (
            "`q * self.cos` needs dim 2 of q, 4, to equal dim 0 of self.cos, 128, unless one is "
            "1, for shapes are lined up from the right: q (2, 10, 4, 64) and self.cos (128, 64)."
        ),
        (
            "take the first positions, as many as there are tokens: `self.cos[:10].unsqueeze(1)` "
            "has shape (10, 1, 64), which broadcasts with (2, 10, 4, 64)"
        ),
        "q * self.cos[:10].unsqueeze(1)",
    ),
    case(
        "pairs and heads last",
        lambda self, q: q * self.cos,
        (zeros(2, 10, 4, 64),),
        {"cos": zeros(10, 32)},
        (
            "`q * self.cos` needs dims 2 and 3 of q, 4 and 64, to equal dims 0 and 1 of self.cos,"
            " 10 and 32, unless one is 1, for shapes are lined up from the right: q (2, 10, 4, "
            "64) and self.cos (10, 32)."
        ),
        (
            "self.cos has one value for each pair, 64 = 2*32: repeat it to head_dim, "
            "`torch.cat([self.cos, self.cos], dim=-1)` (or repeat_interleave(2, dim=-1) where "
            "pairs are neighbours)"
        ),
        "q * torch.cat([self.cos, self.cos], dim=-1).unsqueeze(1)",
    ),
    case(
        "laid out for heads first",
        lambda self, q: q * self.cos,
        (zeros(2, 10, 4, 64),),
        {"cos": zeros(1, 1, 10, 64)},
        (
            "`q * self.cos` needs dim 2 of q, 4, to equal dim 2 of self.cos, 10, unless one is 1:"
            " q (2, 10, 4, 64) and self.cos (1, 1, 10, 64)."
        ),
        (
            "swap two axes of self.cos: `self.cos.transpose(1, 2)` has shape (1, 10, 1, 64), "
            "which broadcasts with (2, 10, 4, 64)"
        ),
        "q * self.cos.transpose(1, 2)",
    ),
    case(
        "a table for each sample",
        lambda self, q, cos: q * cos,
        (zeros(2, 4, 10, 64), zeros(2, 10, 64)),
        {},
        (
            "`q * cos` needs dim 1 of q, 4, to equal dim 0 of cos, 2, unless one is 1, for shapes"
            " are lined up from the right: q (2, 4, 10, 64) and cos (2, 10, 64)."
        ),
        (
            "add an axis of size 1 to cos (unsqueeze): `cos.unsqueeze(1)` has shape (2, 1, 10, "
            "64), which broadcasts with (2, 4, 10, 64)"
        ),
        "q * cos.unsqueeze(1)",
    ),
    case(
        "too few positions",
        lambda self, q, cos: q * cos,
        (zeros(2, 4, 10, 64), zeros(8, 64)),
        {},
        (
            "`q * cos` needs dim 2 of q, 10, to equal dim 0 of cos, 8, unless one is 1, for "
            "shapes are lined up from the right: q (2, 4, 10, 64) and cos (8, 64)."
        ),
        "build cos with 10 positions in place of 8 (the maximum length, max_len)",
        None,
    ),
    case(
        "complex numbers",
        lambda self, q, freqs_cis: q * freqs_cis,
        (zeros(2, 10, 4, 32).to(torch.complex64), zeros(10, 32)),
        {},
        (
            "`q * freqs_cis` needs dim 2 of q, 4, to equal dim 0 of freqs_cis, 10, unless one is "
            "1, for shapes are lined up from the right: q (2, 10, 4, 32) and freqs_cis (10, 32)."
        ),
        (
            "add an axis of size 1 to freqs_cis (unsqueeze): `freqs_cis.unsqueeze(1)` has shape "
            "(10, 1, 32), which broadcasts with (2, 10, 4, 32)"
        ),
        "q * freqs_cis.unsqueeze(1)",
    ),
]


@pytest.mark.parametrize(("forward", "args", "kept", "said"), FAILING)
def test_what_is_said(forward, args, kept, said):
    """The rule, the likeliest fix and its code are these, whole; the fix was tried."""
    assert watched(forward, *args, **kept).first == said
