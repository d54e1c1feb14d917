"""`assert_shapes(model, inputs, {...})`: shapes by name, in a test of the user's own."""

from __future__ import annotations

import re

import pytest
import torch
from torch import nn

import attntrace
from attntrace.checks.shapes import assert_shapes

pytest_plugins = ["pytester"]


class Attention(nn.Module):
    """Four heads over 24 features; the names of tensors are those of its variables."""

    def __init__(self, dim=24, heads=4):
        super().__init__()
        self.heads = heads
        self.qkv, self.proj = nn.Linear(dim, 3 * dim), nn.Linear(dim, dim)

    def forward(self, x, mask=None):
        """Return what each token of x takes from all."""
        qkv = self.qkv(x)
        q, k, v = qkv.unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        scores = q @ k.mT
        if mask is not None:
            scores = scores + mask
        probs = scores.softmax(-1)
        out = self.proj((probs @ v).transpose(1, 2).flatten(2))
        return out  # noqa: RET504 - a name for it


SHAPES = {
    "x": "batch tokens dim",
    "qkv": "batch tokens 3*heads*head_dim",
    "q": "batch heads tokens head_dim",
    "scores": ["batch", "heads", "tokens", "tokens"],
    "out": "batch ... dim",
}


@pytest.fixture(scope="module")
def model():
    """Return a module to look at."""
    return Attention()


def refused(model, inputs, expected, **sizes):
    """Return the lines that an AssertionError has for wrong shapes, without the first."""
    with pytest.raises(AssertionError) as caught:
        assert_shapes(model, inputs, expected, **sizes)
    return str(caught.value).splitlines()[1:]


def test_shapes_that_hold(model):
    """The trace comes back, its axes in the words that were expected of the input."""
    trace = assert_shapes(model, torch.randn(2, 5, 24), SHAPES)
    assert trace["scores"].axes == ("batch", "4", "tokens", "tokens")
    assert trace.output.shape == (2, 5, 24)


@pytest.mark.parametrize("mask", [torch.zeros(5), None], ids=["two inputs", "one input"])
def test_what_inputs_may_be(model, mask):
    """A tuple is positional arguments, a mapping keyword arguments, a tensor the only argument."""
    x = torch.randn(2, 5, 24)
    given = {"x": x} if mask is None else {"x": x, "mask": mask}
    expected = SHAPES if mask is None else {**SHAPES, "mask": "tokens"}
    for inputs in (given, tuple(given.values())):
        assert len(assert_shapes(model, inputs, expected).find(kind="input")) == len(given)


def test_a_name_is_one_size_everywhere(model):
    """What a name stands for where it is first alone, it must be in every other place."""
    assert refused(model, torch.randn(2, 5, 24), {**SHAPES, "v": "batch heads tokens 7"}) == [
        (
            "  expect.v: v is (batch 2, 4, tokens 5, 6), expected (batch 2, heads 4, tokens 5, 7): "
            "axis 3 is 6, not 7"
        )
    ]
    assert refused(model, torch.randn(2, 5, 24), {"q": "a b c d", "k": "a c b d"}) == [
        (
            "  expect.k: k is (x.0 2, 4, x.1 5, 6), expected (a 2, c 5, b 4, d 6): "
            "axes 1 and 2 are swapped"
        )
    ]


def test_a_swapped_axis_of_the_same_size(model):
    """Sizes of inputs that have a name are told apart where their numbers are equal."""
    expected = {"x": "batch tokens dim", "q": "tokens heads batch head_dim"}
    assert refused(model, torch.randn(5, 5, 24), expected) == [
        (
            "  expect.q: q is (batch 5, 4, tokens 5, 6), expected (tokens 5, heads 4, batch 5, "
            "head_dim 6): axes 0 and 2 are swapped: both are 5 here"
        )
    ]


def test_names_that_another_entry_makes_clear(model):
    """A name is not taken from an axis that is known to be another; the order does not matter."""
    expected = {"q": "batch tokens heads head_dim", "k": "batch heads tokens head_dim"}
    for entries in (expected, dict(reversed(expected.items()))):
        assert refused(model, torch.randn(2, 5, 24), {"x": "batch tokens dim", **entries}) == [
            (
                "  expect.q: q is (batch 2, 4, tokens 5, 6), expected (batch 2, tokens 5, heads 4, "
                "head_dim 6): axes 1 and 2 are swapped"
            )
        ]


def test_sizes_that_are_given(model):
    """`sizes` wins over what the model has."""
    x = torch.randn(2, 5, 24)
    assert_shapes(model, x, {"q": "2 heads 5 dim//heads"}, sizes={"heads": 4, "dim": 24})
    assert refused(model, x, SHAPES, sizes={"heads": 8})[-1] == (
        "  expect.scores: scores is (batch 2, 4, tokens 5, tokens 5), expected (batch 2, heads 8, "
        "tokens 5, tokens 5): axis 1 is 4, not heads 8"
    )


@pytest.mark.parametrize(
    ("expected", "said"),
    [
        ({"y": "batch tokens"}, "expect.y: no tensor 'y'; there are "),
        ({"x": "batch tokens"}, ("expect.x: x is (x.0 2, x.1 5, x.2 24), expected (_, _): "
                                "it has 3 axes, 2 were expected")),
        ({"x": "a a c"}, ("expect.x: x is (a 2, x.1 5, c 24), expected (a 2, a 2, c 24): "
                         "axis 1 is x.1 5, not a 2")),
        ({"q": "_ 2*heads ..."}, "expect.q: no size named 'heads'"),
        ({"dtype": {"q": "float16"}}, "expect.dtype.q: q is float32, expected float16"),
    ],
    ids=["no tensor", "axes", "twice", "formula", "dtype"],
)  # fmt: skip
def test_what_else_does_not_hold(model, expected, said):
    """Each says what is wrong with the model, or with what is expected of it."""
    (line,) = refused(model, torch.randn(2, 5, 24), expected)
    assert line.strip().startswith(said)


def test_what_cannot_be_read(model):
    """Nothing runs where what is expected means nothing."""
    with pytest.raises(attntrace.SettingsError, match=re.escape("expect.q: 'batch ?', letter 7: ")):
        assert_shapes(model, None, {"q": "batch ?"})


def test_nothing_is_left_behind(model):
    """The model is as it was: its mode, its gradients, its hooks and the random state."""
    state = torch.get_rng_state()
    assert_shapes(model.train(), torch.zeros(2, 5, 24), SHAPES)
    assert torch.equal(torch.get_rng_state(), state)
    assert model.training
    assert not model._forward_hooks
    assert model.qkv.weight.grad is None


OWN = """
from torch import nn, zeros

def test_fine(assert_shapes):
    assert assert_shapes(nn.Linear(5, 7), zeros(2, 5), {"input": "rows 5"})["input"].axes

def test_shapes(assert_shapes):
    assert_shapes(nn.Linear(5, 7), zeros(2, 5), {"input": "rows 6"})

def test_forward(assert_shapes):
    assert_shapes(nn.Linear(5, 7), zeros(2, 6), {"input": "rows 6"})
"""


def test_what_pytest_shows_of_a_failure(pytester, run_pytest):
    """The test's own line and what is wrong: nothing of ours in between."""
    pytester.makepyfile(OWN)
    ran = run_pytest("-p", "no:cacheprovider")
    ran.assert_outcomes(passed=1, failed=2)
    text = ran.stdout.str()
    ran.stdout.fnmatch_lines([
        '>*assert_shapes(nn.Linear(5, 7), zeros(2, 5), {"input": "rows 6"})',
        "E*AssertionError: 1 of 1 expectations do not hold",
        "E*expect.input: input is (rows 2, input.1 5), expected (rows 2, 6): axis 1 is *5, not 6",
        '>*assert_shapes(nn.Linear(5, 7), zeros(2, 6), {"input": "rows 6"})',
        "E*Failed: linear failed",
        "E*fix: *",
    ])  # fmt: skip
    assert text.count("\n>  ") == 2
    assert "shapes.py" not in text
    assert "During handling" not in text
