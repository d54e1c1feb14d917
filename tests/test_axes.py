"""Axes of every row of our blocks. The oracle: what taps declare, and sizes that no probe had."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest
import torch
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

import attntrace
from attntrace import blocks
from attntrace.analysis.axes import misdeclared
from attntrace.analysis.probing import Sketch, fits
from attntrace.api.axes import block_naming
from attntrace.blocks.inputs import make_inputs
from attntrace.capture import parameters_of, sketch, strokes_of
from attntrace.capture.observe import observe
from attntrace.notation.arithmetic import evaluate
from attntrace.spec import load
from attntrace.spec.presets import names
from attntrace.spec.probes import Knobs
from attntrace.spec.symbols import STACKS
from tests.blocks.any_spec import any_spec, nested

UNEVEN = {"deepseek-v3-small-decode"}
"""Where more experts than rows get one row or none: shares that no formula has."""


def sketched(spec):
    """Return the rows of a block on meta, without what its taps declare."""
    block, inputs = blocks.build(spec), make_inputs(spec)
    with torch.set_grad_enabled(spec.run.grad):
        return sketch(block, (), inputs, spec.run.as_device or "cpu")


def changed_like(spec, base):
    """Return the sizes and rows of a block with sizes that no probe had, and the same rows."""
    for free in (True, False):
        knobs = Knobs(spec, free=free)
        factors = {name: 3 - place % 2 for place, name in enumerate(knobs.names)}
        other = knobs.changed(factors)
        found = sketched(other) if other is not None else None
        if found is not None and fits(base, found):
            return other.sizes, found
    return None


def wrong(spec, base, derived):
    """Return the rows whose derived axes are not the shape that they have at other sizes."""
    there = changed_like(spec, base)
    if there is None:
        return None
    sizes, other = there
    rows = zip(base.strokes, derived.rows, other.strokes, strict=True)
    return [
        (row, axes, moved.shape)
        for row, axes, moved in rows
        if row.shape is not None
        for axis, size in zip(axes, moved.shape, strict=True)
        if evaluate(axis, sizes) != size and not (axis.isdecimal() and derived.unknown)
    ]


def preset(name):
    """Return a preset on meta with two layers: more have the same rows again."""
    spec = load(name, run={"device": "meta"}).spec
    if spec.block in STACKS and spec.layers > 2 and spec.mask.full_every is None:
        fewer = {"layers": 2} | (
            {"feed_forward": {"dense_layers": 1}} if spec.feed_forward.dense_layers else {}
        )
        spec = load(name, run={"device": "meta"}, **fewer).spec
    return spec


@pytest.mark.parametrize("name", names())
def test_every_preset(name):
    """Derived without the taps' words, every dimension follows its formula at sizes not seen."""
    spec = preset(name)
    base = sketched(spec)
    derived = block_naming(spec)(base)
    assert bool(derived.unknown) == (name in UNEVEN)
    assert wrong(spec, base, derived) == []


@settings(derandomize=True, database=None, deadline=None, max_examples=25, phases=[Phase.generate])
@given(st.integers(0, 2**32))
def test_any_spec(seed):
    """Whatever is accepted: a formula that is found holds at sizes not seen."""
    given_, _ = any_spec(random.Random(seed))
    spec = load(**nested(given_ | {"run.device": "meta"})).spec
    base = sketched(spec)
    assert not wrong(spec, base, block_naming(spec)(base))


def test_rows_between_the_taps():
    """A row that no tap marks has axes too, in the taps' own words."""
    trace = attntrace.run(load("llama3-8b", layers=1, run={"device": "meta"}).spec, axes=True)
    assert trace["torch.cat((-right, left), dim=-1)"].axes == (
        "batch", "kv_heads", "tokens", "head_dim",
    )  # fmt: skip
    assert all(row.axes is not None for row in trace)


def test_without_axes_only_taps_have_them():
    """`run` derives nothing unless it is asked."""
    trace = attntrace.run(load("llama3-8b", layers=1, run={"device": "meta"}).spec)
    assert trace["torch.cat((-right, left), dim=-1)"].axes is None
    assert trace["q"].axes == ("batch", "heads", "tokens", "head_dim")


def test_backward_recompute_and_the_optimizer():
    """Gradients, layers that run again, and parameters that are stepped have axes."""
    spec = attntrace.load(
        "gpt2", layers=1, tokens=9,
        run={"device": "meta", "grad": True, "checkpoint": True, "optimizer": "adam"},
    )  # fmt: skip
    trace = attntrace.run(spec, axes=True)
    assert all(row.axes is not None for row in trace)
    assert trace["d scores"].axes == ("batch", "heads", "tokens", "tokens")
    grads = [
        row for row in trace if row.path.endswith("feed_forward.up") and row.phase != "forward"
    ]
    assert {row.axes for row in grads} >= {("ff_dim", "chan"), ("ff_dim",)}
    for row in trace:
        worth = [evaluate(axis, trace.facts.sizes) for axis in row.axes]
        assert all(w in (None, size) for w, size in zip(worth, row.shape, strict=True))


def test_equal_sizes_are_never_confused():
    """Four sequences, four heads and four tokens are three words."""
    trace = attntrace.run(attntrace.load(batch=4, heads=4, tokens=4, chan=16, dim=4), axes=True)
    assert trace["scores"].axes == ("batch", "heads", "tokens", "tokens")
    derived = block_naming(attntrace.load(batch=4, heads=4, tokens=4, chan=16, dim=4))(
        Sketch(strokes_of(trace.tensors))
    )
    declared = [row.axes for row in trace]
    assert list(derived.rows) == declared


def test_shares_of_experts_are_no_formula():
    """How many tokens an expert gets depends on the data: a number, and what runs is said."""
    spec = attntrace.load("deepseek-v3-small", layers=2)
    trace = attntrace.run(spec, axes=True)
    shares = [row for row in trace if row.name.startswith("parts[")]
    assert shares
    assert all(row.axes == (str(row.shape[0]), "chan") for row in shares)
    assert (
        "what runs depends on experts, groups, groups_per_token, experts_per_token: where only "
        "that moves a dimension, axes has its number"
    ) in trace.facts.notes


def test_steps_of_a_recurrent_net_are_said():
    """Sizes that rows are counted by do not change; the note names them."""
    trace = attntrace.run(load("rnn-additive", run={"device": "meta"}).spec, axes=True)
    [note] = [note for note in trace.facts.notes if note.startswith("what runs depends")]
    assert "tokens, context_tokens" in note


def test_a_sketch_has_the_rows_of_a_trace():
    """The light recorder sees the rows that the whole one sees, with a fused module, too."""
    for name in (
        "multi-head",
        "multi-head-torch",
        "detr-notes-mha",
        "mixtral-8x7b",
        "yolo11n-c2psa",
    ):
        spec = preset(name)
        with torch.no_grad():
            seen = observe(blocks.build(spec), (), make_inputs(spec))
        assert sketched(spec).strokes == strokes_of(seen.notes.ledger.rows)


def test_a_tap_that_lies_is_a_bug_of_ours():
    """Declared axes that do not fit are an assertion, with the tap, its axes, shape and sizes."""
    spec = attntrace.load(heads=4)
    facts = attntrace.run(spec).facts
    at = facts["scores"].index
    row = replace(facts.tensors[at], axes=("batch", "heads", "tokens", "head_dim"))
    rows = (*facts.tensors[:at], row, *facts.tensors[at + 1 :])
    assert misdeclared(facts, spec.sizes) is None
    assert misdeclared(replace(facts, tensors=rows), spec.sizes) == (
        "tap scores in attention.attend has axes ('batch', 'heads', 'tokens', 'head_dim'), but is "
        f"(13, 4, 100, 100): {spec.sizes}"
    )


def test_the_random_state_stays():
    """Deriving draws no random number."""
    spec = attntrace.load(heads=4, attention={"dropout": 0.5}, run={"mode": "train"})
    before = torch.get_rng_state()
    attntrace.run(spec)
    plain = torch.get_rng_state()
    torch.set_rng_state(before)
    attntrace.run(spec, axes=True)
    assert torch.equal(torch.get_rng_state(), plain)


def test_parameters_of_a_function():
    """A plain function has no parameters to name."""
    assert parameters_of(torch.relu) == {}
