"""The Trace object and the doors of the Python API."""

from __future__ import annotations

import copy
import pickle
from pathlib import Path

import pytest
import torch

import attntrace


@pytest.fixture
def trace():
    """Return the trace of the article's layer."""
    return attntrace.run({"heads": 4})


def test_a_trace_is_a_sequence_of_rows_with_names(trace):
    """Names are looked up, rows are gone through and counted."""
    assert trace["scores"].shape == (13, 4, 100, 100)
    assert "scores" in trace
    assert "logits" not in trace
    assert [row.index for row in trace] == list(range(len(trace)))
    with pytest.raises(KeyError, match=r"no tensor 'logits'; there are x, qkv, qkv_split"):
        trace["logits"]


def test_repr_and_html(trace):
    """A prompt shows one line, print the table, a notebook HTML."""
    assert repr(trace) == "<Trace of AttentionBlock: 18 tensors, 37 ops>"
    assert str(trace).startswith("attention: batch 13 tokens 100 ")
    assert trace._repr_html_() == trace.to_html()
    assert trace.to_html().startswith("<table class='attntrace'>")


def test_the_output_is_what_the_module_returned(trace):
    """The output is the module's own, and goes back into no file."""
    assert tuple(trace.output.shape) == (13, 100, 64)
    read = attntrace.Trace.from_json(trace.to_json())
    assert read.facts == trace.facts
    assert read.output is None


def _pickled(trace):
    return pickle.loads(pickle.dumps(trace))  # noqa: S301 - our own bytes


@pytest.mark.parametrize("again", [_pickled, copy.copy, copy.deepcopy],
                         ids=["pickle", "copy", "deepcopy"])  # fmt: skip
def test_a_copy_holds_the_facts_and_not_the_output(again):
    """A trace can be pickled and copied, also one that autograd has a hold on."""
    trace = attntrace.trace(torch.nn.Linear(7, 5), torch.randn(3, 7))
    other = again(trace)
    assert other.facts == trace.facts
    assert other.memory == trace.memory
    assert other.output is None


def test_what_can_be_run():
    """A spec, a mapping of settings, and the path of a YAML file are the same block."""
    path = Path(__file__).parents[1] / "configs" / "multi-head.yaml"
    rows = [
        attntrace.run(given).tensors
        for given in (attntrace.load(path), path, str(path), {"heads": 4})
    ]
    assert rows[0] == rows[1] == rows[2] == rows[3]
    assert type(attntrace.build(path)) is type(attntrace.build({"heads": 4}))


def test_settings_that_are_none():
    """Python settings are judged as flags are."""
    with pytest.raises(attntrace.SettingsError) as caught:
        attntrace.run({"heads": 0, "atention": {"impl": "sdpa"}})
    assert str(caught.value) == (
        "heads=0: heads must be a whole number >= 1, got 0\n"
        "atention.impl='sdpa': unknown key 'atention'; did you mean 'attention'?"
    )


def test_a_setting_of_another_config_that_means_nothing_is_a_warning():
    """What is left out is said: of a config for rope, the length of a table that there is not."""
    given = {"block": "decoder", "positions": {"kind": "rope"}, "max_position_embeddings": 8192}
    with pytest.warns(UserWarning, match="max_position_embeddings.*left out"):
        spec = attntrace.load(heads=4, **given)
    assert spec.positions.max is None
