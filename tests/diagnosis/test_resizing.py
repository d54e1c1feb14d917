"""One axis of another size: tables, branches, maps, batches. What is said of real failures."""

from __future__ import annotations

import pytest
from torch import nn

from tests.diagnosis.failing import case, parameter, watched, zeros

FAILING = [
    case(
        "positions of another image",
        lambda self, x: x + self.pos_embed,
        (zeros(2, 50, 8),),
        {"pos_embed": parameter(1, 65, 8)},
        (
            "`x + self.pos_embed` needs dim 1 of x, 50, to equal dim 1 of self.pos_embed, 65, "
            "unless one is 1: x (2, 50, 8) and self.pos_embed (1, 65, 8)."
        ),
        (
            "build the model with the image size of the input, 7*7 patches (image_size = 7 * the "
            "patch size): self.pos_embed needs 50 = 7*7 + 1 where it has 65 = 8*8 + 1"
        ),
        None,
    ),
    case(
        "no class token yet",
        lambda self, x: x + self.pos,
        (zeros(2, 196, 8),),
        {"pos": parameter(1, 197, 8)},
        (
            "`x + self.pos` needs dim 1 of x, 196, to equal dim 1 of self.pos, 197, unless one is"
            " 1: x (2, 196, 8) and self.pos (1, 197, 8)."
        ),
        (
            "join the class token to x first, torch.cat([cls, x], dim=1): self.pos has 197 = "
            "14*14 + 1 positions, one of them for it, and x 196 = 14*14 tokens"
        ),
        None,
    ),
    case(
        "a class token that has no position",
        lambda self, x: x + self.pos,
        (zeros(2, 197, 8),),
        {"pos": parameter(1, 196, 8)},
        (
            "`x + self.pos` needs dim 1 of x, 197, to equal dim 1 of self.pos, 196, unless one is"
            " 1: x (2, 197, 8) and self.pos (1, 196, 8)."
        ),
        (
            "build self.pos with one more position, for the class token: x has 197 = 14*14 + 1 "
            "tokens, self.pos 196 = 14*14; or add self.pos before the class token is joined"
        ),
        None,
    ),
    case(
        "too few positions",
        lambda self, x: x + self.pos,
        (zeros(2, 80, 8),),
        {"pos": parameter(1, 60, 8)},
        (
            "`x + self.pos` needs dim 1 of x, 80, to equal dim 1 of self.pos, 60, unless one is "
            "1: x (2, 80, 8) and self.pos (1, 60, 8)."
        ),
        "build self.pos with 80 positions in place of 60 (the maximum length, max_len)",
        None,
    ),
    case(
        "a buffer cut to no more than it has",
        lambda self, x: x + self.pe[:, : x.size(1)],
        (zeros(2, 80, 8),),
        {"pe": zeros(1, 60, 8)},
        (
            "`x + self.pe[:, : x.size(1)]` needs dim 1 of x, 80, to equal dim 1 of self.pe[:, : "
            "x.size(1)], 60, unless one is 1: x (2, 80, 8) and self.pe[:, : x.size(1)] (1, 60, "
            "8)."
        ),
        "build self.pe with 80 positions in place of 60 (the maximum length, max_len)",
        None,
    ),
    case(
        "positions on a map, channels last",
        lambda self, x: x + self.pos_embed,
        (zeros(2, 7, 7, 8),),
        {"pos_embed": parameter(1, 14, 14, 8)},
        (
            "`x + self.pos_embed` needs dims 1 and 2 of x, 7 and 7, to equal dims 1 and 2 of "
            "self.pos_embed, 14 and 14, unless one is 1: x (2, 7, 7, 8) and self.pos_embed (1, "
            "14, 14, 8)."
        ),
        (
            "build the model with the image size of the input: self.pos_embed has 14*14 places, x"
            " 7*7"
        ),
        None,
    ),
    case(
        "positions on a map, channels first",
        lambda self, x: x + self.pos_embed,
        (zeros(2, 8, 7, 7),),
        {"pos_embed": parameter(1, 8, 14, 14)},
        (
            "`x + self.pos_embed` needs dims 2 and 3 of x, 7 and 7, to equal dims 2 and 3 of "
            "self.pos_embed, 14 and 14, unless one is 1: x (2, 8, 7, 7) and self.pos_embed (1, 8,"
            " 14, 14)."
        ),
        (
            "build the model with the image size of the input: self.pos_embed has 14*14 places, x"
            " 7*7"
        ),
        None,
    ),
    case(
        "positions first, batch first",
        lambda self, x: x + self.pe,
        (zeros(2, 30, 8),),
        {"pe": zeros(40, 1, 8)},
        (
            "`x + self.pe` needs dim 0 of x, 2, to equal dim 0 of self.pe, 40, unless one is 1: x"
            " (2, 30, 8) and self.pe (40, 1, 8)."
        ),
        (
            "take the first positions, as many as there are tokens: `self.pe[:30].transpose(0, "
            "1)` has shape (1, 30, 8), which broadcasts with (2, 30, 8)"
        ),
        "x + self.pe[:30].transpose(0, 1)",
    ),
    case(
        "a bias of another width",
        lambda self, x: x + self.bias,
        (zeros(2, 10, 64),),
        {"bias": parameter(96)},
        (
            "`x + self.bias` needs dim 2 of x, 64, to equal dim 0 of self.bias, 96, unless one is"
            " 1, for shapes are lined up from the right: x (2, 10, 64) and self.bias (96,)."
        ),
        "take the first 64 of the 96 keys: `self.bias[:64]`",
        "x + self.bias[:64]",
    ),
    case(
        "a branch of another width",
        lambda self, x: x + self.mlp(x),
        (zeros(2, 10, 64),),
        {"mlp": nn.Linear(64, 96)},
        (
            "`x + self.mlp(x)` needs dim 2 of x, 64, to equal dim 2 of self.mlp(x), 96, unless "
            "one is 1: x (2, 10, 64) and self.mlp(x) (2, 10, 96)."
        ),
        (
            "let the layer that makes self.mlp(x) end 64 wide, as x is (out_features=64 in place "
            "of 96)"
        ),
        None,
    ),
    case(
        "a gate of half the width",
        lambda self, x, skip: x * skip,
        (zeros(2, 10, 64), zeros(2, 10, 128)),
        {},
        (
            "`x * skip` needs dim 2 of skip, 128, to equal dim 2 of x, 64, unless one is 1: skip "
            "(2, 10, 128) and x (2, 10, 64)."
        ),
        "split skip in two, 128 = 2*64 (value, gate): `skip.chunk(2, dim=-1)[0]`",
        "x * skip.chunk(2, dim=-1)[0]",
    ),
    case(
        "a branch of more channels",
        lambda self, x: x + self.conv(x),
        (zeros(2, 16, 9, 9),),
        {"conv": nn.Conv2d(16, 32, 3, padding=1)},
        (
            "`x + self.conv(x)` needs dim 1 of x, 16, to equal dim 1 of self.conv(x), 32, unless "
            "one is 1: x (2, 16, 9, 9) and self.conv(x) (2, 32, 9, 9)."
        ),
        "project x from 16 to 32 channels with a 1x1 convolution, nn.Conv2d(16, 32, 1)",
        None,
    ),
    case(
        "a branch without padding",
        lambda self, x: x + self.conv(x),
        (zeros(2, 16, 9, 9),),
        {"conv": nn.Conv2d(16, 16, 3)},
        (
            "`x + self.conv(x)` needs dims 2 and 3 of x, 9 and 9, to equal dims 2 and 3 of "
            "self.conv(x), 7 and 7, unless one is 1: x (2, 16, 9, 9) and self.conv(x) (2, 16, 7, "
            "7)."
        ),
        (
            "make both 9*9: x is 2 larger, 9 = 7 + 2, as before a convolution without "
            "padding=kernel_size // 2, or an odd size that was halved"
        ),
        None,
    ),
    case(
        "a branch of stride 2",
        lambda self, x: x + self.conv(x),
        (zeros(2, 16, 8, 8),),
        {"conv": nn.Conv2d(16, 16, 3, stride=2, padding=1)},
        (
            "`x + self.conv(x)` needs dims 2 and 3 of x, 8 and 8, to equal dims 2 and 3 of "
            "self.conv(x), 4 and 4, unless one is 1: x (2, 16, 8, 8) and self.conv(x) (2, 16, 4, "
            "4)."
        ),
        (
            "make both 8*8: x is 2 times as large, 8 = 2*4, as before stride=2: give both paths "
            "the same stride, and the input a size that it divides"
        ),
        None,
    ),
    case(
        "a causal convolution",
        lambda self, x: x + self.conv(x),
        (zeros(2, 16, 20),),
        {"conv": nn.Conv1d(16, 16, 3, padding=2)},
        (
            "`x + self.conv(x)` needs dim 2 of x, 20, to equal dim 2 of self.conv(x), 22, unless "
            "one is 1: x (2, 16, 20) and self.conv(x) (2, 16, 22)."
        ),
        "cut self.conv(x) to the length 20: `self.conv(x)[..., :20]`",
        "x + self.conv(x)[..., :20]",
    ),
    case(
        "folded batches",
        lambda self, x, y: x + y,
        (zeros(6, 10, 64), zeros(2, 10, 64)),
        {},
        (
            "`x + y` needs dim 0 of x, 6, to equal dim 0 of y, 2, unless one is 1: x (6, 10, 64) "
            "and y (2, 10, 64)."
        ),
        (
            "repeat each sample of y 3 times, 6 = 2*3 (heads, beams, frames): "
            "`y.repeat_interleave(3, dim=0)`"
        ),
        "x + y.repeat_interleave(3, dim=0)",
    ),
    case(
        "two batches",
        lambda self, x, y: x - y,
        (zeros(4, 10), zeros(3, 10)),
        {},
        (
            "`x - y` needs dim 0 of x, 4, to equal dim 0 of y, 3, unless one is 1: x (4, 10) and "
            "y (3, 10)."
        ),
        "give both the same batch: y has 3 samples, x 4",
        None,
    ),
    case(
        "a bias of another window",
        lambda self, attn: attn + self.rel_bias,
        (zeros(8, 4, 49, 49),),
        {"rel_bias": parameter(4, 64, 64)},
        (
            "`attn + self.rel_bias` needs dims 2 and 3 of attn, 49 and 49, to equal dims 1 and 2 "
            "of self.rel_bias, 64 and 64, unless one is 1, for shapes are lined up from the "
            "right: attn (8, 4, 49, 49) and self.rel_bias (4, 64, 64)."
        ),
        (
            "build self.rel_bias for 49*49 pairs of tokens in place of 64*64 (windows: 49 = 7*7 "
            "and 64 = 8*8)"
        ),
        None,
    ),
    case(
        "a bias for other heads",
        lambda self, attn: attn + self.rel_bias,
        (zeros(8, 6, 49, 49),),
        {"rel_bias": parameter(4, 49, 49)},
        (
            "`attn + self.rel_bias` needs dim 1 of attn, 6, to equal dim 0 of self.rel_bias, 4, "
            "unless one is 1, for shapes are lined up from the right: attn (8, 6, 49, 49) and "
            "self.rel_bias (4, 49, 49)."
        ),
        "build self.rel_bias for 6 heads (num_heads=6) in place of 4",
        None,
    ),
]


@pytest.mark.parametrize(("forward", "args", "kept", "said"), FAILING)
def test_what_is_said(forward, args, kept, said):
    """The rule, the likeliest fix and its code are these, whole; the fix was tried."""
    assert watched(forward, *args, **kept).first == said
