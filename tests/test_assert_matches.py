"""`Trace.assert_matches`: what a run must be, as an assertion."""

from __future__ import annotations

import pickle

import pytest
import torch
from torch import nn

import attntrace

FILE = """\
    import torch
    from torch import nn

    class Attention(nn.Module):
        def __init__(self, dim, heads):
            super().__init__()
            self.heads = heads
            self.qkv, self.proj = nn.Linear(dim, 3 * dim), nn.Linear(dim, dim)

        def forward(self, x):
            q, k, v = self.qkv(x).unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
            scores = q @ k.mT * q.shape[-1] ** -0.5
            probs = scores.softmax(-1)
            out = self.proj((probs @ v).transpose(1, 2).flatten(2))
            return out
"""


@pytest.fixture(scope="module")
def own(tmp_path_factory):
    """Return one run of code of the user's own, with named sizes in its input."""
    file = tmp_path_factory.mktemp("own") / "my_block.py"
    file.write_text("\n".join(line[4:] for line in FILE.splitlines()))
    subject = attntrace.load(
        f"{file}:Attention",
        init={"dim": 64, "heads": 4},
        inputs={"x": "batch,tokens,64"},
        sizes={"batch": 13, "tokens": 100},
    )
    return attntrace.run(subject, axes=True)


def failed(trace, *args, **kwargs):
    """Return the lines of the assertion that fails."""
    with pytest.raises(AssertionError) as caught:
        trace.assert_matches(*args, **kwargs)
    return str(caught.value).splitlines()


def test_what_holds(own):
    """Lists, tuples, texts and numbers; sizes of the inputs, of the constructor, and formulas."""
    own.assert_matches()
    own.assert_matches({})
    own.assert_matches(
        {
            "q": "batch heads tokens dim//heads",
            "scores": (13, "heads", None, "tokens"),
            "out": ["batch", ..., "dim"],
            "dtype": {"probs": torch.float32},
            "peak_memory": "<= 8 MiB",
            "warnings": "none",
        },
        k="batch heads ... 16",
        parameters=16_640,
    )


def test_all_that_does_not_hold_is_told(own):
    """The assertion has a line for each entry that fails, in order, and how many there are."""
    lines = failed(
        own,
        {"q": "batch tokens heads 16", "dtype": {"probs": torch.float16}, "kernel": "none"},
        prob="batch",
        out="batch tokens chan",
        warnings="none",
    )
    assert lines == [
        "4 of 6 expectations do not hold",
        (
            "  expect.q: q is (batch 13, heads 4, tokens 100, dim//heads 16), expected (batch 13, tokens "
            "100, heads 4, 16): axes 1 and 2 are swapped"
        ),
        "  expect.dtype.probs: probs is float32, expected float16",
        "  expect.prob: no tensor 'prob'; did you mean 'probs' or 'probs @ v'?",
        "  expect.out: no size named 'chan'; there are batch, tokens, dim, heads",
    ]


def test_a_trace_that_was_saved(own):
    """A trace that was written as JSON, or pickled, is judged alike."""
    for trace in (attntrace.Trace.from_json(own.to_json()), pickle.loads(pickle.dumps(own))):  # noqa: S301
        trace.assert_matches(q="batch heads tokens dim//heads")
        assert failed(trace, q="batch heads") == failed(own, q="batch heads")


def test_what_cannot_be_read(own):
    """A mapping with mistakes is no failing assertion: each mistake is told."""
    with pytest.raises(attntrace.SettingsError) as caught:
        own.assert_matches({"q": "batch heads*"}, dtype={"q": "flot32"}, v=64)
    assert str(caught.value).splitlines() == [
        "expect.q: 'batch heads*', letter 13: a size or a whole number was expected, but the text ends",
        "expect.dtype.q: no number format 'flot32'; did you mean 'float32'?",
        "expect.v: a list of dimensions such as [batch, tokens, 64] was expected, got 64",
    ]


def test_arguments_that_move_with_an_input(own):
    """A size is known by each of its names: an argument of the constructor that an input must fit."""
    own.assert_matches(x="batch tokens dim")
    trace = attntrace.trace(nn.Linear(8, 3), torch.zeros(5, 8), axes={"input": ("rows", "width")})
    trace.assert_matches(input="rows width")
    assert failed(trace, input="rows wdth") == [
        "1 of 1 expectations do not hold",
        "  expect.input: no size named 'wdth'; there are rows, width; did you mean 'width'?",
    ]
