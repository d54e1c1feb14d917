"""stdout holds the result, the whole result and nothing else."""

from __future__ import annotations

import csv
import json
from io import StringIO
from pathlib import Path

import pytest
import torch

from attntrace import api


def words(shown):
    """Return shown settings as lines without what lines them up."""
    return [" ".join(line.split()) for line in shown.splitlines()]


TABLE_KEYS = ["#", "tensor", "op", "shape", "axes", "dtype", "memory", "from"]


def test_json_is_the_whole_answer(process):
    """JSON on stdout is one document that describes the run, with nothing around it."""
    ended = process("run", "--heads", 4, "--format", "json")
    document = json.loads(ended.out)
    assert (ended.code, ended.err) == (0, "")
    assert ended.out.startswith("{")
    assert ended.out.endswith("}\n")
    assert document["schema_version"] == 1
    assert document["spec"]["heads"] == 4
    assert document["sizes"]["head_dim"] == 16
    assert document["environment"]["torch"] == torch.__version__
    assert {"tensors", "ops", "modules", "storages", "memory"} <= document.keys()


def test_json_is_read_back_from_stdout(invoke):
    """What the command line prints as JSON, Python reads as a trace."""
    trace = api.Trace.from_json(invoke("run", "--heads", 4, "--format", "json").out)
    assert trace["scores"].shape == (13, 4, 100, 100)


def test_csv_parses(invoke):
    """CSV on stdout has a header, and a line for each of the 18 tensors."""
    rows = list(csv.reader(StringIO(invoke("run", "--heads", 4, "--format", "csv").out)))
    assert rows[0] == TABLE_KEYS
    assert [row[0] for row in rows[1:]] == [str(n) for n in range(18)]


def test_columns_are_the_ones_asked_for(invoke):
    """`--columns` names the columns, in its order, spaces or not."""
    ended = invoke("run", "--columns", "shape, tensor,bytes", "--format", "csv")
    assert ended.out.splitlines()[:2] == ["shape,tensor,bytes", '"(13, 100, 49)",x,254800']


def test_columns_help_needs_no_run(invoke, monkeypatch):
    """`--columns help` lists every column with its meaning, and runs nothing."""
    monkeypatch.setattr(api, "run", None)
    ended = invoke("run", "--columns", "help")
    lines = ended.out.splitlines()
    assert (ended.code, ended.err) == (0, "")
    assert lines[0] == "#          number of the row, in execution order"
    assert [line.split()[0] for line in lines][:8] == TABLE_KEYS
    assert all(len(line.split()) > 2 for line in lines)


def test_explain_adds_the_formulas(invoke):
    """`--explain` adds a column with the formula of each tensor."""
    rows = list(csv.DictReader(StringIO(invoke("run", "--explain", "--format", "csv").out)))
    assert rows[0].keys() == {*TABLE_KEYS, "formula"}
    assert all(row["formula"].startswith(f"{row['tensor']} = ") for row in rows if row["formula"])


def test_source_adds_file_line_and_text(invoke):
    """`--source` adds where each call stands, and the line that stands there."""
    rows = list(csv.DictReader(StringIO(invoke("run", "--source", "--format", "csv").out)))
    assert rows[0].keys() == {*TABLE_KEYS, "source", "line"}
    assert (rows[0]["source"], rows[0]["line"]) == ("", "")
    for row in rows[1:]:
        file, _, number = row["source"].rpartition(":")
        assert Path(file).read_text().splitlines()[int(number) - 1].strip() == row["line"]


def test_levels_nest(invoke):
    """Each level shows every row of the one above it, and more."""
    lines = {}
    for level in ("module", "op", "kernel"):
        out = invoke("run", "--level", level, "--format", "csv").out
        lines[level] = set(out.splitlines())
    assert lines["module"] < lines["op"] < lines["kernel"]


def test_not_a_terminal_is_never_truncated(process):
    """In a pipe neither a narrow COLUMNS nor FORCE_COLOR shortens or colours a line."""
    wide = process("run", "--heads", 4)
    narrow = process("run", "--heads", 4, COLUMNS="40", TERM="xterm-256color", FORCE_COLOR="1")
    assert narrow.out == wide.out
    assert "\x1b" not in narrow.out
    assert "…" not in narrow.out
    assert max(map(len, narrow.out.splitlines())) > 120


def test_show_config_runs_nothing(invoke, monkeypatch):
    """`--show-config` prints the settings and their origins, and does not run."""
    monkeypatch.setattr(api, "run", None)
    ended = invoke("run", "--heads", 4, "--show-config")
    assert (ended.code, ended.err) == (0, "")
    assert "heads: 4 # --heads 4" in words(ended.out)


def test_what_was_left_out_is_said_on_stderr(invoke):
    """A preset's setting that a flag took the meaning from is a note on stderr, one a line."""
    notes = (
        "attntrace: note: gpt2.yaml:13:3: impl=sdpa scales inside its kernel; attention.scale_at "
        "scores is left out\n"
        "attntrace: note: gpt2.yaml:18:3: impl=sdpa fills with -inf, got fill min; mask.fill min "
        "is left out\n"
    )
    ended = invoke("run", "gpt2", "--impl", "sdpa", "--device", "meta", "--format", "json")
    assert (ended.code, ended.err) == (0, notes)
    assert json.loads(ended.out)["spec"]["attention"]["scale_at"] == "q"
    shown = invoke("run", "gpt2", "--impl", "sdpa", "--show-config")
    assert (shown.code, shown.err) == (0, notes)
    assert "scale_at" not in shown.out
    assert "fill" not in shown.out


def test_a_config_json_runs(invoke, tmp_path):
    """A config.json with another project's names runs, with notes of what it says in vain."""
    file = tmp_path / "config.json"
    file.write_text(
        '{"model_type": "x", "hidden_size": 48, "num_attention_heads": 6,\n "rope_theta": 1e6}'
    )
    ended = invoke("run", file, "--block", "decoder", "--format", "json")
    assert ended.code == 0
    assert json.loads(ended.out)["sizes"]["head_dim"] == 8
    assert ended.err == (
        f"attntrace: note: {file}:1:2: model_type says nothing about a shape; left out\n"
        f"attntrace: note: {file}:2:2 rope_theta: theta means nothing here; it goes with "
        "positions.kind rope, sinusoidal or sine-2d; positions.theta 1000000.0 is left out\n"
    )


@pytest.mark.parametrize(
    "order",
    [
        ["{file}", "--set", "heads=4", "--heads", "8"],
        ["--heads", "8", "{file}", "--set", "heads=4"],
        ["--heads", "8", "--set", "heads=4", "{file}"],
        ["--set", "heads=4", "{file}", "--heads", "8"],
    ],
)
def test_a_flag_wins_wherever_it_stands(order, invoke, tmp_path):
    """The order on the command line decides nothing: the flag beats `--set`, and that the file."""
    file = tmp_path / "block.yaml"
    file.write_text("heads: 2\n")
    args = [word.format(file=file) for word in order]
    shown = invoke("run", "--show-config", *args).out
    assert "heads: 8 # --heads 8" in words(shown)


@pytest.mark.parametrize(
    ("flag", "line"),
    [
        (["--batch", 7], "batch: 7 # --batch 7"),
        (["--tokens", 90], "tokens: 90 # --tokens 90"),
        (["--dim", 48], "dim: 48 # --dim 48"),
        (["--chan", 60], "chan: 60 # --chan 60"),
        (["--head-dim", 10], "head_dim: 10 # --head-dim 10"),
        (["--heads", 4, "--kv-heads", 2], "kv_heads: 2 # --kv-heads 2"),
        (["--block", "encoder"], "block: encoder # --block encoder"),
        (["--block", "encoder", "--layers", 3], "layers: 3 # --layers 3"),
        (["--qkv-bias"], "qkv_bias: true # --qkv-bias true"),
        (["--no-qkv-bias"], "qkv_bias: false # --qkv-bias false"),
        (["--qk-scale", "0.0"], "qk_scale: 0.0 # --qk-scale 0.0"),
        (["--skip", "none"], "skip: none # --skip none"),
        (["--impl", "sdpa"], "impl: sdpa # --impl sdpa"),
        (["--device", "meta"], "device: meta # --device meta"),
        (["--dtype", "bfloat16"], "dtype: bfloat16 # --dtype bfloat16"),
        (["--seed", 7], "seed: 7 # --seed 7"),
        (["--train"], "mode: train # --mode train"),
        (["--eval"], "mode: eval # --mode eval"),
        (["--grad"], "grad: true # --grad true"),
        (["--no-grad"], "grad: false # --grad false"),
    ],
)
def test_every_flag_sets_its_field(flag, line, invoke):
    """Each flag reaches the field that it is named after."""
    assert line in words(invoke("run", "--show-config", *flag).out)
