"""Arguments handed over in another order than the parameters of those names."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from attntrace.capture.failed.again import runs
from attntrace.capture.failed.stack.frames import Frames
from attntrace.capture.failed.stack.swapped import swapped

NAMES = ("query", "key", "value")
TENSORS = {"query": torch.ones(2, 5, 8), "key": torch.ones(2, 7, 8), "value": torch.ones(2, 7, 6)}


class Attention(nn.Module):
    """Takes query, key and value."""

    def forward(self, query, key, value, scale=1.0):
        scores = query @ key.mT * scale
        return scores.softmax(-1) @ value


class Wrong(nn.Module):
    """Hands over its arguments as a text says."""

    def __init__(self, call):
        super().__init__()
        self.attention, self.call = Attention(), call

    def forward(self, query, key, value):
        q, keys, v = query, key, value
        return self.call(self, query, key, value, (q, keys, v))


def found(call):
    """Return what is said of the call that a model makes."""
    with pytest.raises(RuntimeError) as caught:
        Wrong(call)(**TENSORS)
    return swapped(Frames.of(caught.value))


def test_names_in_another_order():
    """The call is shown, and so is what to write; it is run by name, and works."""
    told = found(lambda self, query, key, value, _: self.attention(value, key, query))
    assert told.step.said == (
        "`self.attention(value, key, query)` hands over value as query and query as value: "
        "the function takes (query, key, value, scale)"
    )
    assert told.step.line.endswith("self.attention(value, key, query))")
    assert told.proposal.said == "pass them by name: query=query, key=key, value=value"
    assert told.proposal.code == "self.attention(query=query, key=key, value=value)"
    assert runs(told.call) is True


def test_what_stands_right_is_left_in_place():
    """Only from the first wrong one on names are needed; keywords stay."""
    told = found(lambda self, query, key, value, _: self.attention(query, value, key, scale=2.0))
    assert told.proposal.code == "self.attention(query, key=key, value=value, scale=2.0)"
    assert told.call.kwargs.keys() == {"query", "key", "value", "scale"}
    assert runs(told.call) is True


def test_short_names_and_many():
    """`q`, `keys` and `v` are what query, key and value are called, too."""

    def call(self, query, key, value, short):
        q, keys, v = short
        return self.attention(keys, v, q)

    told = found(call)
    assert told.proposal.code == "self.attention(query=q, key=keys, value=v)"


def attend(key, query, value):
    return query @ key.mT @ value


def test_a_function_of_the_authors():
    """A function is told of as a module is; it is not run again."""
    told = found(lambda self, query, key, value, _: attend(query, key, value))
    assert told.proposal.code == "attend(key=key, query=query, value=value)"
    assert told.call is None


@pytest.mark.parametrize(
    "call",
    [
        lambda self, query, key, value, _: self.attention(query, query, value),
        lambda self, query, key, value, _: self.attention(value, key, value),
        lambda self, query, key, value, _: self.attention(key=value, query=query, value=value),
        lambda self, query, key, value, _: self.attention(query, key[:, :, 1:], value),
        lambda self, query, key, value, _: self.attention(value * 1, key, query * 1),
    ],
)
def test_what_may_be_meant(call):
    """One name twice, names by keyword and expressions say nothing of an order."""
    assert found(call) is None
