"""Heads that were split off and never moved before the tokens."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from tests.traps.warned import only, warned

B, T, H, D = 2, 7, 3, 4


class Attention(nn.Module):
    """Self-attention that turns its heads as it is told."""

    def __init__(self, turn, attend):
        super().__init__()
        self.qkv, self.out = nn.Linear(H * D, 3 * H * D), nn.Linear(H * D, H * D)
        self.turn, self.attend = turn, attend

    def forward(self, x):
        """Return (B, T, H * D)."""
        parts = self.qkv(x).chunk(3, dim=-1)
        q, k, v = (self.turn(part.unflatten(-1, (H, D))) for part in parts)
        return self.out(self.turn(self.attend(q * 1.0, F.normalize(k, dim=-1), v)).flatten(2))


def by_hand(q, k, v):
    """As formulas have it."""
    return (q @ k.transpose(-2, -1)).div(D**0.5).softmax(dim=-1) @ v


@pytest.mark.parametrize("attend", [F.scaled_dot_product_attention, by_hand])
def test_attention_between_heads(attend):
    """(B, T, heads, width) is doubted, (B, heads, T, width) is not."""
    x = torch.randn(B, T, H * D)
    trap = only(Attention(lambda part: part, attend), x)
    assert trap.name == "heads-attention"
    assert [one.shape for one in trap.operands][:2] == [(B, T, H, D)] * 2
    assert "its 3 heads of 4 where the 7 tokens should be" in trap.rule
    assert "transpose(1, 2)" in trap.fixes[0].code
    assert warned(Attention(lambda part: part.transpose(1, 2), attend), x) == []


def test_attention_between_channels():
    """XCiT's, on purpose: the features of a head attend to each other."""

    def channels(q, k, v):
        return by_hand(*(one.transpose(-2, -1) for one in (q, k, v))).transpose(-2, -1)

    model = Attention(lambda part: part.transpose(1, 2), channels)
    assert warned(model, torch.randn(B, T, H * D)) == []


def test_attention_between_objects():
    """Slots that a layer made, with projections of their own."""
    slots, project = nn.Linear(6, H * D), nn.Linear(D, D)

    def attend(x):
        each = slots(x).view(B, H, D)
        return F.scaled_dot_product_attention(project(each), each, each)

    assert warned(attend, torch.randn(B, 6)) == []
