"""Numbers that hide scores, or do not."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from tests.traps.warned import only, warned

MASK = torch.ones(5, 5, dtype=torch.bool).tril()
SCORES = torch.randn(2, 5, 5)

OVERFLOWS = {
    "cast": lambda s: (s + torch.full((5, 5), -1e9).triu(1).to(s.dtype)).softmax(-1),
    "cast later": lambda s: s + ((1.0 - MASK.float()) * -1e10)[None].to(s.dtype),
    "where": lambda s: torch.where(MASK, s, -1e10).softmax(-1),
    "added": lambda s: (s + (1.0 - MASK.to(s.dtype)) * -1e9).softmax(-1),
    "added, number first": lambda s: (s + -1e9 * (~MASK).to(s.dtype)).softmax(-1),
}


@pytest.mark.parametrize("fill", OVERFLOWS.values(), ids=OVERFLOWS)
def test_a_number_that_half_precision_does_not_have(fill):
    """-1e10 is -inf in float16, and itself in the formats with a wide exponent."""
    assert warned(fill, SCORES.half()) == ["mask-fill"]
    assert warned(fill, SCORES) == warned(fill, SCORES.bfloat16()) == []


def test_what_is_said():
    """The number, the format, where it ends, and the number to use."""
    trap = only(lambda scores: torch.where(MASK, scores, -1e10), SCORES.half())
    assert trap.rule.startswith("-1e+10 does not fit float16, whose numbers end at -65504")
    assert "torch.finfo(" in trap.fixes[0].code
    assert ("scores", (2, 5, 5)) in [(one.name, one.shape) for one in trap.operands]


@pytest.mark.parametrize("value", [0, -1e-9, 1e9, -1.0])
def test_a_fill_that_hides_nothing(value):
    """exp of it is no small weight."""
    trap = only(lambda s: s.masked_fill(~MASK, value).softmax(dim=-1), SCORES)
    assert trap.name == "mask-fill"
    assert "is not hidden" in trap.rule


@pytest.mark.parametrize("value", [float("-inf"), -1e4, -1e9, torch.finfo(torch.float32).min])
def test_a_fill_that_hides(value):
    """Nothing is said; nor of zeros where no softmax follows."""
    assert warned(lambda s: s.masked_fill(~MASK, value).softmax(dim=-1), SCORES) == []
    assert warned(lambda s: s.softmax(dim=-1).masked_fill(~MASK, 0.0) @ s, SCORES) == []
    assert warned(lambda s: s.masked_fill(~MASK, 0.0).sum(), SCORES) == []


def shown(mask):
    """Return attention of 5 queries over 5 keys with a mask."""
    return lambda q: F.scaled_dot_product_attention(q, q, q, attn_mask=mask).nan_to_num()


@pytest.mark.parametrize("lead", [(), (1, 1), (2, 3)])
def test_a_mask_of_bool_the_wrong_way_round(lead):
    """True above the diagonal alone shows what is to be hidden, and hides the rest."""
    mask = (~MASK).expand(*lead, 5, 5)
    trap = only(shown(mask), torch.randn(2, 3, 5, 4))
    assert trap.name == "mask-inverted"
    assert "each query of `q` (2, 3, 5, 4) sees only the keys behind it" in trap.rule


@pytest.mark.parametrize(
    "mask",
    [
        MASK,
        torch.ones(5, 5, dtype=torch.bool).triu(),
        torch.zeros(5, 5, dtype=torch.bool),
        torch.tensor([[False, True, True, True, True]]),
        torch.zeros(5, 5).masked_fill(~MASK, float("-inf")),
    ],
)
def test_a_mask_that_may_be_meant(mask):
    """Nothing is said of others: of those from the diagonal on, of paddings, of numbers."""
    assert warned(shown(mask), torch.randn(2, 3, 5, 4)) == []
