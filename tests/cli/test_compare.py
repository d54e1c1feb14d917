"""`attntrace compare`: one block, many ways."""

from __future__ import annotations

import csv
import json
from io import StringIO

import pytest

import attntrace
from attntrace import api
from attntrace.cli.compare import ways
from attntrace.cli.request import SETTINGS
from attntrace.cli.subject import FLAGS

SMALL = ("--batch", 3, "--tokens", 10)
HEADS_3 = (
    "--heads 3: chan 64 is not divisible by heads 3 (64 = 3*21 + 1); nearest heads that divide 64: "
    "2, 4. Or set head_dim"
)


def labels(**given):
    """Return the labels of the ways that some flags ask for."""
    return [
        way.label
        for way in ways({**dict.fromkeys([*SETTINGS, *FLAGS.values(), "sets", "files"]), **given})
    ]


def rows(text):
    """Return the rows of CSV."""
    return list(csv.DictReader(StringIO(text)))


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"impl": "eager,sdpa", "heads": "4"}, ["impl eager", "impl sdpa"]),
        (
            {"impl": "eager,sdpa", "dropout": "0,0.1"},
            [f"impl {i}, dropout {d}" for i in ("eager", "sdpa") for d in ("0", "0.1")],
        ),
        ({"mask": "none,[causal,padding]"}, ["mask none", "mask causal,padding"]),
        ({"kv_heads": "1, 2"}, ["kv-heads 1", "kv-heads 2"]),
        ({"as_device": "cpu,cuda"}, ["as cpu", "as cuda"]),
        ({"sets": ["norm.kind=layernorm,rmsnorm"]}, ["norm.kind layernorm", "norm.kind rmsnorm"]),
        ({"sets": ["image.kernels=[7,3,3],[5,3]"]}, ["image.kernels [7,3,3]", "image.kernels [5,3]"]),
        ({"files": ["gpt2", "a.yaml"]}, ["gpt2", "a.yaml"]),
        ({"files": ["gpt2"], "layers": "1,2"}, ["layers 1", "layers 2"]),
        ({"files": ["gpt2"]}, ["gpt2"]),
        ({}, ["block"]),
    ],
    ids=str,
)  # fmt: skip
def test_ways(given, expected):
    """A way is called by what sets it apart: every combination of values, brackets kept whole."""
    assert labels(**given) == expected


def test_figures_are_those_of_the_runs(invoke):
    """Each row has the figures of that run from Python, in train mode and followed backward."""
    ended = invoke("compare", *SMALL, "--heads", 4, "--impl", "eager,sdpa", "--format", "csv")
    assert (ended.code, ended.err) == (0, "")
    for impl, row in zip(("eager", "sdpa"), rows(ended.out), strict=True):
        spec = {"heads": 4, "batch": 3, "tokens": 10, "attention": {"impl": impl}}
        trace = attntrace.run({**spec, "run": {"grad": True, "mode": "train"}})
        assert row["variant"] == f"impl {impl}"
        for name in ("peak_nbytes", "training_peak_nbytes", "saved_for_backward_nbytes"):
            assert int(row[name]) == getattr(trace.memory, name), name
        assert int(row["parameters"]) == trace.memory.parameters


def test_the_table(invoke):
    """The smallest of a column that differs is marked, and the differences are told."""
    head, title, *lines = invoke(
        "compare", *SMALL, "--heads", 4, "--impl", "eager,sdpa"
    ).out.splitlines()
    assert head.startswith(
        "attention: batch 3 tokens 10 dim 49 chan 64 heads 4 head_dim 16 | train"
    )
    assert title.split("  ")[0] == "variant"
    assert lines[0].count("*") + lines[1].count("*") == 3
    assert lines[2] == "impl sdpa, against impl eager"
    assert lines[3].startswith("- holds ")
    assert lines[-1].startswith("- not here: ")


def test_markdown_marks_with_bold(invoke):
    """In Markdown the best is bold, and every line of the table has the same columns."""
    out = invoke(
        "compare", *SMALL, "--heads", 4, "--impl", "eager,sdpa", "--format", "markdown"
    ).out
    table = [line for line in out.splitlines() if line.startswith("|")]
    assert out.count("**") == 6
    assert {line.count("|") for line in table} == {8}


def test_without_grad(invoke):
    """With --no-grad nothing is followed backward, and its columns are gone."""
    out = invoke("compare", *SMALL, "--impl", "eager,sdpa", "--no-grad").out
    assert "training peak" not in out
    assert "| eval, no grad |" in out


def test_what_only_training_has(invoke):
    """An optimizer and checkpointing need no --grad here; with --no-grad they are refused."""
    for flags in (("--checkpoint",), ("--optimizer", "none,adamw")):
        ended = invoke("compare", *SMALL, *flags)
        assert (ended.code, "not run" in ended.out, ended.err) == (0, False, "")
    assert invoke("compare", *SMALL, "--checkpoint", "--no-grad").code == 2


def test_a_column_for_what_differs(invoke):
    """Dtype is a column where it differs, and in the heading where it does not."""
    different = invoke("compare", *SMALL, "--dtype", "float32,bfloat16").out.splitlines()
    same = invoke("compare", *SMALL, "--impl", "eager,sdpa", "--dtype", "bfloat16").out.splitlines()
    assert ("dtype" in different[1], "float32" in different[0]) == (True, False)
    assert ("dtype" in same[1], "bfloat16" in same[0]) == (False, True)


def test_json_has_the_parts(invoke):
    """JSON holds figures and specs, and differences that add up to those of the figures."""
    document = json.loads(
        invoke("compare", *SMALL, "--heads", 4, "--impl", "eager,sdpa", "--format", "json").out
    )
    first, second = document["variants"]
    (against,) = document["against_first"]
    for name in ("peak_nbytes", "training_peak_nbytes", "saved_for_backward_nbytes"):
        more = sum(d["second"] - d["first"] for d in against["differences"][name])
        assert more == second[name] - first[name]
    assert (first["spec"]["attention"]["impl"], document["not_run"]) == ("eager", [])


def test_files_side_by_side(invoke, tmp_path, monkeypatch):
    """Two files are two runs; a flag wins over both."""
    monkeypatch.chdir(tmp_path)
    for name, heads in (("a.yaml", 2), ("b.yaml", 4)):
        (tmp_path / name).write_text(f"heads: {heads}\ntokens: 7\n")
    ended = invoke("compare", "a.yaml", "b.yaml", "--batch", 2, "--format", "json")
    document = json.loads(ended.out)
    found = [(v["label"], v["spec"]["heads"], v["spec"]["batch"]) for v in document["variants"]]
    assert found == [("a.yaml", 2, 2), ("b.yaml", 4, 2)]


def test_what_is_refused_is_listed(invoke):
    """A combination that the rules refuse is listed with its reason, and the others run."""
    ended = invoke("compare", *SMALL, "--heads", "4,3,2")
    assert (ended.code, ended.err) == (0, "")
    assert f"not run\n- heads 3: {HEADS_3}\n" in ended.out
    assert "heads 2, against heads 4" in ended.out


def test_a_value_that_there_is_not_is_a_mistake(invoke):
    """What no setting knows is bad input, though other combinations could run."""
    ended = invoke("compare", "--heads", "4", "--impl", "eager,sdap")
    assert (ended.code, ended.out) == (2, "")
    assert "--impl sdap: impl must be one of eager, sdpa, torch; got 'sdap'" in ended.err


def test_all_refused(invoke):
    """Where all are refused the exit code is 2, and each reason stands once."""
    ended = invoke("compare", "--heads", 3, "--impl", "eager,sdpa")
    assert (ended.code, ended.out) == (2, "")
    assert ended.err == f"attntrace: 1 problem with the settings\n  {HEADS_3}\n"


@pytest.mark.usefixtures("failing_forward")
def test_one_that_fails(invoke):
    """Where one forward fails, the others are shown, the failure listed, and the exit code is 3."""
    ended = invoke("compare", *SMALL, "--heads", 4, "--impl", "eager,sdpa")
    assert ended.code == 3
    assert "impl sdpa" in ended.out
    assert "not run\n- impl eager: matmul failed in attention.attend" in ended.out


def test_bad_output_flags(invoke, tmp_path):
    """A format that there is not, and a file that cannot be written, are refused before any run."""
    ended = invoke("compare", "--format", "xml", "-o", tmp_path)
    assert (ended.code, ended.out, ended.err) == (
        2,
        "",
        (
            "attntrace: 2 problems with the settings\n"
            "  --format xml: format must be one of table, json, csv, markdown; got 'xml'\n"
            f"  -o {tmp_path}: is a directory; name a file in it\n"
        ),
    )


def test_a_file_gets_the_table(invoke, tmp_path):
    """With -o the table is in the file, word for word, and only a note on stderr."""
    args = ("compare", *SMALL, "--impl", "eager,sdpa")
    file = tmp_path / "table.txt"
    ended = invoke(*args, "-o", file)
    assert (ended.out, ended.err) == ("", f"wrote {file}\n")
    assert file.read_text() == invoke(*args).out


def test_a_terminal_gets_every_figure(terminal):
    """On a terminal, however narrow, no figure is cut."""
    args = [str(arg) for arg in ("compare", *SMALL, "--heads", 4, "--impl", "eager,sdpa")]
    shown = terminal(*args, columns=60)
    assert "…" not in shown
    for row in shown.splitlines()[2:]:
        if row.startswith(("impl eager ", "impl sdpa ")) and "KiB" in row:
            assert row.count("KiB") == 3


def test_a_run_sees_the_seed(invoke, monkeypatch):
    """Every setting reaches the run."""
    seeds = []
    original = api.run

    def watched(spec, **more):
        seeds.append(spec.run.seed)
        return original(spec, **more)

    monkeypatch.setattr(api, "run", watched)
    invoke("compare", *SMALL, "--seed", "1,7")
    assert seeds == [1, 7]
