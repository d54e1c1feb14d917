"""How modules of torch's were made: in the trace, and in what a check says."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import attntrace
from attntrace.analysis.difference import difference
from attntrace.analysis.snapshot import snapshot_of
from attntrace.record import Trace
from attntrace.render import to_json
from attntrace.render.difference import difference_sentence


class Wide(nn.Conv2d):
    """A class made from one of torch's."""


class Own(nn.Module):
    """A class of the author's, whose attributes are not looked at, around modules of torch's."""

    def __init__(self):
        """Make them; `idle` is not called."""
        super().__init__()
        self.num_heads = 3
        self.conv = Wide(4, 4, (3, 3), stride=(1, 2), padding="same" if self.num_heads < 2 else 1)
        self.pool = nn.AdaptiveAvgPool2d((None, 7))
        self.cut = nn.Threshold(0.5, float("-inf"))
        self.idle = nn.TransformerDecoderLayer(8, 2, 8, activation=nn.GELU()).norm1

    def forward(self, x):
        """Return (batch, 4, tokens, 7)."""
        return self.cut(self.pool(self.conv(x)))


def test_settings_of_torchs_modules():
    """Numbers are there once where they are equal; None is left out, or a word in a tuple; the
    file of a trace has them all."""
    trace = attntrace.trace(Own(), torch.ones(2, 4, 6, 6))
    assert {one.path: one.settings for one in trace.modules} == {
        "": {"idle.eps": 1e-05},
        "conv": {
            "kernel_size": 3, "stride": (1, 2), "padding": 1, "dilation": 1, "groups": 1,
            "padding_mode": "zeros", "output_padding": 0,
        },
        "pool": {"output_size": ("None", 7)},
        "cut": {"threshold": 0.5, "value": "-inf"},
    }  # fmt: skip
    assert Trace.from_json(to_json(trace.facts)).modules == trace.facts.modules


def encoder(heads=4, **changes):
    """Return a layer of an encoder."""
    return nn.TransformerEncoderLayer(24, heads, 48, batch_first=True, **changes)


def attention(heads=4, **changes):
    """Return attention, given queries, keys and values."""
    inner = nn.MultiheadAttention(24, heads, batch_first=True, **changes)
    return lambda x: inner(x, x, x, need_weights=False)[0]


def frozen():
    """Return a Linear whose bias is not trained."""
    made = nn.Linear(24, 24)
    made.bias.requires_grad_(False)
    return made


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        (encoder(), encoder(2), "module TransformerEncoderLayer changed: self_attn.num_heads 4 -> 2"),
        (encoder(), encoder(norm_first=True), "module TransformerEncoderLayer changed: norm_first False -> True"),
        (encoder(), encoder(activation="gelu"), "module TransformerEncoderLayer changed: activation relu -> gelu"),
        (encoder(activation=nn.GELU()), encoder(activation=nn.GELU("tanh")), "module TransformerEncoderLayer changed: activation.approximate none -> tanh"),
        (encoder(), encoder(layer_norm_eps=1e-6), "module TransformerEncoderLayer changed: norm1.eps 1e-05 -> 1e-06, norm2.eps 1e-05 -> 1e-06"),
        (attention(), attention(2), "module <MultiheadAttention> MultiheadAttention changed: num_heads 4 -> 2"),
        (nn.GroupNorm(3, 6), nn.GroupNorm(2, 6), "module GroupNorm changed: num_groups 3 -> 2"),
        (nn.Dropout(0.1), nn.Dropout(0.2), "module Dropout changed: p 0.1 -> 0.2"),
        (nn.Softmax(1), nn.Softmax(2), "module Softmax changed: dim 1 -> 2"),
        (nn.Dropout(0), nn.Dropout(0.0), "no difference"),
        (nn.Linear(24, 24), frozen(), "module Linear changed: bias frozen"),
    ],
)  # fmt: skip
def test_a_setting_that_no_row_shows(before, after, said):
    """Another one is told by its name and its module, also in one that torch runs as one kernel."""
    sides = []
    for of in (before, after):
        subject = of.eval() if isinstance(of, nn.Module) else of
        with torch.no_grad():  # as a check runs it, for which torch has a kernel of its own
            sides.append(snapshot_of(attntrace.trace(subject, torch.ones(2, 6, 24)).facts))
    assert difference_sentence(difference(*sides)) == said
