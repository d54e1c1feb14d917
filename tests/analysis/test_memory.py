"""Kinds of memory and what each row costs, against the totals of the report."""

from __future__ import annotations

import pytest

import attntrace
from attntrace.analysis.costs import row_costs
from attntrace.analysis.memory import kind_of, memory_report
from tests.builders import fake_op, fake_row, fake_storage, fake_trace, fake_training

SMALL = {"chan": 24, "heads": 4, "batch": 2, "tokens": 7, "run": {"mode": "train", "grad": True}}
RUNS = [
    {"heads": 4, **SMALL},
    {"attention": {"impl": "sdpa", "dropout": 0.1}, **SMALL},
    {"attention": {"impl": "torch", "qkv_bias": True}, "mask": {"kind": "causal"}, **SMALL},
    {"block": "encoder", "layers": 3, **SMALL},
]


@pytest.fixture(scope="module", params=RUNS, ids=["eager", "sdpa", "torch", "encoder"])
def facts(request):
    """Return the facts of a run that was followed backward."""
    return attntrace.run(request.param).facts


def test_saved_bytes_of_the_rows_add_up(facts):
    """What autograd keeps of each row, and of what no row shows, is what it keeps of the run."""
    by_rows = sum(cost.saved_nbytes or 0 for cost in row_costs(facts).values())
    elsewhere = sum(
        life.nbytes
        for life in facts.storages
        if life.row is None and life.saved_for_backward and life.owner != "parameter"
    )
    assert by_rows + elsewhere == memory_report(facts).saved_for_backward_nbytes


def test_what_is_saved_lives_until_backward(facts):
    """Every row whose storage autograd keeps is alive until a row of backward, or to the end."""
    costs = row_costs(facts)
    kept = [
        life.row
        for life in facts.storages
        if life.saved_for_backward
        and life.owner == "run"
        and life.row is not None
        and facts.tensors[life.row].storage_id == life.id
    ]
    assert kept
    for row in kept:
        life = costs[row].storage
        assert life.died is None or facts.tensors[life.died_row].phase == "backward", row


def test_a_gradient_is_as_large_as_its_row(facts):
    """Each row that has a gradient has one of its own size."""
    costs = row_costs(facts)
    found = [row for row in facts.tensors if costs[row.index].gradient_nbytes is not None]
    assert found
    assert all(costs[row.index].gradient_nbytes == row.nbytes for row in found)


def test_without_backward_rows_die_in_the_forward():
    """In inference a storage dies after a row, or is returned; nothing waits for backward."""
    facts = attntrace.run({"heads": 4}).facts
    lives = {facts.tensors[row].name: cost.storage for row, cost in row_costs(facts).items()}
    assert lives["scores"].died_row == 10
    assert lives["out"].died is None


@pytest.mark.parametrize(
    ("changes", "kind"),
    [
        ({"owner": "parameter"}, "parameters"),
        ({"owner": "buffer"}, "buffers"),
        ({"owner": "optimizer"}, "optimizer"),
        ({"owner": "input", "saved_for_backward": True}, "inputs"),
        ({"owner": "outside"}, "outside"),
        ({"row": 0}, "activations"),
        ({"row": 0, "saved_for_backward": True}, "saved"),
        ({"row": 1, "op": 1}, "gradients"),
        ({"row": 2}, "temporaries"),
        ({"row": 2, "saved_for_backward": True}, "saved"),
        ({}, "temporaries"),
    ],
)
def test_kinds(changes, kind):
    """Whose memory it is, whether autograd keeps it, and whether a row shows it, make the kind."""
    rows = (
        fake_row(0, "a", "add", (2,), storage_id=0),
        fake_row(1, "d a", "add", (2,), storage_id=0, kind="gradient", phase="backward"),
        fake_row(2, "b", "add", (2,), storage_id=1),
    )
    ops = (fake_op(0, "aten.add", 0), fake_op(1, "aten.add", 1, phase="backward"))
    life = fake_storage(0, 64, **{"op": 0, **changes})
    assert kind_of(fake_trace(tensors=rows, ops=ops, storages=(life,)), life) == kind


def test_gradients_are_those_that_are_left():
    """A weight that is used twice has two gradients, and their sum is what is left of them."""
    stack = {"vocab": 31, "head": "vocab", "tied": True}
    facts = attntrace.run({"block": "decoder", "stack": stack, **SMALL}).facts
    memory = memory_report(facts)
    assert memory.gradients_nbytes == memory.parameters_nbytes


def test_the_forward_has_its_own_peak():
    """What is born after the forward counts to the peak of training alone."""
    memory = memory_report(fake_training())
    assert (memory.peak_nbytes, memory.peak_at) == (1_851_200, 3)
    assert (memory.training_peak_nbytes, memory.training_peak_at) == (2_076_032, 5)
    assert memory.gradients_nbytes == 37_632
    assert memory.optimizer_nbytes is None
