"""Arithmetic of shapes against torch's own, and explanations of random clashes."""

from __future__ import annotations

import re

import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from attntrace.analysis.diagnosis import FailedCall, Given
from attntrace.analysis.diagnosis.families import explained
from attntrace.analysis.diagnosis.fitting import broadcast, join, placing
from attntrace.analysis.diagnosis.fitting.changed import Changed
from attntrace.analysis.diagnosis.fitting.pair import paired
from attntrace.analysis.diagnosis.shapes import broadcast as broadcast_of
from attntrace.analysis.diagnosis.shapes import clashes, grid, placements, squared

derandomized = settings(deadline=None, derandomize=True, database=None, max_examples=150)
SHAPES = st.lists(st.sampled_from([1, 2, 3, 4, 10, 12, 49, 50]), min_size=1, max_size=4).map(tuple)
NAMES = st.sampled_from(["x", "self.pos_embed", "mask", "cos", "x.mean(-1)", "a + b", "rel_bias"])
OPS = st.sampled_from(["add", "mul", "where", "masked_fill", "sub_", "cat", "stack", "setitem"])


def made(one):
    """Return a described tensor on meta, after its steps."""
    tensor = torch.empty(one.shape, device="meta")
    for method, args in one.steps:
        tensor = getattr(tensor, method)(*args)
    return tensor


def a_sum(one, other, *names):
    """Return the failed call of `a + b`."""
    a, b = names or ("a", "b")
    return FailedCall(op="add", args=(Given(name=a, shape=one), Given(name=b, shape=other)))


@derandomized
@given(SHAPES, SHAPES)
def test_what_broadcasts(one, other):
    """Shapes broadcast as torch's do, and clash exactly where they do not."""
    try:
        expected = tuple(torch.broadcast_shapes(one, other))
    except RuntimeError:
        expected = None
    assert broadcast_of(one, other) == expected
    assert bool(clashes(one, other)) == (expected is None)


@derandomized
@given(SHAPES, SHAPES)
def test_axes_brought_elsewhere(small, big):
    """What is said to fit does so when torch does it, and has the shape that is said."""
    for places in placements(small, big):
        new = Changed.of(Given(name="x", shape=small)).arranged(places)
        tensor = made(new.tensor)
        assert tuple(tensor.shape) == new.shape
        assert broadcast_of(big, new.shape) is not None
        assert tuple(eval(new.text, {"x": torch.empty(small)}).shape) == new.shape  # noqa: S307


@derandomized
@given(SHAPES, SHAPES)
def test_a_rule_names_the_sizes_that_clash(one, other):
    """Every size that had to be the same as another stands in the rule."""
    assume(clashes(one, other))
    rule = broadcast.explain(a_sum(one, other)).rule
    numbers = {int(number) for number in re.findall(r"\d+", rule)}
    assert {size for i, j in clashes(one, other) for size in (one[i], other[j])} <= numbers


@derandomized
@given(SHAPES, SHAPES, NAMES)
def test_axes_that_are_moved_do_fit(one, other, name):
    """Every proposal that moves axes alone makes the sum work on meta."""
    assume(clashes(one, other))
    call = a_sum(one, other, "x", name)
    pair = paired(call, (0, call[0]), (1, call[1]))
    for proposal in placing.proposals(pair):
        made(proposal.call[0]) + made(proposal.call[1])


@derandomized
@given(st.permutations([2, 5, 7, 11]), st.integers(0, 3), st.permutations([0, 1, 2, 3]))
def test_a_cache_of_any_layout(sizes, axis, order):
    """Axes in another order are told from the sizes, and the change makes the join work."""
    got = tuple(sizes[place] for place in order)
    wanted = [*sizes]
    wanted[axis] = 1
    assume(any(got[at] != wanted[at] for at in range(4) if at != axis))
    parts = [Given(name="past", shape=got), Given(name="k", shape=tuple(wanted))]
    found = join.explain(FailedCall(op="cat", args=(parts, axis)))
    joined = torch.cat([made(one) for one in found.proposals[0].call[0]], dim=axis)
    assert joined.shape[axis] == sizes[axis] + 1


@derandomized
@given(OPS, st.lists(st.tuples(NAMES, SHAPES), min_size=1, max_size=3), st.booleans())
def test_an_explainer_never_raises(op, tensors, is_bool):
    """Whatever it is given, it has an answer or none."""
    args = [
        Given(name=name, shape=shape, dtype="bool" if is_bool else "float32")
        for name, shape in tensors
    ]
    joins = op in ("cat", "stack")
    explained(FailedCall(op=op, args=(args, 0) if joins else tuple(args)))


@pytest.mark.parametrize(
    ("count", "found", "text"),
    [
        (50, (7, 1), "7*7 + 1"),
        (65, (8, 1), "8*8 + 1"),
        (196, (14, 0), "14*14"),
        (198, (14, 2), "14*14 + 2"),
        (80, None, None),
        (1, None, None),
    ],
)
def test_counts_of_patches(count, found, text):
    """A square, with a class token, with one more to distil into."""
    assert grid(count) == found
    assert squared(count) == text
