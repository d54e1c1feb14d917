"""One key for many queries, and what a line calls the tensors that it was handed."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from tests.traps.warned import only, warned

MANY, ONE = torch.randn(2, 7, 16), torch.randn(2, 1, 16)


class Reader(nn.Module):
    """Attends from one sequence to another."""

    def __init__(self, weights):
        super().__init__()
        self.attn = nn.MultiheadAttention(16, 2, batch_first=True)
        self.weights = weights

    def forward(self, query, context):
        """Return what the queries read."""
        return self.attn(query, context, context, need_weights=self.weights)[0]


class Caller(nn.Module):
    """Hands over what it calls otherwise."""

    def __init__(self, weights):
        super().__init__()
        self.reader = Reader(weights)

    def forward(self, items, seed):
        """Hand them over in the wrong order."""
        return self.reader(items + 1, seed)


@pytest.mark.parametrize("weights", [True, False])
def test_many_queries_of_a_module_over_one_key(weights):
    """The weight of a single key is 1; the tensors are called what the line calls them."""
    trap = only(Caller(weights), MANY, ONE)
    assert trap.name == "one-key"
    assert [one.name for one in trap.operands] == ["query", "context"]
    assert trap.rule == (
        "7 queries read 1 key, of `query` (2, 7, 16) and `context` (2, 1, 16): the softmax over a "
        "single key gives it the weight 1, so every query gets the same value, whatever it asks"
    )
    assert warned(Reader(weights), ONE, MANY) == []
    assert warned(Reader(weights), ONE, ONE) == []


def by_hand(q, k):
    """Attend without heads."""
    scores = q @ k.transpose(1, 2) / 4
    return scores.softmax(dim=-1) @ k


@pytest.mark.parametrize("attend", [by_hand, lambda q, k: F.scaled_dot_product_attention(q, k, k)])
def test_many_queries_by_hand_over_one_key(attend):
    """So it is with a product and a softmax."""
    assert warned(attend, MANY, ONE) == ["one-key"]
    assert warned(attend, ONE, MANY) == []


def loss(prediction, wanted):
    """Return a loss of what are other names for it."""
    return ((prediction - wanted) ** 2).mean()


def test_parameters_of_a_function_are_called_as_on_the_line():
    """What the line does not name would have to be looked for."""
    trap = only(lambda y, z: loss(y * 1, z * 1), torch.ones(5, 1), torch.ones(5))
    assert {one.name for one in trap.operands} == {"prediction", "wanted"}
    assert trap.fixes[0].code == "prediction.squeeze(-1)"
