"""Attention over the batch, and recurrence along it: batch_first was not thought of."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from tests.traps.warned import only, warned

B, T, C = 6, 20, 12
X = (B, T, C)


class Mixed(nn.Module):
    """Something with batch_first between other layers, whose axes tell."""

    def __init__(self, mixer, before=None, after=None):
        super().__init__()
        self.mixer, self.before, self.after = mixer, before, after

    def forward(self, x):
        """Return what `after` makes of it."""
        x = x if self.before is None else self.before(self, x)
        if isinstance(self.mixer, nn.MultiheadAttention):
            mixed, _ = self.mixer(x, x, x, need_weights=False)
        elif isinstance(self.mixer, nn.RNNBase):
            mixed, _ = self.mixer(x)
        else:
            mixed = self.mixer(x)
        return mixed if self.after is None else self.after(self, mixed)


class Learned(nn.Module):
    """Positions and a class token of parameters."""

    def __init__(self):
        super().__init__()
        self.table = nn.Parameter(torch.zeros(1, T, C))
        self.token = nn.Parameter(torch.zeros(1, 1, C))
        self.rows = nn.Embedding(T, C)

    def add(self, x):
        """Return x with positions added."""
        return x + self.table

    def look_up(self, x):
        """Return x with positions that are looked up."""
        return x + self.rows(torch.arange(x.shape[1]))

    def prepend(self, x):
        """Return x behind a class token."""
        return torch.cat([self.token.expand(x.shape[0], -1, -1), x], dim=1)


LEARNED = Learned()
CONV, NORM, LSTM = nn.Conv1d(C, C, 3, padding=1), nn.BatchNorm1d(C), nn.LSTM(C, C, batch_first=True)

BEFORE = {
    "positions": lambda _, x: LEARNED.add(x),
    "positions looked up": lambda _, x: LEARNED.look_up(x),
    "class token": lambda _, x: LEARNED.prepend(x),
    "convolution": lambda _, x: torch.relu(CONV(x.mT)).permute(0, 2, 1),
    "norm of the batch": lambda _, x: NORM(x.transpose(1, 2)).transpose(1, 2),
    "image": lambda _, x: nn.functional.max_pool2d(x.mT.unflatten(2, (4, 5)), 1).flatten(2).mT,
    "neighbour": lambda _, x: LSTM(x)[0],
}
AFTER = {
    "mean": lambda _, x: x.mean(dim=1),
    "first": lambda _, x: x[:, 0],
    "last": lambda _, x: x[:, -1, :],
    "largest": lambda _, x: x.amax(1),
    "largest with places": lambda _, x: x.max(dim=1).values,
    "pooled": lambda _, x: nn.functional.adaptive_avg_pool1d(x.transpose(1, 2), 1).squeeze(-1),
    "flat": lambda _, x: x.flatten(1),
    "weighed": lambda _, x: (x.sum(-1, keepdim=True).softmax(dim=1) * x).sum(1),
}


def mixers(first):
    """Return one of each kind."""
    return {
        "attention": nn.MultiheadAttention(C, 3, batch_first=first),
        "layer": nn.TransformerEncoderLayer(C, 3, 16, batch_first=first),
        "encoder": nn.TransformerEncoder(
            nn.TransformerEncoderLayer(C, 3, 16, batch_first=first), 2, enable_nested_tensor=False
        ),
        "lstm": nn.LSTM(C, C, batch_first=first),
        "gru": nn.GRU(C, C, num_layers=2, batch_first=first),
    }


def name_of(kind):
    """Return the warning that a kind gets."""
    return ["batch-recurrence" if kind in ("lstm", "gru") else "batch-attention"]


@pytest.mark.parametrize("before", BEFORE.values(), ids=BEFORE)
@pytest.mark.parametrize("kind", ["attention", "encoder", "gru"])
def test_what_comes_before_tells_the_batch(kind, before):
    """The module is doubted if it was made without batch_first, and not if with it."""
    x = torch.randn(X)
    assert warned(Mixed(mixers(first=False)[kind], before), x) == name_of(kind)
    assert warned(Mixed(mixers(first=True)[kind], before), x) == []


@pytest.mark.parametrize("after", AFTER.values(), ids=AFTER)
@pytest.mark.parametrize("kind", ["attention", "layer", "lstm"])
def test_what_comes_after_tells_the_batch(kind, after):
    """The same."""
    x = torch.randn(X)
    assert warned(Mixed(mixers(first=False)[kind], None, after), x) == name_of(kind)
    assert warned(Mixed(mixers(first=True)[kind], None, after), x) == []


@pytest.mark.parametrize("kind", ["attention", "layer", "encoder", "lstm", "gru"])
def test_no_evidence_no_warning(kind):
    """(B, T, C) by itself may as well be (T, B, C)."""
    for first in (False, True):
        assert warned(Mixed(mixers(first)[kind]), torch.randn(X)) == []


@pytest.mark.parametrize("kind", ["attention", "layer", "encoder", "lstm", "gru"])
@pytest.mark.parametrize("after", [lambda _, x: x.mean(0), lambda _, x: x[-1], lambda _, x: x[0]])
def test_tokens_first_all_through(kind, after):
    """As torch's own tutorials have it: nothing is said."""
    assert warned(Mixed(mixers(first=False)[kind], None, after), torch.randn(T, B, C)) == []


def detr(_, image):
    """Return the map as tokens first, as DETR does."""
    return nn.functional.conv2d(image, torch.ones(C, 3, 4, 4), stride=4).flatten(2).permute(2, 0, 1)


def test_tokens_first_of_an_image():
    """The batch is followed through the permutation: False is right, and True is not."""
    image = torch.randn(B, 3, 16, 20)
    assert warned(Mixed(mixers(first=False)["attention"], detr), image) == []
    assert warned(Mixed(mixers(first=True)["attention"], detr), image) == ["batch-attention"]


@pytest.mark.parametrize("kind", ["attention", "layer", "encoder", "gru"])
def test_in_eval_without_grad_too(kind):
    """Where torch's fused paths run and its calls are not watched."""
    model = Mixed(mixers(first=False)[kind], BEFORE["convolution"], AFTER["mean"]).eval()
    right = Mixed(mixers(first=True)[kind], BEFORE["convolution"], AFTER["mean"]).eval()
    with torch.no_grad():
        assert warned(model, torch.randn(X)) == name_of(kind)
        assert warned(right, torch.randn(X)) == []


def test_turned_by_hand():
    """Transposed before and after: nothing is said."""

    def turned(self, x):
        return torch.relu(CONV(x.transpose(1, 2))).permute(2, 0, 1)

    model = Mixed(mixers(first=False)["attention"], turned, lambda _, x: x.transpose(0, 1).mean(1))
    assert warned(model, torch.randn(X)) == []


def test_keywords_and_memory():
    """Arguments by name, and the memory of another length, whose positions were added."""

    class Cross(nn.Module):
        def __init__(self, first):
            super().__init__()
            self.cross = nn.MultiheadAttention(C, 3, batch_first=first)

        def forward(self, x, memory):
            memory = LEARNED.add(memory)
            return self.cross(query=x, key=memory, value=memory)[0]

    x, memory = torch.randn(B, 5, C), torch.randn(B, T, C)
    assert warned(Cross(first=True), x, memory) == []
    with torch.no_grad():
        assert warned(Cross(first=True).eval(), x, memory) == []
    with pytest.raises(Exception, match="failed"):
        warned(Cross(first=False), x, memory)
    assert warned(Cross(first=False), torch.randn(3, T, C), LEARNED.add(memory)) == [
        "batch-attention"
    ]


def test_what_is_said():
    """The tensor, how it is read, what tells otherwise, and two ways out."""
    trap = only(Mixed(mixers(first=False)["attention"], None, AFTER["mean"]), torch.randn(X))
    assert [(one.name, one.shape) for one in trap.operands] == [("x", X)]
    assert trap.line == "mixed, _ = self.mixer(x, x, x, need_weights=False)"
    assert trap.rule == (
        "`mixer` has batch_first=False, so it reads `x` (6, 20, 12) as 6 steps of 20 samples and "
        "attends over axis 0, but that is the batch: `x.mean(dim=1)` pools over axis 1"
    )
    assert [fix.code for fix in trap.fixes] == [
        "nn.MultiheadAttention(..., batch_first=True)",
        "x.transpose(0, 1)",
    ]
