"""Shapes that hold the right sizes at the wrong places: what is said of real failures."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from tests.diagnosis.failing import case, parameter, watched, zeros

FAILING = [
    case(
        "batch first, positions first",
        lambda self, x: x + self.pe,
        (zeros(30, 2, 8),),
        {"pe": zeros(1, 30, 8)},
        (
            "`x + self.pe` needs dim 1 of x, 2, to equal dim 1 of self.pe, 30, unless one is 1: x"
            " (30, 2, 8) and self.pe (1, 30, 8)."
        ),
        (
            "swap two axes of self.pe: `self.pe.transpose(0, 1)` has shape (30, 1, 8), which "
            "broadcasts with (30, 2, 8)"
        ),
        "x + self.pe.transpose(0, 1)",
    ),
    case(
        "a gate for each channel of a map",
        lambda self, x, gate: x * gate,
        (zeros(2, 16, 7, 7), zeros(2, 16)),
        {},
        (
            "`x * gate` needs dims 2 and 3 of x, 7 and 7, to equal dims 0 and 1 of gate, 2 and "
            "16, unless one is 1, for shapes are lined up from the right: x (2, 16, 7, 7) and "
            "gate (2, 16)."
        ),
        (
            "add 2 axes of size 1 to gate (unsqueeze, or view(2, 16, 1, 1)): `gate[:, :, None, "
            "None]` has shape (2, 16, 1, 1), which broadcasts with (2, 16, 7, 7)"
        ),
        "x * gate[:, :, None, None]",
    ),
    case(
        "a scale for each channel",
        lambda self, x: x * self.gamma,
        (zeros(2, 16, 7, 7),),
        {"gamma": parameter(16)},
        (
            "`x * self.gamma` needs dim 3 of x, 7, to equal dim 0 of self.gamma, 16, unless one "
            "is 1, for shapes are lined up from the right: x (2, 16, 7, 7) and self.gamma (16,)."
        ),
        (
            "add 2 axes of size 1 to self.gamma (unsqueeze, or view(1, 16, 1, 1)): `self.gamma[:,"
            " None, None]` has shape (16, 1, 1), which broadcasts with (2, 16, 7, 7)"
        ),
        "x * self.gamma[:, None, None]",
    ),
    case(
        "a channel-first scale, channels last",
        lambda self, x: x * self.gamma,
        (zeros(2, 7, 9, 16),),
        {"gamma": parameter(16, 1, 1)},
        (
            "`x * self.gamma` needs dim 1 of x, 7, to equal dim 0 of self.gamma, 16, unless one "
            "is 1, for shapes are lined up from the right: x (2, 7, 9, 16) and self.gamma (16, 1,"
            " 1)."
        ),
        (
            "view self.gamma with its axes elsewhere: `self.gamma.view(16)` has shape (16,), "
            "which broadcasts with (2, 7, 9, 16)"
        ),
        "x * self.gamma.view(16)",
    ),
    case(
        "a scale for each head",
        lambda self, scores: scores * self.scale,
        (zeros(2, 4, 10, 10),),
        {"scale": parameter(4)},
        (
            "`scores * self.scale` needs dim 3 of scores, 10, to equal dim 0 of self.scale, 4, "
            "unless one is 1, for shapes are lined up from the right: scores (2, 4, 10, 10) and "
            "self.scale (4,)."
        ),
        (
            "add 2 axes of size 1 to self.scale (unsqueeze, or view(1, 4, 1, 1)): `self.scale[:, "
            "None, None]` has shape (4, 1, 1), which broadcasts with (2, 4, 10, 10)"
        ),
        "scores * self.scale[:, None, None]",
    ),
    case(
        "a mean without its axis",
        lambda self, x: x - x.mean(-1),
        (zeros(2, 10, 16),),
        {},
        (
            "`x - x.mean(-1)` needs dims 1 and 2 of x, 10 and 16, to equal dims 0 and 1 of "
            "x.mean(-1), 2 and 10, unless one is 1, for shapes are lined up from the right: x (2,"
            " 10, 16) and x.mean(-1) (2, 10)."
        ),
        (
            "keep the reduced axis as one of size 1 with keepdim=True: `x.mean(-1, keepdim=True)`"
            " has shape (2, 10, 1), which broadcasts with (2, 10, 16)"
        ),
        "x - x.mean(-1, keepdim=True)",
    ),
    case(
        "a norm without its axis",
        lambda self, x: x / x.norm(dim=1),
        (zeros(4, 10, 16),),
        {},
        (
            "`x / x.norm(dim=1)` needs dim 1 of x, 10, to equal dim 0 of x.norm(dim=1), 4, unless"
            " one is 1, for shapes are lined up from the right: x (4, 10, 16) and x.norm(dim=1) "
            "(4, 16)."
        ),
        (
            "keep the reduced axis as one of size 1 with keepdim=True: `x.norm(dim=1, "
            "keepdim=True)` has shape (4, 1, 16), which broadcasts with (4, 10, 16)"
        ),
        "x / x.norm(dim=1, keepdim=True)",
    ),
    case(
        "a reduced tensor",
        lambda self, x, mu: x - mu,
        (zeros(2, 10, 16), zeros(2, 10)),
        {},
        (
            "`x - mu` needs dims 1 and 2 of x, 10 and 16, to equal dims 0 and 1 of mu, 2 and 10, "
            "unless one is 1, for shapes are lined up from the right: x (2, 10, 16) and mu (2, "
            "10)."
        ),
        (
            "add an axis of size 1 to mu (unsqueeze): `mu.unsqueeze(-1)` has shape (2, 10, 1), "
            "which broadcasts with (2, 10, 16), or keep the axis where it is made with "
            "keepdim=True"
        ),
        "x - mu.unsqueeze(-1)",
    ),
    case(
        "modulation for each sample",
        lambda self, x, scale: x * (1 + scale),
        (zeros(2, 10, 16), zeros(2, 16)),
        {},
        (
            "`x * (1 + scale)` needs dim 1 of x, 10, to equal dim 0 of 1 + scale, 2, unless one "
            "is 1, for shapes are lined up from the right: x (2, 10, 16) and 1 + scale (2, 16)."
        ),
        (
            "add an axis of size 1 to 1 + scale (unsqueeze): `(1 + scale).unsqueeze(1)` has shape"
            " (2, 1, 16), which broadcasts with (2, 10, 16)"
        ),
        "x * (1 + scale).unsqueeze(1)",
    ),
    case(
        "a noise level for each sample",
        lambda self, x, t: self.levels[t] * x,
        (zeros(2, 3, 8, 8), torch.tensor([1, 2])),
        {"levels": zeros(1000)},
        (
            "`self.levels[t] * x` needs dim 3 of x, 8, to equal dim 0 of self.levels[t], 2, "
            "unless one is 1, for shapes are lined up from the right: x (2, 3, 8, 8) and "
            "self.levels[t] (2,)."
        ),
        (
            "add 3 axes of size 1 to self.levels[t] (unsqueeze, or view(2, 1, 1, 1)): "
            "`self.levels[t][:, None, None, None]` has shape (2, 1, 1, 1), which broadcasts with "
            "(2, 3, 8, 8)"
        ),
        "self.levels[t][:, None, None, None] * x",
    ),
    case(
        "slopes for heads",
        lambda self: self.slopes * self.distance,
        (),
        {"slopes": zeros(4), "distance": zeros(10, 10)},
        (
            "`self.slopes * self.distance` needs dim 1 of self.distance, 10, to equal dim 0 of "
            "self.slopes, 4, unless one is 1, for shapes are lined up from the right: "
            "self.distance (10, 10) and self.slopes (4,)."
        ),
        (
            "pair self.slopes on an axis of its own: `self.slopes[:, None, None]` of shape (4, 1,"
            " 1) gives (4, 10, 10)"
        ),
        "self.slopes[:, None, None] * self.distance",
    ),
    case(
        "an outer product",
        lambda self, steps: steps * self.inv_freq,
        (zeros(10),),
        {"inv_freq": zeros(32)},
        (
            "`steps * self.inv_freq` needs dim 0 of steps, 10, to equal dim 0 of self.inv_freq, "
            "32, unless one is 1: steps (10,) and self.inv_freq (32,)."
        ),
        (
            "pair each with each (an outer product): `steps.unsqueeze(-1)` of shape (10, 1) gives"
            " (10, 32)"
        ),
        "steps.unsqueeze(-1) * self.inv_freq",
    ),
    case(
        "tokens and a map",
        lambda self, x, y: x + y,
        (zeros(2, 16, 8, 8), zeros(2, 64, 16)),
        {},
        (
            "`x + y` needs dims 1, 2 and 3 of x, 16, 8 and 8, to equal dims 0, 1 and 2 of y, 2, "
            "64 and 16, unless one is 1, for shapes are lined up from the right: x (2, 16, 8, 8) "
            "and y (2, 64, 16)."
        ),
        (
            "lay the 64 = 8*8 tokens of y out as a map: `y.transpose(1, 2).unflatten(2, (8, 8))` "
            "has shape (2, 16, 8, 8), as x has"
        ),
        "x + y.transpose(1, 2).unflatten(2, (8, 8))",
    ),
    case(
        "channels first and last",
        lambda self, x, y: x + y,
        (zeros(2, 16, 8, 6), zeros(2, 8, 6, 16)),
        {},
        (
            "`x + y` needs dims 1, 2 and 3 of x, 16, 8 and 6, to equal dims 1, 2 and 3 of y, 8, 6"
            " and 16, unless one is 1: x (2, 16, 8, 6) and y (2, 8, 6, 16)."
        ),
        (
            "permute the axes of y: `y.permute(0, 3, 1, 2)` has shape (2, 16, 8, 6), which "
            "broadcasts with (2, 16, 8, 6)"
        ),
        "x + y.permute(0, 3, 1, 2)",
    ),
    case(
        "heads and a width",
        lambda self, x, y: x + y,
        (zeros(2, 10, 64), zeros(2, 4, 10, 16)),
        {},
        (
            "`x + y` needs dims 1 and 3 of y, 4 and 16, to equal dims 0 and 2 of x, 2 and 64, "
            "unless one is 1, for shapes are lined up from the right: y (2, 4, 10, 16) and x (2, "
            "10, 64)."
        ),
        (
            "split the width of x, 64 = 4*16, into heads: `x.unflatten(-1, (4, 16)).transpose(1, "
            "2)` has shape (2, 4, 10, 16), as y has"
        ),
        "x.unflatten(-1, (4, 16)).transpose(1, 2) + y",
    ),
    case(
        "two axes swapped",
        lambda self, x, y: x + y,
        (zeros(2, 10, 64), zeros(2, 64, 10)),
        {},
        (
            "`x + y` needs dims 1 and 2 of x, 10 and 64, to equal dims 1 and 2 of y, 64 and 10, "
            "unless one is 1: x (2, 10, 64) and y (2, 64, 10)."
        ),
        (
            "swap two axes of y: `y.transpose(1, 2)` has shape (2, 10, 64), which broadcasts with"
            " (2, 10, 64)"
        ),
        "x + y.transpose(1, 2)",
    ),
    case(
        "a bias with heads last",
        lambda self, attn: attn + self.rel_bias,
        (zeros(8, 4, 49, 49),),
        {"rel_bias": parameter(49, 49, 4)},
        (
            "`attn + self.rel_bias` needs dims 1 and 3 of attn, 4 and 49, to equal dims 0 and 2 "
            "of self.rel_bias, 49 and 4, unless one is 1, for shapes are lined up from the right:"
            " attn (8, 4, 49, 49) and self.rel_bias (49, 49, 4)."
        ),
        (
            "permute the axes of self.rel_bias: `self.rel_bias.permute(2, 0, 1)` has shape (4, "
            "49, 49), which broadcasts with (8, 4, 49, 49)"
        ),
        "attn + self.rel_bias.permute(2, 0, 1)",
    ),
    case(
        "a target that cannot grow",
        lambda self, x: x.add_(self.pos),
        (zeros(1, 65, 8),),
        {"pos": zeros(3, 65, 8)},
        (
            "`x.add_(self.pos)` writes into x (1, 65, 8), which cannot grow to the (3, 65, 8) "
            "that it broadcasts to with self.pos (3, 65, 8)."
        ),
        "make a new tensor of shape (3, 65, 8) in place of writing into x: `x = x + self.pos`",
        "x = x + self.pos",
    ),
    case(
        "three operands",
        lambda self, x, a, b: torch.addcmul(x, a, b),
        (zeros(2, 10, 64), zeros(2, 1, 64), zeros(2, 64, 1)),
        {},
        (
            "`torch.addcmul(x, a, b)` needs dim 1 of x, 10, to equal dim 1 of b, 64, unless one "
            "is 1: x (2, 10, 64) and b (2, 64, 1)."
        ),
        (
            "swap two axes of b: `b.transpose(1, 2)` has shape (2, 1, 64), which broadcasts with "
            "(2, 10, 64)"
        ),
        "torch.addcmul(x, a, b.transpose(1, 2))",
    ),
    case(
        "lerp",
        lambda self, x, y: torch.lerp(x, y, self.w),
        (zeros(2, 10, 64), zeros(2, 10, 64)),
        {"w": zeros(10)},
        (
            "`torch.lerp(x, y, self.w)` needs dim 2 of x, 64, to equal dim 0 of self.w, 10, "
            "unless one is 1, for shapes are lined up from the right: x (2, 10, 64) and self.w "
            "(10,)."
        ),
        (
            "add an axis of size 1 to self.w (unsqueeze): `self.w.unsqueeze(-1)` has shape (10, "
            "1), which broadcasts with (2, 10, 64)"
        ),
        "torch.lerp(x, y, self.w.unsqueeze(-1))",
    ),
    case(
        "clamp",
        lambda self, x: x.clamp(min=self.low),
        (zeros(2, 10, 64),),
        {"low": zeros(10)},
        (
            "`x.clamp(min=self.low)` needs dim 2 of x, 64, to equal dim 0 of self.low, 10, unless"
            " one is 1, for shapes are lined up from the right: x (2, 10, 64) and self.low (10,)."
        ),
        (
            "add an axis of size 1 to self.low (unsqueeze): `self.low.unsqueeze(-1)` has shape "
            "(10, 1), which broadcasts with (2, 10, 64)"
        ),
        "x.clamp(min=self.low.unsqueeze(-1))",
    ),
    case(
        "a comparison",
        lambda self, x, y: x == y,
        (zeros(2, 10, 64), zeros(2, 10)),
        {},
        (
            "`x == y` needs dims 1 and 2 of x, 10 and 64, to equal dims 0 and 1 of y, 2 and 10, "
            "unless one is 1, for shapes are lined up from the right: x (2, 10, 64) and y (2, "
            "10)."
        ),
        (
            "add an axis of size 1 to y (unsqueeze): `y.unsqueeze(-1)` has shape (2, 10, 1), "
            "which broadcasts with (2, 10, 64)"
        ),
        "x == y.unsqueeze(-1)",
    ),
    case(
        "windows and tokens",
        lambda self, x, w: x + w,
        (zeros(2, 196, 96), zeros(8, 49, 96)),
        {},
        (
            "`x + w` needs dims 0 and 1 of x, 2 and 196, to equal dims 0 and 1 of w, 8 and 49, "
            "unless one is 1: x (2, 196, 96) and w (8, 49, 96)."
        ),
        (
            "w holds as many rows, 8*49 = 2*196: fold or split its leading axes: `w.reshape(2, "
            "196, 96)` has shape (2, 196, 96), as x has"
        ),
        "x + w.reshape(2, 196, 96)",
    ),
    case(
        "frames and batches",
        lambda self, x, w: x + w,
        (zeros(2, 5, 49, 96), zeros(10, 49, 96)),
        {},
        (
            "`x + w` needs dim 1 of x, 5, to equal dim 0 of w, 10, unless one is 1, for shapes "
            "are lined up from the right: x (2, 5, 49, 96) and w (10, 49, 96)."
        ),
        (
            "w holds as many rows, 10*49 = 2*5*49: fold or split its leading axes: `w.reshape(2, "
            "5, 49, 96)` has shape (2, 5, 49, 96), as x has"
        ),
        "x + w.reshape(2, 5, 49, 96)",
    ),
    case(
        "a gate from a pooled map",
        lambda self, x: x * torch.sigmoid(self.fc(x.mean((2, 3)))),
        (zeros(2, 16, 7, 7),),
        {"fc": nn.Linear(16, 16)},
        (
            "`x * torch.sigmoid(self.fc(x.mean((2, 3))))` needs dims 2 and 3 of x, 7 and 7, to "
            "equal dims 0 and 1 of torch.sigmoid(self.fc(x.mean((2, 3)))), 2 and 16, unless one "
            "is 1, for shapes are lined up from the right: x (2, 16, 7, 7) and "
            "torch.sigmoid(self.fc(x.mean((2, 3)))) (2, 16)."
        ),
        (
            "add 2 axes of size 1 to torch.sigmoid(self.fc(x.mean((2, 3)))) (unsqueeze, or "
            "view(2, 16, 1, 1)): `torch.sigmoid(self.fc(x.mean((2, 3))))[:, :, None, None]` has "
            "shape (2, 16, 1, 1), which broadcasts with (2, 16, 7, 7)"
        ),
        "x * torch.sigmoid(self.fc(x.mean((2, 3))))[:, :, None, None]",
    ),
]


@pytest.mark.parametrize(("forward", "args", "kept", "said"), FAILING)
def test_what_is_said(forward, args, kept, said):
    """The rule, the likeliest fix and its code are these, whole; the fix was tried."""
    assert watched(forward, *args, **kept).first == said
