"""What must be true of a trace of anything, for each module of the corpus."""

from __future__ import annotations

import csv
import gc
import io
import json
import weakref
from collections import Counter
from functools import cache
from typing import NamedTuple

import pytest
import torch

import attntrace
from tests.corpus.case import CASES, Case
from tests.corpus.recorder import Calls, Ops, assert_same, bare, recorded, tensors_of, traced


class Seen(NamedTuple):
    """A trace, and the dimensions of the tensors that went in and came out."""

    trace: attntrace.Trace
    inputs: Counter
    outputs: Counter


@cache
def seen(case: Case, grad: bool) -> Seen:
    """Return a trace for the tests that only read it."""
    with torch.set_grad_enabled(grad):
        given = case.given()
        inputs = Counter(map(dims, tensors_of([list(given.args), given.kwargs])))
        run, trace = traced(case)
    outputs = Counter(map(dims, tensors_of(run.output)))
    trace.output = None
    return Seen(trace, inputs, outputs)


def dims(tensor):
    """Return how many dimensions a tensor or a row has, None where one of them is no number."""
    if isinstance(tensor, torch.Tensor):
        return None if tensor.is_nested else tensor.dim()
    return None if tensor.shape is None else len(tensor.shape)


def test_the_corpus_is_large():
    """There are well over a hundred cases, each with a name of its own."""
    assert len(CASES) == len({case.name for case in CASES}) > 130


def test_watching_changes_nothing(case, grad):
    """Outputs to the bit, what the module has become, and the process are those of a bare run."""
    plain = bare(case)
    watched, _ = traced(case)
    assert watched.process == plain.process
    assert_same(watched.outputs(), plain.outputs())
    assert_same(watched.state(), plain.state())
    assert watched.shape() == plain.shape()


def test_no_call_is_lost_and_none_is_made_up(case, grad):
    """The rows that the function witness saw are what Python-level calls returned.

    Inside modules that ask whether they are watched it stands aside, so there some are missing.
    """
    calls = recorded(case, Calls())
    rows = Counter(
        (row.op, str(row.shape), row.dtype)
        for row in seen(case, grad).trace
        if "function" in row.seen_by
    )
    assert rows - calls == Counter()
    if not case.asks or grad:
        assert calls - rows == Counter()


def test_nothing_is_warned_of(case, grad):
    """But for the one module that takes one tensor's first axis for the batch and for tokens."""
    expected = {"batch-attention"} if case.name == "MultiheadEveryWay" else set()
    assert {trap.name for trap in seen(case, grad).trace.warnings} == expected


def test_no_op_is_lost_and_none_is_made_up(case, grad):
    """The outputs of the ops are what dispatched ops returned."""
    counted = recorded(case, Ops())
    ops = seen(case, grad).trace.ops
    assert Counter((op.op, str(o.shape), o.dtype) for op in ops for o in op.outputs) == counted


def test_what_goes_in_and_comes_out_is_found(case, grad):
    """Each tensor of the arguments is a row of its own, and each of the output one of `outputs`."""
    trace, inputs, outputs = seen(case, grad)
    assert Counter(dims(row) for row in trace if row.kind == "input") == inputs
    assert Counter(dims(trace.tensors[index]) for index in trace.facts.outputs) == outputs


@pytest.fixture(scope="module")
def young():
    """Garbage of before is not looked through: with all that is imported that takes half a second."""
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()


def test_nothing_is_kept_alive(case, grad, young):
    """When output, module and arguments are gone, no tensor is left, though the trace is."""
    calls, ops = Calls(), Ops()
    run, trace = traced(case, calls, ops)
    alive = calls.alive + ops.alive
    alive += [weakref.ref(tensor) for tensor in tensors_of([tensors_of(run.output), run.state()])]
    assert trace.tensors is not None
    trace.output = None
    del run
    gc.collect()
    left = [ref() for ref in alive]
    assert [tensor for tensor in left if tensor is not None] == []


def test_the_facts_hold_together(case, grad):
    """Numbers of rows point back, bytes add up, and every row has a name."""
    facts = seen(case, grad).trace.facts
    rows, storages = facts.tensors, facts.storages
    assert [row.index for row in rows] == list(range(len(rows)))
    for row in rows:
        assert row.name
        assert row.op
        assert all(index < row.index for index in row.inputs)
        assert row.alias_of is None or row.alias_of < row.index
        assert row.storage_id is None or row.storage_id < len(storages)
    made = [life for life in storages if life.owner == "run" and life.op is not None]
    nobodys = sum(life.nbytes for life in made if life.row is None)
    shown = sum(row.allocated_nbytes + row.hidden_nbytes for row in rows)
    assert shown + nobodys == sum(life.nbytes for life in made)
    assert all(op.row is None or op.row < len(rows) for op in facts.ops)
    assert all(index < len(rows) for call in facts.modules for index in call.outputs)


def test_every_format_shows_it(case):
    """Text, Markdown, CSV, HTML and JSON can be written, and JSON can be read back."""
    trace = seen(case, False).trace
    assert trace.facts.subject in str(trace)
    assert trace.to_markdown()
    assert trace.to_html()
    table = [line for line in csv.reader(io.StringIO(trace.to_csv())) if line]
    assert len({len(line) for line in table}) == 1
    document = trace.to_json()
    assert len(json.loads(document)["tensors"]) == len(trace)
    assert attntrace.Trace.from_json(document).facts == trace.facts
