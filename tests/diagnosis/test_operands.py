"""What the tensors of a failed call are called: as on the author's line."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import nn

import attntrace


def failed(module, *inputs):
    """Return the diagnosis of a module that fails."""
    with pytest.raises(attntrace.ForwardError) as caught:
        attntrace.trace(module, *inputs)
    return caught.value.diagnosis


class Frontend(nn.Module):
    """A sequence that begins with a convolution."""

    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(nn.Conv1d(8, 4, 3), nn.ReLU(), nn.Linear(9, 2))

    def forward(self, feats):
        return self.layers(feats)


class Encoder(nn.Module):
    """Hands over what it calls otherwise."""

    def __init__(self):
        super().__init__()
        self.frontend = Frontend()

    def forward(self, wave):
        mel = wave * 2
        return self.frontend(mel)


def test_what_was_handed_to_a_sequence():
    """Its first layer got what the line names, whatever the caller calls that."""
    found = failed(Encoder(), torch.ones(2, 5, 8))
    assert [one.name for one in found.operands][:2] == ["feats", "self.layers[0].weight"]


def test_what_a_layer_of_a_sequence_was_handed():
    """Further in it is what the layer before returned."""
    found = failed(Encoder(), torch.ones(2, 8, 5))
    assert [one.name for one in found.operands][:2] == [
        "frontend.layers.1",
        "self.layers[2].weight",
    ]


class Written(nn.Module):
    """A call on several lines."""

    def __init__(self):
        super().__init__()
        self.p = nn.ParameterDict({"w": nn.Parameter(torch.ones(6, 3))})

    def forward(self, x):
        p = self.p
        return x + F.linear(
            x,
            p["w"],
        )


def test_a_call_on_several_lines():
    """It is told on one, with the quotes that the author wrote."""
    found = failed(Written(), torch.ones(2, 6))
    assert [one.name for one in found.operands] == ["x", 'p["w"]']
    assert '`F.linear(x, p["w"])`' in found.rule


class Masked(nn.Module):
    """Lays a mask without heads on scores that have them."""

    def forward(self, scores, mask):
        return scores.masked_fill(mask == 0, -1e9)


def test_a_mask_lacks_the_heads():
    """Of the places where an axis of 1 would do, that of the heads is the one that is lacking."""
    found = failed(Masked(), torch.ones(3, 4, 9, 9), torch.ones(3, 1, 9))
    assert found.fixes[0].code == "scores.masked_fill((mask == 0).unsqueeze(1), -1e9)"
    assert "one axis of size 1 for heads" in found.fixes[0].said
