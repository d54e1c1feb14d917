"""Every variant runs, its axes are true, and on meta it is what it is on cpu."""

from __future__ import annotations

import ast
import operator

import pytest

import attntrace
from tests.blocks.variants import VARIANTS

OPERATORS = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.FloorDiv: operator.floordiv,
}


def worked_out(axis, sizes):
    """Return the number that an axis stands for: a symbol, a number, or a formula of both."""

    def value(node):
        match node:
            case ast.Constant():
                return node.value
            case ast.Name():
                return sizes[node.id]
            case ast.BinOp():
                return OPERATORS[type(node.op)](value(node.left), value(node.right))
        message = f"no formula: {axis}"
        raise AssertionError(message)

    return value(ast.parse(axis, mode="eval").body)


def check_axes(trace):
    """Assert that every axis of every tapped row is the size of its dimension."""
    tapped = [row for row in trace.tensors if row.axes is not None]
    assert tapped
    for row in tapped:
        shape = tuple(worked_out(axis, trace.facts.sizes) for axis in row.axes)
        assert shape == row.shape, (row.path, row.name, row.axes, row.shape)


def strides_are_predicted(name, impl):
    """Return whether torch's meta kernels lay tensors out as its cpu kernels do.

    They do not for a convolution of a map whose channels stand last, nor where matmul broadcasts
    a head, nor for fused attention, which meta takes apart.
    """
    return impl == "eager" and not name.endswith(("conv", "local-vit", "mqa"))


def routed(row):
    """Return whether a row's length is for the data to decide: what one expert is given."""
    return "expert" in row.path and row.axes is None


@pytest.mark.parametrize("name", VARIANTS)
def test_a_variant_is_the_same_on_meta_and_its_axes_are_true(name):
    """Same rows, names, shapes, strides and axes; only the shares of experts are data's."""
    spec = VARIANTS[name]
    real = attntrace.run(spec)
    check_axes(real)
    meta = attntrace.run({**spec, "run": {**spec.get("run", {}), "device": "meta"}})
    predicted = strides_are_predicted(name, spec.get("attention", {}).get("impl", "eager"))
    for ours, other in zip(real.tensors, meta.tensors, strict=True):
        assert (ours.name, ours.path, ours.op) == (other.name, other.path, other.op)
        if not routed(ours):
            assert (ours.shape, ours.axes) == (other.shape, other.axes), ours
            assert ours.stride == other.stride or not predicted, ours


@pytest.mark.parametrize("name", VARIANTS)
def test_every_row_of_a_variant_says_what_it_is(name):
    """Every intermediate with a name in the literature is a tap with axes and a formula."""
    trace = attntrace.run(VARIANTS[name])
    tapped = [row for row in trace.tensors if row.axes is not None]
    assert all(row.formula for row in tapped)
    assert len(tapped) >= len(trace.tensors) / 5
