"""The Trace object and the doors of the Python API."""

from __future__ import annotations

import copy
import pickle
import sys
from dataclasses import fields
from io import StringIO
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
import torch
from rich.console import Console
from rich.text import Text

import attntrace
from attntrace.record import TensorRecord
from attntrace.render import View, print_report
from attntrace.render.html import STYLE


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


def test_rows_by_number(trace):
    """A number and a slice are those of the rows; one too high is an error with how many there are."""
    assert trace[3] is trace.tensors[3]
    assert trace[-1].name == "out"
    assert trace[2:5] == trace.tensors[2:5]
    with pytest.raises(IndexError) as caught:
        trace[18]
    assert str(caught.value) == "no row 18; there are 18"


def test_a_name_that_comes_near(trace):
    """A wrong name is answered by what was meant; of very many rows the names are not listed."""
    with pytest.raises(KeyError) as near:
        trace["scroes"]
    assert near.value.args == ("no tensor 'scroes'; did you mean 'scores'?",)

    many = attntrace.trace(lambda *xs: xs, *torch.ones(31, 2).unbind())
    with pytest.raises(KeyError) as far:
        many["scores"]
    assert far.value.args == ("no tensor 'scores'; none of 31 is near",)


def test_repr_and_html(trace):
    """A prompt shows one line, print the table, a notebook HTML with a style and no colour."""
    assert repr(trace) == "<Trace of AttentionBlock: 18 tensors, 37 ops>"
    assert str(trace).startswith("attention: batch 13 tokens 100 ")
    assert trace._repr_html_() == STYLE + trace.to_html()
    assert trace.to_html().startswith("<table class='attntrace'>")
    assert trace.to_html().count("<tr class='tensor peak'>") == 1
    assert "background" not in STYLE


def test_a_notebook_escapes_names():
    """What a name holds is text, and the whole is well-formed."""
    shown = attntrace.trace(lambda x: x < 3, torch.ones(2))._repr_html_()
    tree = ET.fromstring(f"<div>{shown}</div>")  # noqa: S314 - our own text
    assert "x < 3" in {cell.text for cell in tree.iter("td")}


@pytest.mark.parametrize("width", [60, 90, 200])
def test_rich_prints_the_table(trace, width):
    """`rich.print` shows what the command line shows, at the width of the console."""
    shown, printed = StringIO(), StringIO()
    Console(file=shown, width=width, force_terminal=True).print(trace)
    print_report(trace.facts, View(), Console(file=printed, width=width, force_terminal=True))
    tables = [text.getvalue().split("parameters")[0].splitlines() for text in (shown, printed)]
    heads = [[line for line in table if "tensor" in line] for table in tables]
    assert heads[0] == heads[1] != []
    assert tables[0][-19:] == tables[1][-19:]
    assert all(
        len(Text.from_ansi(line)) <= max(width, 60) for line in shown.getvalue().splitlines()
    )


def test_a_part_of_the_table(trace):
    """Options are those of the view: which columns, how deep, what matches."""
    table = trace.to_text(columns="#,tensor", only="*scores", fold=False)
    lines = table.splitlines()
    assert lines[1].split() == ["#", "tensor"]
    assert [line.split()[-1] for line in lines if line[:2].strip().isdigit()] == ["scores"]
    assert trace.to_csv(columns=("tensor", "bytes")).splitlines()[1] == "x,254800"
    assert "| probs |" not in trace.to_markdown(columns=["shape"])
    assert "<th>formula</th>" in trace.to_html(explain=True)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"foldd": False}, TypeError, "a table has no option 'foldd'; did you mean 'fold'?"),
        ({"columns": "shap"}, ValueError, "a table has no column 'shap'; did you mean 'shape'?"),
        ({"level": "ops"}, ValueError, "a table has no level 'ops'; did you mean 'op'?"),
        ({"level": 3}, ValueError, "a table has no level 3; there are module, op, kernel"),
    ],
)
def test_options_that_are_none(trace, options, error, message):
    """A wrong option is refused by every format with what was meant."""
    for show in (trace.to_text, trace.to_markdown, trace.to_csv, trace.to_html):
        with pytest.raises(error) as caught:
            show(**options)
        assert str(caught.value) == message


def test_a_data_frame(trace):
    """A line a row, a column a field; numbers that may be missing stay whole numbers."""
    pandas = pytest.importorskip("pandas")
    frame = trace.to_pandas()
    assert isinstance(frame, pandas.DataFrame)
    assert list(frame.columns) == [item.name for item in fields(TensorRecord)]
    assert list(frame.name) == [row.name for row in trace]
    assert frame.shape[0] == len(trace)
    assert str(frame.flops.dtype) == str(frame.nbytes.dtype) == "Int64"
    assert frame[frame.op == "softmax"]["shape"].tolist() == [(13, 4, 100, 100)]
    assert frame.allocated_nbytes.sum() == trace.memory.allocated_nbytes
    assert attntrace.trace(lambda: None).to_pandas().shape == (0, len(frame.columns))


def test_without_pandas(trace, monkeypatch):
    """Where pandas is missing the error says what to install."""
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(ImportError) as caught:
        trace.to_pandas()
    assert str(caught.value) == "to_pandas() needs pandas: pip install 'attntrace[pandas]'"
    assert caught.value.name == "pandas"


def test_a_forward_error_can_be_pickled_and_has_all():
    """The error has the trace up to there, the diagnosis and the cause; its copies have the facts."""
    with pytest.raises(attntrace.ForwardError) as caught:
        attntrace.trace(lambda x, y: x @ y, torch.ones(2, 3), torch.ones(2, 3))
    error = caught.value
    assert error.diagnosis is error.trace.diagnosis
    assert error.diagnosis.op == "matmul"
    assert [(one.name, one.shape) for one in error.diagnosis.operands] == [("x", (2, 3)), ("y", (2, 3))]  # fmt: skip
    assert isinstance(error.__cause__, RuntimeError)
    assert [row.name for row in error.trace] == ["x", "y"]
    for again in (_pickled(error), copy.deepcopy(error)):
        assert str(again) == str(error)
        assert again.trace.facts == error.trace.facts
        assert "RuntimeError: mat1 and mat2 shapes cannot be multiplied (2x3 and 2x3)" in str(again)


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
