"""Queries, keys and values whose lengths do not go together."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from tests.traps.warned import only, warned


def heads(tokens, width=8):
    """Return (2, 3, tokens, width)."""
    return torch.randn(2, 3, tokens, width)


def test_is_causal_of_one_query():
    """A decode step sees only key 0."""
    q, k, v = heads(1), heads(7), heads(7)
    trap = only(lambda q, k, v: F.scaled_dot_product_attention(q, k, v, is_causal=True), q, k, v)
    assert trap.name == "causal-offset"
    assert [(one.name, one.shape[2]) for one in trap.operands] == [("q", 1), ("k", 7)]
    assert trap.rule == (
        "is_causal=True lays the mask at the top left of `q` (2, 3, 1, 8) and `k` (2, 3, 7, 8): the "
        "1 query sees only key 0 of 7"
    )
    meant = eval(trap.fixes[-1].code, {"torch": torch})  # noqa: S307
    assert meant.all()


def test_is_causal_of_a_few_queries():
    """The last keys are seen by none, and the mask of the fix is that of whole sequences."""
    q, k, v = heads(3), heads(7), heads(7)
    trap = only(lambda q, k, v: F.scaled_dot_product_attention(q, k, v, None, 0.0, True), q, k, v)
    assert "the last 4 of 7 keys are seen by none" in trap.rule
    mask = eval(trap.fixes[0].code, {"torch": torch})  # noqa: S307
    assert torch.equal(mask, torch.ones(7, 7, dtype=torch.bool).tril()[-3:])


@pytest.mark.parametrize(("queries", "keys", "causal"), [(7, 7, True), (1, 7, False), (1, 1, True)])
def test_is_causal_that_is_right(queries, keys, causal):
    """As many queries as keys, or no such mask."""
    q, k = heads(queries), heads(keys)
    assert (
        warned(lambda q, k: F.scaled_dot_product_attention(q, k, k, is_causal=causal), q, k) == []
    )


class Cached(torch.nn.Module):
    """Attention behind a cache, the mask made by hand."""

    def __init__(self, diagonal):
        super().__init__()
        self.diagonal = diagonal

    def forward(self, x, past):
        """Return the context of the new tokens."""
        k = torch.cat([past, x], dim=2)
        new, every = x.shape[2], k.shape[2]
        mask = torch.ones(new, every).tril(self.diagonal(new, every))
        scores = (x @ k.transpose(-2, -1)) / 3
        scores = scores.masked_fill(mask[None, None] == 0, float("-inf"))
        return scores.softmax(dim=-1) @ k


def test_a_mask_of_ones_by_hand():
    """`tril` is top-left aligned, too."""
    x, past = heads(2), heads(5)
    trap = only(Cached(lambda new, every: 0), x, past)
    assert trap.name == "causal-offset"
    assert "query 0 of 2 sees only key 0, and the last 5 of 7 keys are seen by none" in trap.rule
    assert warned(Cached(lambda new, every: every - new), x, past) == []


def test_keys_and_values_of_two_lengths():
    """The kernel of the CPU takes them."""
    q, k, v = heads(5), heads(7), heads(6)
    trap = only(F.scaled_dot_product_attention, q, k, v)
    assert trap.name == "kv-lengths"
    assert trap.rule.startswith("k has 7 keys and v has 6 values")


def test_value_key_query():
    """Swapped, one token comes out as seven."""

    def attention(query, key, value):
        return F.scaled_dot_product_attention(query, key, value)

    memory, token = heads(7), heads(1)
    trap = only(lambda m, t: attention(m, m, t), memory, token)
    assert trap.name == "kv-lengths"
    assert trap.fixes[0].said.startswith("swap the query and the value: 1 queries, and 7 keys")
    assert warned(lambda m, t: attention(t, m, m), memory, token) == []


def test_einsum_repeats_a_single_value():
    """The label has two sizes, one of them 1."""
    probs, value = torch.randn(3, 2, 7, 7), torch.randn(3, 1, 2, 4)
    trap = only(lambda p, v: torch.einsum("nhql,nlhd->nqhd", p, v), probs, value)
    assert trap.name == "kv-lengths"
    assert trap.rule == (
        "einsum sums over l, which is 7 in `p` (3, 2, 7, 7) and 1 in `v` (3, 1, 2, 4): the 1 is "
        "repeated 7 times"
    )


def test_einsum_with_one_head_of_keys():
    """A size of 1 that the result keeps is meant."""
    q, k = torch.randn(2, 3, 5, 8), torch.randn(2, 1, 7, 8)
    assert warned(lambda q, k: torch.einsum("bhqd,bhkd->bhqk", q, k), q, k) == []
