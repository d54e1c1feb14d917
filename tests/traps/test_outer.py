"""(B,) with (B, 1): all pairs, wanted or not."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from tests.traps.warned import only, warned

B = 16


class Critic(nn.Module):
    """A value for each state, and what becomes of it."""

    def __init__(self, use):
        super().__init__()
        self.value, self.use = nn.Linear(8, 1), use

    def forward(self, state, target):
        """Return what `use` makes of the two."""
        return self.use(self.value(state), target)


def gathered(values, target):
    """Q-values of the actions that were taken."""
    actions = torch.zeros(B, 1, dtype=torch.long)
    return (values.gather(1, actions) - target).pow(2).mean()


def squashed(values, target):
    """Behind an activation and a cast."""
    return (torch.sigmoid(values).float() * target).sum()


ACCIDENTS = {
    "minus": lambda values, target: target - values,
    "other way round": lambda values, target: (values - target).abs().mean(),
    "times": lambda values, target: (values * target).mean(),
    "divided": lambda values, target: values / target,
    "gathered": gathered,
    "squashed": squashed,
    "sliced": lambda values, target: values.repeat(1, 3)[:, :1] - target,
    "kept": lambda values, target: values.mean(dim=1, keepdim=True) - target,
    "largest": torch.maximum,
}


@pytest.mark.parametrize("use", ACCIDENTS.values(), ids=ACCIDENTS)
def test_a_column_meets_a_vector(use):
    """The operator is doubted, whatever made the column."""
    assert warned(Critic(use), torch.randn(B, 8), torch.randn(B)) == ["outer-broadcast"]


@pytest.mark.filterwarnings("ignore:Using a target size")
@pytest.mark.parametrize("loss", [F.mse_loss, F.l1_loss, F.smooth_l1_loss, F.huber_loss])
def test_a_loss_of_a_column_and_a_vector(loss):
    """Both ways round, and where the column was made on purpose."""
    values, target = torch.randn(B, 8), torch.randn(B)
    assert warned(Critic(loss), values, target) == ["outer-broadcast"]
    assert warned(Critic(lambda v, t: loss(t, v)), values, target) == ["outer-broadcast"]
    assert warned(lambda x, y: loss(x, y.unsqueeze(1)), target, target + 1) == ["outer-broadcast"]


def test_a_loss_of_a_module():
    """nn.MSELoss calls the same function."""

    class Trained(nn.Module):
        def __init__(self):
            super().__init__()
            self.value, self.loss = nn.Linear(8, 1), nn.MSELoss()

        def forward(self, x, y):
            return self.loss(self.value(x), y)

    with pytest.warns(UserWarning, match="Using a target size"):
        trap = only(Trained(), torch.randn(B, 8), torch.randn(B))
    assert trap.name == "outer-broadcast"
    assert trap.line == "return self.loss(self.value(x), y)"


def test_what_is_said():
    """Both operands with their shapes, what came of them, and two ways out that agree."""
    values, target = torch.randn(B, 1), torch.randn(B)
    trap = only(lambda values, target: target - values, values, target)
    assert [(one.name, one.shape) for one in trap.operands] == [
        ("target", (16,)),
        ("values", (16, 1)),
    ]
    assert trap.rule == (
        "`target` (16,) and `values` (16, 1) broadcast to (16, 16): each of the 16 of one meets "
        "each of the 16 of the other, where 16 pairs were likely meant"
    )
    assert [fix.code for fix in trap.fixes] == ["values.squeeze(-1)", "target.unsqueeze(-1)"]


def test_a_middle_axis_that_was_kept():
    """A pooled (B, 1, C) added to (B, C) is (B, B, C)."""
    x = torch.randn(5, 7, 6)
    trap = only(lambda x: x.mean(dim=1, keepdim=True) + x[:, 0], x)
    assert (trap.name, trap.fixes[0].code) == (
        "outer-broadcast",
        "x.mean(dim=1, keepdim=True).squeeze(1)",
    )


def distances(x):
    """Of all pairs, from squares and products."""
    square = x.pow(2).sum(dim=1, keepdim=True)
    return square + x.pow(2).sum(dim=1) - 2 * x @ x.T


MEANT = {
    "none index": lambda x: x[:, 0][:, None] - x[:, 1],
    "unsqueeze": lambda x: x[:, 0].unsqueeze(1) * x[:, 1],
    "view": lambda x: x[:, 0].view(-1, 1) - x[:, 0].view(1, -1),
    "turned": lambda x: x[:, :1] - x[:, :1].T,
    "distances": distances,
    "centred": lambda x: x - x.mean(dim=1, keepdim=True),
    "scaled": lambda x: x * x.sum(dim=0),
    "gate": lambda x: x * torch.sigmoid(x[:, :1]),
    "positions": lambda x: x + torch.arange(16.0)[:, None] * torch.arange(1.0),
    "alibi": lambda x: (torch.arange(16) - torch.arange(16)[:, None]).abs() * x[0, 0],
    "same": lambda x: x[:, :1] == x[:, 0],
    "labels": lambda x: x.argmax(1, keepdim=True) == x.argmax(1),
    "squeezed": lambda x: x[:, 0] - x[:, :1].squeeze(-1),
    "sample alone": lambda x: x[:1, :1] - x[:1, 0],
}


@pytest.mark.parametrize("use", MEANT.values(), ids=MEANT)
def test_pairs_that_are_meant(use):
    """Nothing is said."""
    assert warned(use, torch.randn(16, 16)) == []


def test_a_table_of_frequencies_is_meant():
    """(B, 1) times a parameter of as many entries: what no input made has no samples."""
    frequencies = nn.Parameter(torch.randn(16))
    assert warned(lambda t: (t * frequencies).sin(), torch.randn(16, 1)) == []


@pytest.mark.filterwarnings("ignore:Using a target size")
@pytest.mark.parametrize("loss", [F.mse_loss, F.smooth_l1_loss])
def test_a_loss_of_a_column_and_several(loss):
    """(B, 1) compared with (B, 4) is told, both ways round, with the way to one shape."""
    x, target = torch.randn(B, 8), torch.randn(B, 4)
    trap = only(Critic(loss), x, target)
    assert trap.name == "outer-broadcast"
    assert trap.rule.endswith("is repeated for each of the 4 of `target`")
    assert trap.fixes[0].code == "target.sum(-1, keepdim=True)"
    assert warned(Critic(lambda values, y: loss(y, values)), x, target) == ["outer-broadcast"]


@pytest.mark.filterwarnings("ignore:Using a target size")
def test_a_loss_of_what_was_spread_on_purpose():
    """Quantiles, (B, 1, N) with (B, N, 1), and one prediction for the whole batch."""
    x, y = torch.randn(B, 4), torch.randn(B, 4)
    assert warned(lambda x, y: F.huber_loss(x.unsqueeze(1), y.unsqueeze(2)), x, y) == []
    assert warned(lambda x, y: F.mse_loss(x.mean(0, keepdim=True), y), x, y) == []
    assert warned(lambda x, y: F.mse_loss(x[:, :1].unsqueeze(2)[:, :, 0], y[:, :1]), x, y) == []
