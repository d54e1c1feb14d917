"""Tensors that are no plain ones are shown for what they are."""

from __future__ import annotations

import warnings

import pytest
import torch
from torch import nn

import attntrace


@pytest.fixture(autouse=True)
def _prototypes():
    """Torch calls some of these layouts prototypes, and warns."""
    with warnings.catch_warnings(action="ignore"):
        yield


def layouts(trace):
    """Return the layout of each row by its name."""
    return {row.name: row.layout for row in trace}


def test_sparse_tensors():
    """Their layout and how many values they hold; no bytes, no strides, and no claim of a view."""

    def forward(adjacency, x):
        rows = x.to_sparse_csr()
        blocks = x.to_sparse_bsr((2, 2))
        return adjacency @ x, rows, blocks

    x = torch.tensor([[1.0, 0.0], [0.0, 0.0], [2.0, 3.0], [0.0, 4.0]])
    trace = attntrace.trace(forward, torch.eye(4).to_sparse(), x)
    assert layouts(trace) == {
        "adjacency": "sparse_coo, 4 values",
        "x": None,
        "rows": "sparse_csr, 4 values",
        "blocks": "sparse_bsr, 2 values",
        "adjacency @ x": None,
    }
    sparse = [row for row in trace if row.layout]
    assert {(row.nbytes, row.stride, row.storage_id) for row in sparse} == {(None, None, None)}
    unseen = [out.nbytes for op in trace.ops for out in op.outputs if out.storage_id is None]
    assert set(unseen) == {None}
    table = str(trace)
    assert "input, sparse_coo, 4 values" in table
    assert "sparse_csr, 4 values" in table
    assert "opaque" not in table


@pytest.mark.parametrize(("layout", "name"), [(torch.strided, "nested"), (torch.jagged, "jagged")])
def test_nested_tensors(layout, name):
    """The sizes that the parts share stand beside a star where they differ."""

    def forward(x):
        parts = torch.nested.nested_tensor([x, x[:2]], layout=layout)
        doubled = parts * 2
        return doubled.unbind()[1]

    trace = attntrace.trace(forward, torch.randn(3, 5))
    assert trace["doubled"].shape is None
    assert trace["doubled"].layout == f"{name} (2, *, 5)"
    assert f"{name} (2, *, 5)" in str(trace)
    assert trace.tensors[trace.facts.outputs[0]].layout is None


def test_a_parameter_that_is_not_there_yet():
    """A lazy module hands its parameters around before they have a shape."""
    trace = attntrace.trace(nn.LazyConv2d(4, 3), torch.randn(2, 3, 8, 8))
    assert {row.layout for row in trace if row.shape is None} <= {"uninitialized"}
    assert trace.tensors[-1].shape == (2, 4, 6, 6)


def test_asking_what_it_is_is_not_seen():
    """Counting the values of a sparse tensor adds no row and no op."""
    trace = attntrace.trace(torch.neg, torch.eye(3).to_sparse())
    assert [row.op for row in trace] == ["input", "neg"]
    assert [op.op for op in trace.ops] == ["aten.neg.default"]
