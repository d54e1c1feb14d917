"""Two runs side by side: figures, and the parts that they are the sum of."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import pytest

import attntrace
from attntrace.analysis.compare import (
    FIGURES,
    Part,
    differences,
    figures,
    only_in,
    saved_parts,
)
from attntrace.render.compare_sentences import sentences
from tests.builders import fake_op, fake_output, fake_row, fake_storage, fake_trace

SPECS = {
    "eager": {"heads": 4},
    "sdpa": {"heads": 4, "attention": {"impl": "sdpa"}},
    "torch": {"attention": {"impl": "torch", "qkv_bias": True}},
    "dropout": {"heads": 2, "attention": {"dropout": 0.1}, "mask": {"kind": "causal"}},
    "encoder": {"block": "encoder", "layers": 3, "heads": 4, "tokens": 17, "batch": 3},
    "rnn": {"block": "rnn-seq2seq", "context_tokens": 7, "tokens": 5, "batch": 3},
}
MODES = {"eval": {}, "train": {"grad": True, "mode": "train"}}


@cache
def traced(name, mode="train"):
    """Return the facts of one run."""
    return attntrace.run({**SPECS[name], "run": MODES[mode]}).facts


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("name", SPECS)
def test_the_parts_add_up_to_the_figures(name, mode):
    """Each figure is the sum of its parts, to the byte."""
    trace = traced(name, mode)
    found = figures(trace)
    for figure, parts in FIGURES.items():
        total = sum(parts(trace).values())
        if figure == "parameters":  # in bytes of float32
            assert total == 4 * found.parameters
        else:
            assert total == (getattr(found, figure) or 0), figure


@pytest.mark.parametrize("figure", FIGURES)
def test_the_differences_add_up(figure):
    """What one run has more of than another is the sum over the parts, and none is named twice."""
    first, second = (FIGURES[figure](traced(name)) for name in ("eager", "torch"))
    found = differences(first, second)
    assert sum(d.more for d in found) == sum(second.values()) - sum(first.values())
    assert len({d.part for d in found}) == len(found)
    assert [abs(d.more) for d in found] == sorted((abs(d.more) for d in found), reverse=True)


def test_a_run_differs_from_itself_in_nothing():
    """The same run twice has no differences, no rows of its own, and one sentence that says so."""
    first, second = traced("dropout"), traced.__wrapped__("dropout")
    assert all(differences(parts(first), parts(second)) == () for parts in FIGURES.values())
    assert only_in(first, second) == only_in(second, first) == ()
    assert sentences(first, second) == ["the same in every figure, tensor by tensor"]


def test_what_sdpa_saves():
    """Against eager, sdpa keeps no probabilities; the bytes are those of a run's own autograd."""
    eager, sdpa = saved_parts(traced("eager")), saved_parts(traced("sdpa"))
    scores = 13 * 4 * 100 * 100 * 4
    assert eager[Part("probs", "attend")] == scores
    assert Part("probs", "attend") not in sdpa
    assert sum(eager.values()) - sum(sdpa.values()) == 2_059_200


def test_sentences_of_sdpa_against_eager():
    """The sentences name tensors and bytes, largest first, and what is never a tensor."""
    assert sentences(traced("eager"), traced("sdpa"))[2:] == [
        ("saves 2.0 MiB less for backward: without probs 2.0 MiB, inside scores 650.0 KiB, "
         "context_merged 325.0 KiB and inside context 20.3 KiB instead of 325.0 KiB; but with qkv "
         "975.0 KiB and context 325.0 KiB; probs (13, 4, 100, 100) is never a tensor"),
        ("hides 954.7 KiB less inside calls: without scores 650.0 KiB and context 20.3 KiB instead "
         "of 325.0 KiB"),
        ("not here: scores (13, 4, 100, 100) 2.0 MiB, probs (13, 4, 100, 100) 2.0 MiB, q_scaled "
         "(13, 4, 100, 16) 325.0 KiB and k_t (13, 4, 16, 100) (no new memory)"),
    ]  # fmt: skip


def test_only_scores_are_never_tensors():
    """What has another name in the other run, or lies in a kernel's scratch, is a tensor there."""
    eager = traced("eager")
    apart = attntrace.run({**SPECS["torch"], "heads": 4, "run": MODES["train"]}).facts
    (saves,) = (line for line in sentences(eager, apart) if line.startswith("saves"))
    assert saves.endswith("; probs (13, 4, 100, 100) is never a tensor")
    math = attntrace.run({**SPECS["dropout"], "heads": 4, "run": MODES["train"]}).facts
    assert not any("never" in line for line in sentences(eager, math))


def test_gradients_of_parameters_have_the_names_of_their_modules():
    """Two weights' gradients can be told apart."""
    names = {part.name for part in FIGURES["training_peak_nbytes"](traced("encoder"))}
    assert {"d down.weight", "d down.bias"} <= names
    assert "d weight" not in names


def test_sizes_that_read_alike_are_in_bytes():
    """A difference too small for the unit is not lost in rounding."""
    first = traced("sdpa")
    trace = replace(
        first,
        storages=tuple(
            replace(life, nbytes=life.nbytes + 8 * (life.row == 1 and life.owner == "run"))
            for life in first.storages
        ),
    )
    said = sentences(first, trace)
    assert "holds 8 B more at its training peak: with qkv 998,408 B instead of 998,400 B" in said


def test_layers_are_counted_together():
    """Rows of the same name at the same place of every layer are one part."""
    eager = attntrace.run(SPECS["encoder"]).facts
    sdpa = attntrace.run({**SPECS["encoder"], "attention": {"impl": "sdpa"}}).facts
    probs = next(item for item in only_in(eager, sdpa) if item.part.name == "probs")
    assert (probs.rows, probs.shapes) == (3, ("(3, 4, 17, 17)",))
    assert probs.new_nbytes == 3 * 4 * 3 * 4 * 17 * 17


def test_what_was_not_measured_is_not_compared():
    """Without backward there is nothing to say of training, neither as a figure nor in words."""
    plain = figures(fake_trace())
    assert (plain.training_peak_nbytes, plain.saved_for_backward_nbytes) == (None, None)
    said = sentences(traced("eager", "eval"), traced("sdpa", "train"))
    assert not any("training" in line or "for backward" in line for line in said)


def test_memory_that_no_row_shows_is_named_by_its_op():
    """A storage whose op no row came of is called by the op's name."""
    op = fake_op(4, "aten._softmax.default", None, fake_output((13, 100), 5))
    storage = fake_storage(5, 5200, born=9, died=10, op=4)
    trace = fake_trace()
    more = replace(trace, ops=(*trace.ops, op), storages=(*trace.storages, storage))
    (found,) = differences(FIGURES["hidden_nbytes"](trace), FIGURES["hidden_nbytes"](more))
    assert (found.part, found.first, found.second) == (Part("softmax", "", "inside"), 0, 5200)


def test_long_lists_are_counted():
    """A sentence names four tensors a side and counts the others."""
    rows = tuple(fake_row(at, f"row{at}", "add", (at + 1,), allocated_nbytes=0) for at in range(9))
    bare = fake_trace(tensors=(), ops=(), storages=(), modules=(), outputs=())
    assert sentences(bare, replace(bare, tensors=rows)) == [
        ("only here: row0 (1,) (no new memory), row1 (2,) (no new memory), row2 (3,) (no new memory), "
         "row3 (4,) (no new memory) and 5 others")
    ]  # fmt: skip
