"""`Trace.find`: rows by what is known of them."""

from __future__ import annotations

from dataclasses import fields

import pytest
import torch

import attntrace
from attntrace.record import TensorRecord

FIELDS = [item.name for item in fields(TensorRecord)]


@pytest.fixture(scope="module")
def trace():
    """Return the trace of the article's layer."""
    return attntrace.run({"heads": 4})


@pytest.mark.parametrize(
    ("wanted", "names"),
    [
        ({"op": "softmax"}, ["probs"]),
        ({"name": "scores"}, ["scores"]),
        ({"name": "q_*"}, ["q_scaled"]),
        ({"name": "?"}, ["x", "q", "k", "v"]),
        ({"path": "*.attend", "op": "matmul"}, ["scores", "context"]),
        ({"kind": "input"}, ["x"]),
        ({"origin": "new", "path": "attention"}, ["context_merged", "out"]),
        ({"shape": (13, 4, 100, 100)}, ["scores", "probs"]),
        ({"shape": [None, 4, 100, None]}, ["q", "k", "v", "q_scaled", "scores", "probs", "context"]),
        ({"shape": (..., 192)}, ["qkv"]),
        ({"shape": (13, ..., 49)}, ["x"]),
        ({"shape": (...,), "op": "linear"}, ["qkv", "proj"]),
        ({"shape": (13, 100)}, []),
        ({"shape": ()}, []),
        ({"index": 3}, ["qkv_stack"]),
        ({"index": True}, ["qkv"]),
        ({"seen_by": "hook", "op": "matmul"}, ["context"]),
        ({"alias_of": None, "kind": "op", "hidden_nbytes": 0}, ["qkv", "q_scaled", "probs", "context_merged", "proj", "out"]),
        ({"axes": "head_dim", "op": "getitem"}, ["q", "k", "v"]),
    ],
)  # fmt: skip
def test_what_is_wanted(trace, wanted, names):
    """Every field can be asked for, and all that is asked for must hold."""
    found = trace.find(**wanted)
    assert [row.name for row in found] == names
    assert all(row is trace[row.index] for row in found)


def test_any_question(trace):
    """A predicate says what no field does, alone or with fields."""
    large = trace.find(lambda row: row.hidden_nbytes > 0)
    assert [row.name for row in large] == ["scores", "context"]
    assert trace.find(lambda row: row.hidden_nbytes > 0, name="sc*") == large[:1]
    assert trace.find() == trace.tensors


def test_brackets_in_a_name_are_letters():
    """`x[0]` is the name of a row, and its stars are any letters."""
    found = attntrace.trace(lambda xs: xs[0] * xs[1], [torch.ones(2), torch.ones(3, 2)])
    assert [row.index for row in found.find(name="xs[1]")] == [1]
    assert [row.index for row in found.find(name="xs[?]")] == [0, 1]
    assert [row.index for row in found.find(name="xs[0] * xs[1]")] == [2]


def test_a_nested_tensor_has_no_shape_to_be_found_by():
    """A shape that is None fits no pattern, and can be asked for."""
    parts = torch.nested.nested_tensor([torch.ones(2), torch.ones(3)], layout=torch.jagged)
    found = attntrace.trace(torch.neg, parts)
    assert found.find(shape=(...,)) == ()
    assert len(found.find(shape=None)) == len(found)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("nmae", "a row has no field 'nmae'; did you mean 'name'?"),
        ("colour", f"a row has no field 'colour'; there are {', '.join(FIELDS)}"),
    ],
)
def test_a_field_that_is_none(trace, name, message):
    """A wrong field is an error, not an empty answer."""
    with pytest.raises(TypeError) as caught:
        trace.find(**{name: "x"})
    assert str(caught.value) == message


def test_what_torch_calls_a_dtype_and_a_device(trace):
    """Fields are texts, and torch's own objects stand for them."""
    found = trace.find(dtype=torch.float32, device=torch.device("cpu"), shape=torch.Size([2, 7]))
    assert found == trace.find(dtype="float32", device="cpu", shape=(2, 7))
    assert trace.find(dtype=torch.float32) == trace.find(dtype="float32") != ()


@pytest.mark.parametrize("shape", [3, "2x7", ...])
def test_a_shape_that_is_none(trace, shape):
    """What is no tuple of sizes is an error, not an empty answer."""
    with pytest.raises(TypeError) as caught:
        trace.find(shape=shape)
    assert (
        str(caught.value) == f"shape is asked for by a tuple such as (2, None, ...), not {shape!r}"
    )


def test_a_question_that_is_none(trace):
    """A name is asked for by its field."""
    with pytest.raises(TypeError) as caught:
        trace.find("probs")
    assert str(caught.value) == "find() takes a function of a row and fields such as name='probs'"
