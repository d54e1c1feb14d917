"""Live bytes over rows: against the peak of the report, and against the storages themselves."""

from __future__ import annotations

import json

import pytest

import attntrace
from attntrace.analysis.memory import alive_at, curve, kinds_at, memory_report, peak_of
from attntrace.analysis.timeline import alive_at_peak, spans
from tests.builders import fake_op, fake_output, fake_row, fake_storage, fake_trace, fake_training

TRAINED = {"run": {"mode": "train", "grad": True}}
RUNS = [
    {"heads": 4},
    {"heads": 4, **TRAINED},
    {"heads": 2, "attention": {"impl": "sdpa"}, "mask": {"kind": "padding"}, **TRAINED},
    {"heads": 4, "attention": {"impl": "torch", "qkv_bias": True}},
    {"block": "encoder", "layers": 3, "chan": 24, "heads": 4, "batch": 2, "tokens": 7, **TRAINED},
    {"block": "decoder", "layers": 2, "chan": 24, "heads": 4, "batch": 2, "tokens": 7},
]


@pytest.fixture(scope="module", params=RUNS, ids=lambda spec: "-".join(map(str, spec)))
def facts(request):
    """Return the facts of a real run."""
    return attntrace.run(request.param).facts


def test_the_highest_moment_is_the_peak(facts):
    """The largest moment, and the tallest span, are the peak of the report, at the same row."""
    memory = memory_report(facts)
    peak = memory.training_peak_nbytes or memory.peak_nbytes
    at = memory.training_peak_at if memory.training_peak_nbytes else memory.peak_at
    assert max(moment.nbytes for moment in curve(facts)) == peak
    assert max(span.nbytes for span in spans(facts, 60)) == peak
    tallest = [span for span in spans(facts, 60) if span.first <= at <= span.last]
    assert [(span.first, span.last, span.nbytes) for span in tallest] == [(at, at, peak)]


def test_every_moment_is_what_its_storages_come_to(facts):
    """At each tick of the clock the curve is the sum of the run's storages that are alive."""
    last = {moment.clock: moment.nbytes for moment in curve(facts)}
    for clock, nbytes in last.items():
        ours = [life for life in alive_at(facts, clock) if life.born is not None]
        assert nbytes == sum(life.nbytes for life in ours)


def test_kinds_add_up(facts):
    """What is alive at the peak, by kind, is the peak and what was there before the run."""
    peak = peak_of(facts)
    before = sum(life.nbytes for life in facts.storages if life.born is None)
    kinds = kinds_at(facts, peak)
    assert sum(kinds.values()) == peak.nbytes + before
    assert list(kinds.values()) == sorted(kinds.values(), reverse=True)
    assert all(kinds.values())
    assert sum(one.nbytes for one in alive_at_peak(facts)) == peak.nbytes + before


@pytest.mark.parametrize("most", [1, 7, 60, 10_000])
def test_spans_cover_every_row_once(facts, most):
    """Spans follow each other without gaps, each within one phase, as tall as its tallest row."""
    found = spans(facts, most)
    covered = [n for span in found for n in range(span.first, span.last + 1)]
    assert covered == list(range(len(facts.tensors)))
    for span in found:
        rows = facts.tensors[span.first : span.last + 1]
        assert {row.phase for row in rows} == {span.phase}
    single = {span.first: span.nbytes for span in spans(facts, 10_000)}
    assert all(
        span.nbytes == max(single[n] for n in range(span.first, span.last + 1)) for span in found
    )


def test_the_json_is_enough_to_draw_it_again():
    """Moments of the document add up to the document's peak, and name its rows."""
    document = json.loads(attntrace.run({"heads": 4, **TRAINED}).to_json())
    moments, memory = document["timeline"], document["memory"]
    highest = max(moments, key=lambda moment: moment["nbytes"])
    assert highest["nbytes"] == memory["training_peak_nbytes"]
    assert document["tensors"][highest["row"]]["name"] == "d scores"
    assert {moment["phase"] for moment in moments} == {"forward", "backward"}
    forward = [moment["nbytes"] for moment in moments if moment["phase"] == "forward"]
    assert max(forward) == memory["peak_nbytes"]
    assert [one["name"] for one in document["alive_at_peak"][:3]] == [
        "probs",
        "d probs",
        "d scores",
    ]
    assert document["alive_at_peak"][3]["name"] == "copy of q_scaled"


def test_scratch_stands_on_top_of_what_its_op_made():
    """A kernel's scratch counts after its own births, and is gone at the next moment."""
    ops = [*fake_trace().ops[:3], fake_op(3, "aten.bmm", 3, scratch_nbytes=4_096, clock=2)]
    trace = fake_trace(ops=tuple(ops))
    assert [(m.clock, m.nbytes, m.scratch_nbytes) for m in curve(trace)] == [
        (0, 998_400, 0), (1, 1_331_200, 0), (2, 1_851_200, 0), (2, 1_855_296, 4_096),
        (3, 1_518_400, 0),
    ]  # fmt: skip
    assert memory_report(trace).peak_nbytes == 1_855_296
    assert kinds_at(trace, peak_of(trace))["temporaries"] == 332_800 + 4_096
    (scratch,) = [one for one in alive_at_peak(trace) if one.storage_id is None]
    assert scratch.name == "scratch of matmul"
    assert max(span.nbytes for span in spans(trace, 60)) == 1_855_296


def test_an_op_that_allocates_nothing_has_its_scratch_where_it_ran():
    """An op in place has no birth; its scratch counts on what was alive when it began."""
    write = fake_op(4, "aten.index_put_", 3, scratch_nbytes=900_000, clock=3)
    trace = fake_trace(ops=(*fake_trace().ops, write))
    assert [(m.clock, m.nbytes) for m in curve(trace)][-1] == (3, 1_518_400 + 900_000)
    assert memory_report(trace).peak_nbytes == 2_418_400


def test_what_no_row_came_of_counts_to_the_row_before():
    """An op without a row, such as a step of the optimizer, raises the row before it."""
    op = fake_op(6, "aten.add", None, fake_output((999_999,), 7), phase="optimizer")
    big = fake_storage(7, 3_999_996, born=8, op=6)
    trace = fake_training(
        ops=(*fake_training().ops, op),
        storages=(*fake_training().storages, big),
        began={"backward": 3, "optimizer": 7},
    )
    assert peak_of(trace).row is None
    assert peak_of(trace).phase == "optimizer"
    assert spans(trace, 60)[-1].nbytes == peak_of(trace).nbytes


def test_a_death_without_a_row_is_of_the_phase_that_had_begun():
    """Where no row tells, the clock does."""
    storages = [fake_storage(0, 64, born=1, died=5), fake_storage(1, 32, born=2, died=3)]
    trace = fake_trace(
        tensors=(fake_row(0, "a", "add", (2,)),), ops=(), storages=tuple(storages),
        began={"backward": 3, "optimizer": 4},
    )  # fmt: skip
    assert [(m.clock, m.phase) for m in curve(trace)] == [
        (1, "forward"), (2, "forward"), (3, "forward"), (5, "optimizer"),
    ]  # fmt: skip


def test_nothing_allocated_nothing_alive():
    """A run without storages of its own has no peak."""
    trace = fake_trace(tensors=(), ops=(), storages=())
    assert (alive_at_peak(trace), spans(trace, 60)) == ([], [])
