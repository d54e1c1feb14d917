"""A size is followed back through views and projections to where it was set."""

from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional as F

import attntrace
from attntrace.analysis.lineage import came_from

PRIMES = (2, 3, 5, 7, 11)
BUILT = (13, 17, 19, 23)


class Chain(nn.Module):
    """A forward that is a list of functions."""

    def __init__(self, *steps):
        super().__init__()
        self.steps = steps
        self.layers = nn.ModuleList(step for step in steps if isinstance(step, nn.Module))

    def forward(self, x):
        for step in self.steps:
            x = step(x)
        return x


def followed(module, *inputs, dim=-1, row=-1):
    """Return where a size of a row, the last one if not said, came from."""
    facts = attntrace.trace(module, *inputs).facts
    return came_from(facts.tensors, facts.tensors[row].index, dim, facts.storages)


def said(trail):
    """Return the sentences of a trail."""
    return [step.said for step in trail.steps]


def test_a_projection_ends_at_the_argument_that_set_it():
    """A size that a layer makes leads to its module and the setting, through views of all kinds."""

    class Attention(nn.Module):
        def __init__(self):
            super().__init__()
            self.qkv = nn.Linear(5, 42)

        def forward(self, x):
            q = self.qkv(x).view(2, 7, 3, 2, 7).permute(2, 0, 3, 1, 4).unbind(0)[0]
            return q * 2.0

    trail = followed(Attention(), torch.randn(2, 7, 5), dim=1)
    assert (trail.module_path, trail.setting, trail.value) == ("qkv", "out_features", 42)
    assert said(trail) == [
        "`view` made 2 of the 42 of `self.qkv(x)`: 42 = 3 * 2 * 7.",
        "`qkv` made it: out_features=42.",
    ]
    assert (
        trail.steps[0].line
        == "q = self.qkv(x).view(2, 7, 3, 2, 7).permute(2, 0, 3, 1, 4).unbind(0)[0]"
    )


def test_sums_and_products_are_told_and_followed_to_the_image():
    """Joined tokens are a sum, patches a product, and both lead to the image that came in."""

    class Tokens(nn.Module):
        def __init__(self):
            super().__init__()
            self.proj = nn.Conv2d(3, 6, 4, stride=4)
            self.cls = nn.Parameter(torch.zeros(1, 1, 6))

        def forward(self, image):
            tokens = self.proj(image).flatten(2).transpose(1, 2)
            cls = self.cls.expand(2, -1, -1)
            return torch.cat([cls, tokens], dim=1)

    image = torch.randn(2, 3, 20, 28)
    trail = followed(Tokens(), image, dim=1)
    assert said(trail) == [
        "`cat` joined 1 of `cls` and 35 of `tokens` at axis 1: 36 = 1 + 35.",
        "`flatten` made 35 = 5 * 7 of `self.proj(image)`.",
        "`conv2d` made 7 of the 28 at axis 3 of `image`.",
        "`image` came in as (2, 3, 20, 28), 28 at axis 3.",
    ]
    width = followed(Tokens(), image, dim=2)
    assert (width.parameter, width.value) == ("cls", 6)
    unfolded = followed(Chain(nn.Unfold(7, stride=4), lambda x: x.mT), image, dim=2)
    assert said(unfolded)[-2:] == [
        "`unfold` made 147 = 3 * 49: 3 channels of `x`, 49 places of a window.",
        "`x` came in as (2, 3, 20, 28), 3 at axis 1.",
    ]


X = torch.randn(2, 3, 10)
CASES = [
    (lambda x: x @ x.mT, -1, "3 at axis 1"),
    (lambda x: x.softmax(-1).relu() + 1, -1, "10 at axis 2"),
    (lambda x: x[:, 1], -1, "10 at axis 2"),
    (lambda x: x.sum(1), -1, "10 at axis 2"),
    (lambda x: x[..., ::2], -1, "10 at axis 2"),
    (lambda x: x.chunk(2, -1)[1], -1, "10 at axis 2"),
    (lambda x: torch.stack([x, x], 1), 2, "3 at axis 1"),
    (lambda x: x.repeat(1, 2, 1), 1, "3 at axis 1"),
    (lambda x: F.pad(x, (1, 2)), -1, "10 at axis 2"),
    (lambda x: torch.cat([x, x], -1), -1, "10 at axis 2"),
    (lambda x: torch.einsum("bij,bkj->bik", x, x.clone()), -1, "3 at axis 1"),
    (lambda x: torch.outer(x[0, 0], x[0, :, 0]), 0, "10 at axis 2"),
    (lambda x: F.scaled_dot_product_attention(x, x, x), 1, "3 at axis 1"),
    (lambda x: torch.view_as_complex(x.reshape(2, 3, 5, 2)), 1, "3 at axis 1"),
    (lambda x: x.unsqueeze(1).squeeze(1), 0, "2 at axis 0"),
    (lambda x: x.reshape(-1, 10), 0, "3 at axis 1"),
    (lambda x: F.adaptive_avg_pool1d(x, 4), 1, "3 at axis 1"),
    (lambda x: x.unfold(2, 2, 2), 2, "10 at axis 2"),
]


@pytest.mark.parametrize(("step", "dim", "end"), CASES, ids=range(len(CASES)))
def test_each_kind_of_op_hands_a_size_back(step, dim, end):
    """The trail through an op ends at the axis of the input that carries the size."""
    assert said(followed(Chain(step), X, dim=dim))[-1] == f"`x` came in as (2, 3, 10), {end}."


LAYERS = [
    (nn.Linear(10, 7), X, -1, "out_features", 7),
    (nn.Embedding(9, 7), torch.zeros(2, 3, dtype=torch.long), -1, "embedding_dim", 7),
    (nn.Conv1d(3, 7, 1), X, 1, "out_channels", 7),
    (nn.ConvTranspose1d(3, 7, 1), X, 1, "out_channels", 7),
    (nn.AdaptiveAvgPool1d(4), X, -1, "output_size", 4),
]


@pytest.mark.parametrize(("layer", "x", "dim", "setting", "value"), LAYERS, ids=lambda one: "")
def test_each_layer_is_the_end_of_what_it_makes(layer, x, dim, setting, value):
    """A size that torch's layer makes ends at its setting, and its batch axis at the input."""
    trail = followed(Chain(layer, torch.relu), x, dim=dim)
    assert (trail.module_path, trail.setting, trail.value) == ("layers.0", setting, value)
    assert said(followed(Chain(layer, torch.relu), x, dim=0))[-1].endswith("2 at axis 0.")


def test_a_recurrent_layer_says_whose_double_it_made():
    """Both directions of an LSTM give twice its hidden_size, and that is what is followed."""

    class Reader(nn.Module):
        def __init__(self):
            super().__init__()
            self.lstm = nn.LSTM(10, 7, bidirectional=True, batch_first=True)

        def forward(self, x):
            out, _ = self.lstm(x)
            return out.relu()

    trail = followed(Reader(), X)
    assert (trail.setting, trail.value) == ("hidden_size", 7)
    assert said(trail)[-1] == "`lstm` made it: 14 = 2 * 7, both directions of hidden_size=7."


def test_the_weight_of_a_function_is_no_setting():
    """A size that comes of a bare weight ends there, without a constructor's argument."""
    weight = torch.randn(7, 10)
    trail = followed(Chain(lambda x: F.linear(x, weight).relu()), X)
    assert (trail.setting, trail.parameter) == (None, None)
    assert said(trail) == ["`linear` made 7 at axis 2: its weight has 7."]


def test_what_cannot_be_told_is_where_it_ends():
    """A row that no rule knows ends the trail at what it is; equal sizes do not tempt."""
    square = torch.randn(4, 4)
    trail = followed(Chain(lambda x: x.diagonal().diag_embed()[:, :2]), square, dim=0)
    assert trail.steps
    assert said(trail)[-1].startswith("`")
    facts = attntrace.trace(Chain(torch.relu), X).facts
    rows = [replace(row, shape=None, stride=None) for row in facts.tensors]
    assert came_from(rows, 1, 0).steps == ()


def test_a_long_way_keeps_its_ends():
    """At most five steps are told, the nearest first and the one that set the size last."""
    steps = [lambda x: torch.cat([x, x[..., :1]], -1) for _ in range(9)]
    told = said(followed(Chain(*steps), X))
    assert len(told) == 5
    assert told[0].endswith("19 = 18 + 1.")
    assert told[-1] == "`x` came in as (2, 3, 10), 10 at axis 2."


@st.composite
def chains(draw):
    """Return functions whose sizes are products of primes, each prime from one place only."""
    shape, steps, built = list(PRIMES[: draw(st.integers(2, 5))]), [], list(BUILT)
    first = tuple(shape)
    for kind in draw(
        st.lists(
            st.sampled_from(("permute", "merge", "split", "relu", "linear", "one")), max_size=7
        )
    ):
        rank = len(shape)
        at = draw(st.integers(0, rank - 1))
        if kind == "permute":
            order = draw(st.permutations(range(rank)))
            steps.append(lambda x, order=order: x.permute(*order))
            shape = [shape[one] for one in order]
        elif kind == "merge" and at + 1 < rank:
            steps.append(lambda x, at=at: x.flatten(at, at + 1))
            shape[at : at + 2] = [shape[at] * shape[at + 1]]
        elif kind == "split" and (
            prime := next((p for p in PRIMES if shape[at] % p == 0 and shape[at] > p), 0)
        ):
            parts = (prime, shape[at] // prime)
            steps.append(lambda x, at=at, parts=parts: x.unflatten(at, parts))
            shape[at : at + 1] = parts
        elif kind == "one":
            steps.append(
                lambda x, at=at: x.unsqueeze(at).expand(*x.shape[:at], 1, *x.shape[at:]).squeeze(at)
            )
        elif kind == "linear" and built:
            steps.append(nn.Linear(shape[-1], built.pop()))
            shape[-1] = steps[-1].out_features
        elif kind == "relu":
            steps.append(lambda x: torch.relu(x).contiguous() + 1)
    return first, steps, draw(st.integers(0, len(shape) - 1))


@settings(max_examples=60, deadline=None)
@given(chains())
def test_following_back_lands_at_the_size_that_carries_it(chain):
    """Whatever views and projections lie between, the trail ends where the prime factor was."""
    first, steps, dim = chain
    facts = attntrace.trace(Chain(*steps), torch.zeros(first)).facts
    row = facts.tensors[-1]
    trail = came_from(facts.tensors, row.index, dim)
    size = row.shape[dim]
    if trail.setting is not None:
        layer = dict(Chain(*steps).named_modules())[trail.module_path]
        assert layer.out_features == trail.value
        assert trail.value in BUILT
    else:
        assert trail.value in first
        assert trail.steps[-1].said.endswith(f"{trail.value} at axis {first.index(trail.value)}.")
    assert size % trail.value == 0
