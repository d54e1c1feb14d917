"""Heads and channels that a view cannot move."""

from __future__ import annotations

from math import prod

import pytest
import torch
import torch.nn.functional as F
from torch import nn

import attntrace
from tests.traps.warned import only, warned

B, T, H, D = 2, 14, 3, 16
C = H * D
X = (B, T, C)


def straight(x):
    """Heads before positions, at once."""
    return x.view(B, H, T, D)


def straight_minus(x):
    """The positions are left to torch."""
    return x.reshape(B, H, -1, D)


def straight_torch(x):
    """As a function of torch."""
    return torch.reshape(x, (B, H, T, D))


def folded(x):
    """Heads in the batch, at once."""
    return x.view(B * H, T, D)


def first(x):
    """Heads before the batch."""
    return x.view(H, B, T, D)


def fused(x):
    """q, k and v of one projection."""
    return x.repeat(1, 1, 3).reshape(B, 3, H, T, D).unbind(1)


def fused_in_heads(x):
    """q, k and v side by side within a head."""
    return x.repeat(1, 1, 3).view(B, H, T, 3 * D).chunk(3, dim=-1)


def keys_turned(x):
    """Keys that are to be turned already."""
    return x.view(B, H, D, T)


def joined(x):
    """The heads joined without going back."""
    heads = x.view(B, T, H, D).transpose(1, 2)
    return F.scaled_dot_product_attention(heads, heads, heads).reshape(B, T, C)


def joined_folded(x):
    """The same out of the batch."""
    return x.view(B, T, H, D).transpose(1, 2).reshape(B * H, T, D).relu().view(B, T, C)


@pytest.mark.parametrize(
    "split",
    [
        straight, straight_minus, straight_torch, folded, first, fused, fused_in_heads, keys_turned,
        joined, joined_folded,
    ],
)  # fmt: skip
def test_heads_that_a_view_puts_elsewhere(split):
    """The view is doubted, and nothing else."""
    assert warned(split, torch.randn(X)) == ["heads-view"]


def test_what_is_said():
    """The tensor, both shapes, the heads and positions, and code that does what was meant."""
    x = torch.randn(X)
    trap = only(straight, x)
    assert [(one.name, one.shape) for one in trap.operands] == [("x", X)]
    assert trap.rule == (
        "`view` cuts `x` (2, 14, 48) in the order in which it lies, so the heads of (2, 3, 14, 16) "
        "hold pieces of other positions: 3 heads of 16 must be split off the last axis of 48 behind "
        "the 14 positions, then moved"
    )
    meant = x.view(B, T, H, D).transpose(1, 2)
    assert torch.equal(eval(trap.fixes[0].code, {"x": x}), meant)  # noqa: S307


@pytest.mark.parametrize("split", [folded, joined, joined_folded])
def test_the_code_of_every_fix_runs(split):
    """It has the same elements in the shape that the author's own line gives, in another order."""
    trap = only(split, torch.randn(X))
    given, made = trap.operands[0], attntrace.trace(split, torch.randn(X))[trap.row]
    x = torch.arange(prod(given.shape)).view(given.shape)
    right = eval(trap.fixes[0].code.replace(given.name, "x"), {"x": x})  # noqa: S307
    assert right.shape == made.shape
    assert not torch.equal(right, x.reshape(made.shape))
    assert torch.equal(right.flatten().sort().values, x.flatten())


def right(x):
    """Split, turned, attended, turned back."""
    q, k, v = (x.view(B, T, H, D).transpose(1, 2) for _ in range(3))
    return F.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(B, T, C)


def right_einops(x):
    """`b t (h d) -> b h t d` as einops does it, and into the batch."""
    heads = x.reshape(B, T, H, D).permute(0, 2, 1, 3)
    folded = heads.reshape(B * H, T, D)
    return folded.reshape(B, H, T, D).permute(0, 2, 1, 3).reshape(B, T, C)


def right_fused(x):
    """q, k and v of one projection."""
    return x.repeat(1, 1, 3).reshape(B, T, 3, H, D).permute(2, 0, 3, 1, 4)


def right_fairseq(x):
    """Tokens first, heads in the batch."""
    return x.transpose(0, 1).contiguous().view(T, B * H, D).transpose(0, 1)


def windows(x):
    """Windows of an image as Swin takes them."""
    image = x.repeat(1, 4, 1).view(B, 7, 8, C)
    return image.view(B, 7, 1, 4, 2, C).permute(0, 1, 3, 2, 4, 5).reshape(-1, 2, C)


def split_tokens(x):
    """Tokens in chunks."""
    return x.view(B, 2, T // 2, C), x.view(B * T, C), x.view(B, T * H, D)


def relative_shift(x):
    """The shift of Transformer-XL."""
    scores = x[:, :, : T + 1].reshape(B, 1, T, T + 1).repeat(1, H, 1, 1)
    return scores.view(B, H, T + 1, T)[:, :, 1:]


def pixels(x):
    """Pixels shuffled and channels in groups."""
    image = x.view(B, T, 8, 6)
    return F.pixel_unshuffle(image, 2), image.view(B, 2, T // 2, 8, 6), image.flatten(2)


def one_head(x):
    """With one head or one position both are the same."""
    return x.view(B, 1, T, C), x[:, :1].reshape(B, H, 1, D)


@pytest.mark.parametrize(
    "split",
    [
        right, right_einops, right_fused, right_fairseq, windows, split_tokens, relative_shift,
        pixels, one_head,
    ],
)  # fmt: skip
def test_views_that_are_meant(split):
    """Nothing is said."""
    assert warned(split, torch.randn(X)) == []


def test_as_many_heads_as_positions_cannot_be_told():
    """view(B, T, H, D) is the same view then."""
    assert warned(lambda x: x.view(2, 4, 4, 3), torch.randn(2, 4, 12)) == []


class Patches(nn.Module):
    """A patch embedding that makes tokens by a view, or as it should."""

    def __init__(self, by_view):
        super().__init__()
        self.proj, self.by_view = nn.Conv2d(3, 20, 4, 4), by_view

    def forward(self, image):
        """Return (B, tokens, channels)."""
        x = self.proj(image)
        batch, chan, height, width = x.shape
        if self.by_view:
            return x.view(batch, height * width, chan)
        return x.flatten(2).transpose(1, 2)


def test_channels_that_a_view_takes_for_tokens():
    """(B, C, H, W) viewed as (B, H * W, C) mixes them; flatten and transpose do not."""
    image = torch.randn(2, 3, 24, 20)
    trap = only(Patches(by_view=True), image)
    assert (trap.name, trap.fixes[0].code) == ("tokens-view", "x.flatten(2).transpose(1, 2)")
    assert warned(Patches(by_view=False), image) == []


def test_tokens_that_a_view_takes_for_channels():
    """And back."""
    x = torch.randn(2, 30, 20)
    assert warned(lambda x: x.view(2, 20, 6, 5), x) == ["tokens-view"]
    assert warned(lambda x: x.transpose(1, 2).reshape(2, 20, 6, 5), x) == []


def test_the_channels_of_a_map_are_no_heads():
    """What a convolution made is told of with its own words."""
    module = nn.Sequential(nn.Conv2d(2, 8, 3, padding=1), nn.ReLU(), Rows())
    trap = only(module, torch.randn(3, 2, 14, 33))
    assert trap.rule.endswith(
        "so a row of (3, 14, 264) holds 8 places of one channel, not 8 channels of one place: the "
        "channels must come to stand next to their 33 features first"
    )


class Rows(nn.Module):
    """Makes a row of each place."""

    def forward(self, x):
        """Return (batch, places, features)."""
        return x.view(3, 14, -1)
