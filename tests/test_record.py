"""The facts: what is read back is what was written, and what is no trace is refused."""

from __future__ import annotations

import json
from dataclasses import FrozenInstanceError, replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from attntrace.errors import TraceFileError
from attntrace.record import SCHEMA_VERSION, Trace
from attntrace.render import to_json
from tests.builders import (
    fake_environment,
    fake_failure,
    fake_module,
    fake_op,
    fake_output,
    fake_row,
    fake_storage,
    fake_trace,
)

untimed = settings(deadline=None, max_examples=50, suppress_health_check=[HealthCheck.too_slow])
texts = st.text(max_size=12)
maybe = st.none() | texts
sizes = st.integers(0, 2**62)
shapes = st.lists(sizes, max_size=3).map(tuple)
rows = st.builds(
    fake_row,
    index=sizes,
    name=texts,
    op=texts,
    shape=shapes,
    path=texts,
    kind=st.sampled_from(["input", "op", "module", "output"]),
    stride=st.none() | shapes,
    axes=st.none() | st.lists(texts, max_size=3).map(tuple),
    storage_id=st.none() | sizes,
    origin=st.sampled_from(["input", "new", "view", "in place", "same", "outside"]),
    alias_of=st.none() | sizes,
    inputs=shapes,
    seen_by=st.sampled_from([(), ("hook",), ("function", "dispatch")]),
    source=maybe,
    formula=maybe,
    flops=st.none() | sizes,
)
outputs = st.builds(fake_output, shape=shapes, storage_id=st.none() | sizes)
operations = st.builds(
    lambda index, row, outs, flops: fake_op(index, "aten.mm.default", row, *outs, flops=flops),
    sizes,
    st.none() | st.integers(0, 9),
    st.lists(outputs, max_size=2),
    st.none() | sizes,
)
storages = st.builds(
    fake_storage,
    id=sizes,
    nbytes=sizes,
    owner=st.sampled_from(["parameter", "buffer", "input", "outside", "run"]),
    name=maybe,
    born=st.none() | sizes,
    died=st.none() | sizes,
    saved_for_backward=st.none() | st.booleans(),
)
failures = st.none() | st.builds(fake_failure, message=texts, op=maybe, line=maybe)
traces = st.builds(
    fake_trace,
    subject=texts,
    tensors=st.lists(rows, max_size=3).map(tuple),
    ops=st.lists(operations, max_size=3).map(tuple),
    modules=st.lists(st.builds(fake_module, texts, texts), max_size=2).map(tuple),
    storages=st.lists(storages, max_size=3).map(tuple),
    outputs=shapes,
    environment=st.builds(fake_environment, device=texts, dtype=maybe, grad=st.booleans()),
    parameters=sizes,
    spec=st.none() | st.dictionaries(texts, st.integers() | texts | st.booleans(), max_size=3),
    sizes=st.dictionaries(texts, sizes, max_size=3),
    diagnosis=failures,
    notes=st.lists(texts, max_size=2).map(tuple),
)


def refusal_of(text):
    with pytest.raises(TraceFileError) as caught:
        Trace.from_json(text)
    return str(caught.value)


@untimed
@given(traces)
def test_what_is_written_is_read_back(trace):
    """JSON of any facts, read back, is the same facts."""
    assert Trace.from_json(to_json(trace)) == trace


@pytest.mark.parametrize("encode", [str, str.encode])
def test_a_trace_is_read_from_text_and_bytes(encode):
    """A trace is read from a text and from UTF-8 bytes alike."""
    trace = fake_trace(diagnosis=fake_failure())
    assert Trace.from_json(encode(to_json(trace))) == trace


def test_what_a_later_version_adds_is_passed_over():
    """A key that this version does not know does not hinder reading."""
    document = {**fake_trace().to_dict(), "mood": "fine"}
    assert Trace.from_json(json.dumps(document)) == fake_trace()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "not a trace: not JSON: Expecting value: line 1 column 1 (char 0)"),
        ('{"a": ', "not a trace: not JSON: Expecting value: line 1 column 7 (char 6)"),
        ("[]", "not a trace: a JSON object with schema_version was expected"),
        ("{}", "not a trace: a JSON object with schema_version was expected"),
        ('{"schema_version": 1}', "not a trace: subject: Field required"),
    ],
)
def test_what_is_no_trace(text, message):
    """A text that is not JSON, or not a trace, is refused with the reason."""
    assert refusal_of(text) == message


def test_a_trace_of_a_newer_version():
    """A trace with a higher schema_version asks for a newer attntrace."""
    newer = SCHEMA_VERSION + 1
    assert refusal_of(json.dumps({"schema_version": newer})) == (
        f"schema_version {newer} is newer than the {SCHEMA_VERSION} that this attntrace reads; "
        "install a newer attntrace"
    )


@pytest.mark.parametrize("version", [None, "1", 1.5, [1]])
def test_a_version_that_is_no_number(version):
    """A schema_version that is no whole number is not called newer."""
    message = refusal_of(json.dumps({"schema_version": version}))
    assert message.startswith("not a trace: ")
    assert "newer" not in message


def test_a_field_of_the_wrong_type_is_named():
    """A trace with a wrong value inside says where it stands."""
    document = fake_trace().to_dict()
    document["tensors"][1]["nbytes"] = "many"
    assert refusal_of(json.dumps(document)) == (
        "not a trace: tensors.1.nbytes: Input should be a valid integer, unable to parse string "
        "as an integer"
    )


@pytest.mark.parametrize("cut", [1, 100, 3000])
def test_a_trace_that_is_cut_short(cut):
    """A file that ends too early is refused as no JSON."""
    assert refusal_of(to_json(fake_trace())[:cut]).startswith("not a trace: not JSON: ")


def test_a_name_finds_its_last_row():
    """A name that several rows bear finds the last of them."""
    rows = tuple(fake_row(n, name, "add", (13,)) for n, name in enumerate(["x", "y", "x", "z"]))
    assert fake_trace(tensors=rows)["x"].index == 2


def test_a_name_that_no_row_bears():
    """A name that is not there is a KeyError that lists the names."""
    with pytest.raises(KeyError) as caught:
        fake_trace()["probs"]
    assert caught.value.args == ("no tensor 'probs'; there are x, qkv, q, scores",)


def test_records_are_frozen():
    """No fact can be changed after the run."""
    trace = fake_trace()
    with pytest.raises(FrozenInstanceError):
        trace.subject = "other"
    with pytest.raises(FrozenInstanceError):
        trace.tensors[0].name = "other"


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({}, "matmul failed at model.py:7: RuntimeError: sizes do not fit"),
        (
            {"path": "block.attn"},
            "matmul failed in block.attn at model.py:7: RuntimeError: sizes do not fit",
        ),
        ({"op": None, "source": None}, "the forward failed: RuntimeError: sizes do not fit"),
    ],
)
def test_a_failure_is_a_sentence(changes, text):
    """A failure says the op, the module and the line, as far as they are known."""
    assert str(replace(fake_failure(), **changes)) == text
