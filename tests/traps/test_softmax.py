"""Softmaxes of scores, over the keys and not."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from tests.traps.warned import only, warned

B, H, T, S, D = 2, 3, 5, 7, 4


class Attention(nn.Module):
    """Attention whose softmax is anybody's."""

    def __init__(self, probs, style="matmul"):
        super().__init__()
        self.probs, self.style = probs, style
        self.drop = nn.Dropout(0.1)

    def forward(self, q, k, v):
        """Return the context of each query."""
        if self.style == "einsum":
            scores = torch.einsum("...qd,...kd->...qk", q, k) * D**-0.5
            return torch.einsum("...qk,...kd->...qd", self.probs(scores), v)
        scores = q @ k.transpose(-2, -1) / D**0.5
        mask = torch.ones(T, S, dtype=torch.bool).tril(2)
        scores = scores.masked_fill(~mask, float("-inf"))
        return self.drop(self.probs(scores)) @ v


def given(*lead):
    """Return q, k and v."""
    return torch.randn(*lead, T, D), torch.randn(*lead, S, D), torch.randn(*lead, S, D)


WRONG = {
    "queries": (lambda s: s.softmax(dim=-2), (B, H)),
    "heads": (lambda s: torch.softmax(s, 1), (B, H)),
    "batch": (lambda s: F.softmax(s, dim=0), (B, H)),
    "batch of three": (lambda s: F.softmax(s, dim=0), (B,)),
    "queries of three": (nn.Softmax(dim=1), (B,)),
    "queries of two": (lambda s: s.softmax(0), ()),
    "float32": (lambda s: F.softmax(s, dim=-2, dtype=torch.float32).to(s.dtype), (B, H)),
}


@pytest.mark.parametrize("style", ["matmul", "einsum"])
@pytest.mark.parametrize(("probs", "lead"), WRONG.values(), ids=WRONG)
def test_a_softmax_that_is_not_over_the_keys(probs, lead, style):
    """The softmax is doubted."""
    assert warned(Attention(probs, style), *given(*lead)) == ["softmax-axis"]


RIGHT = {
    "last": (lambda s: s.softmax(dim=-1), (B, H)),
    "third": (lambda s: F.softmax(s, 3), (B, H)),
    "second": (nn.Softmax(dim=2), (B,)),
    "slots": (lambda s: _renormed(s.softmax(dim=-2)), (B, H)),
}


def _renormed(probs):
    probs = probs + 1e-8
    return probs / probs.sum(dim=-1, keepdim=True)


@pytest.mark.parametrize("style", ["matmul", "einsum"])
@pytest.mark.parametrize(("probs", "lead"), RIGHT.values(), ids=RIGHT)
def test_a_softmax_over_the_keys(probs, lead, style):
    """Nothing is said; nor of slot attention, where the queries compete and the keys are weighed."""
    assert warned(Attention(probs, style), *given(*lead)) == []


def test_what_is_said():
    """The scores, the axis that it is and the one that it should be, the line put right."""
    module = Attention(lambda s: s.softmax(dim=-2))
    trap = only(module, *given(B, H))
    assert [(one.name, one.shape) for one in trap.operands] == [("s", (2, 3, 5, 7))]
    assert trap.rule == (
        "softmax over dim 2 of `s` (2, 3, 5, 7) makes the 5 numbers along the queries add up "
        "to 1, but `self.drop(self.probs(scores)) @ v` sums over dim 3, the 7 keys"
    )
    assert trap.fixes[0].said == "take the softmax over the keys: dim=-1, which is dim=3 here"


@pytest.mark.filterwarnings("ignore:Implicit dimension choice")
def test_a_softmax_without_dim():
    """torch takes axis 0 of a tensor of three, the batch, and axis 1 of one of four, the heads."""
    trap = only(Attention(F.softmax), *given(B))
    assert trap.rule.startswith("no dim is given, and torch takes 0 of 3 axes; softmax over dim 0")
    assert "along the batch" in trap.rule
    assert "along the heads" in only(Attention(nn.Softmax()), *given(B, H)).rule
    assert warned(Attention(F.softmax), *given()) == []


class Pooled(nn.Module):
    """Attention pooling: a weight for each position."""

    def __init__(self, dim, how="sum"):
        super().__init__()
        self.score, self.dim, self.how = nn.Linear(D, 1), dim, how

    def forward(self, x):
        """Return (B, D)."""
        w = torch.softmax(self.score(torch.tanh(x)), dim=self.dim)
        if self.how == "bmm":
            return torch.bmm(w.transpose(1, 2), x).squeeze(1)
        if self.how == "einsum":
            return torch.einsum("bto,btd->bd", w, x)
        return (w * x).sum(dim=1)


@pytest.mark.parametrize("how", ["sum", "bmm"])
def test_pooling_with_weights(how):
    """Over the positions; over the one score of each all are 1, and over the batch they mix it."""
    x = torch.randn(B, T, D)
    assert warned(Pooled(1, how), x) == []
    assert warned(Pooled(-1, how), x) == ["softmax-axis"]
    assert warned(Pooled(0, how), x) == ["softmax-axis"]


def net_vlad(x):
    """Soft assignment to clusters, summed over positions."""
    assign = (x @ torch.randn(D, 6)).softmax(dim=-1)
    return torch.einsum("btk,btd->bkd", assign, x), assign.transpose(1, 2) @ x


def dice(x):
    """Probabilities of classes, summed over a map."""
    probs = x.transpose(1, 2).softmax(dim=1)
    return (probs * x.transpose(1, 2).sigmoid()).sum(dim=2)


def experts(x):
    """A mixture of experts."""
    gates = (x @ torch.randn(D, 3)).softmax(dim=-1)
    outs = torch.stack([x, x * 2, x * 3], dim=-2)
    return (gates.unsqueeze(-1) * outs).sum(dim=-2), torch.einsum("bte,bted->btd", gates, outs)


def linear_attention(x):
    """Features of the queries, positions of the keys."""
    q, k = x.softmax(dim=-1), x.softmax(dim=-2)
    return q @ (k.transpose(-2, -1) @ x)


def values_first(x):
    """v @ attn^T, as YOLO's attention has it."""
    q = k = v = x.transpose(1, 2)
    attn = (q.transpose(-2, -1) @ k).softmax(dim=-1)
    return v @ attn.transpose(-2, -1)


def channels(x):
    """Attention between channels."""
    return (x.transpose(1, 2) @ x).softmax(dim=-1) @ x.transpose(1, 2)


@pytest.mark.parametrize("use", [net_vlad, dice, experts, linear_attention, values_first, channels])
def test_other_softmaxes(use):
    """Nothing is said."""
    assert warned(use, torch.randn(B, T, D)) == []


def test_a_softmax_of_one_number():
    """What is 1 whatever the scores are is said to be so."""
    trap = only(lambda x: ((x.sum(-1, keepdim=True)).softmax(-1) * x).sum(1), torch.randn(4, 9, 6))
    assert ", of size 1, makes every weight 1.0, and " in trap.rule
