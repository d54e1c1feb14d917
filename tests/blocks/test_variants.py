"""Every variant runs, its axes are true, and on meta it is what it is on cpu."""

from __future__ import annotations

import ast
import operator

import pytest

import attntrace
from tests.blocks.variants import VARIANTS
from tests.capture.predictions import both, check

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


@pytest.mark.parametrize("name", VARIANTS)
def test_a_variant_is_the_same_on_meta_and_its_axes_are_true(name):
    """Every row, op and byte is that of the run on the CPU."""
    real, meta = both(attntrace.load(None, **VARIANTS[name]))
    check_axes(real)
    check(real, meta)


@pytest.mark.parametrize("name", VARIANTS)
def test_every_row_of_a_variant_says_what_it_is(name):
    """Every intermediate with a name in the literature is a tap with axes and a formula."""
    trace = attntrace.run(VARIANTS[name])
    tapped = [row for row in trace.tensors if row.axes is not None]
    assert all(row.formula for row in tapped)
    assert len(tapped) >= len(trace.tensors) / 5
