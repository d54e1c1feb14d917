"""0 fine, 2 the user's mistake, 3 the block's, 101 ours; a traceback only for ours."""

from __future__ import annotations

import csv
import json
import os
import re
from io import StringIO
from pathlib import Path

import pytest

from attntrace.blocks import attention

HEADS_3 = (
    "attntrace: 1 problem with the settings\n"
    "  --heads 3: chan 64 is not divisible by heads 3 (64 = 3*21 + 1); "
    "nearest heads that divide 64: 2, 4. Or set head_dim\n"
)
FAILURE = re.compile(
    r"attntrace: matmul failed in attention\.attend at .*conftest\.py:\d+: RuntimeError: "
    r"Expected size for first two dimensions of batch2 tensor to be: \[52, 16\] "
    r"but got: \[52, 100\]\.\n"
)


def broken(*args, **kwargs):
    raise RuntimeError("a wire is loose")


def forbidden(*args, **kwargs):
    raise PermissionError(13, "Permission denied")


def test_a_run_that_is_fine(invoke):
    """A run that works exits with 0 and says nothing on stderr."""
    ended = invoke("run", "--heads", 4)
    assert (ended.code, ended.err) == (0, "")


def test_bad_settings(call_main):
    """Settings that describe no block exit with 2: the message on stderr and nothing else."""
    ended = call_main("run", "--heads", 3)
    assert (ended.code, ended.out, ended.err) == (2, "", HEADS_3)


def test_every_problem_of_every_source_at_once(invoke, tmp_path):
    """Problems of the file, `--set`, flags and output flags come in one message."""
    file = tmp_path / "block.yaml"
    file.write_text("hedas: 4\n")
    ended = invoke(
        "run", file, "--tokens", -3, "--set", "run.sed=7", "--level", "deep", "--format", "xml",
        "--columns", "shape,size", "-o", tmp_path,
    )  # fmt: skip
    head, *lines = ended.err.splitlines()
    assert (ended.code, ended.out) == (2, "")
    assert head == "attntrace: 7 problems with the settings"
    assert sorted(lines) == sorted([
        f"  {file}:1:1: unknown key 'hedas'; did you mean 'heads'?",
        "  --tokens -3: tokens must be a whole number >= 1, got -3",
        "  --set run.sed=7: unknown key 'run.sed'; did you mean 'run.seed'?",
        "  --level deep: level must be one of module, op, kernel; got 'deep'",
        "  --format xml: format must be one of table, json, csv, markdown; got 'xml'",
        ("  --columns shape,size: no column 'size'; there are #, tensor, op, shape, axes, dtype, "
         "memory, from, formula, bytes, new, hidden, saved, grad, alive, scratch, flops, stride, "
         "device, module, source, line, inputs, seen_by"),
        f"  -o {tmp_path}: is a directory; name a file in it",
    ])  # fmt: skip


@pytest.mark.parametrize(
    "args", [["run", "--bogus", "3"], ["bogus"], ["run", "--heads"], ["run", "a.yaml", "b.yaml"]]
)
def test_flags_that_are_none(args, call_main):
    """What the flag parser itself refuses exits with 2, says so, and has no traceback."""
    ended = call_main(*args)
    assert (ended.code, ended.out) == (2, "")
    assert "─ Error ─" in ended.err
    assert "Traceback" not in ended.err


def test_a_missing_file(call_main):
    """A file that is not there exits with 2."""
    ended = call_main("run", "none.yaml")
    assert (ended.code, ended.out, ended.err) == (
        2,
        "",
        ("attntrace: 1 problem\n  none.yaml: cannot be read: No such file or directory\n"),
    )


def test_a_file_without_permission_hides_no_other_problem(invoke, tmp_path, monkeypatch):
    """A file that may not be read is one problem among the others."""
    file = tmp_path / "block.yaml"
    file.write_text("heads: 4\n")
    monkeypatch.setattr(os, "access", lambda path, mode: mode != os.R_OK)
    monkeypatch.setattr(Path, "read_text", forbidden)
    ended = invoke("run", file, "--batch", 0)
    assert (ended.code, ended.out, ended.err) == (
        2,
        "",
        (
            "attntrace: 2 problems with the settings\n"
            f"  {file}: cannot be read: Permission denied\n"
            "  --batch 0: batch must be a whole number >= 1, got 0\n"
        ),
    )


@pytest.mark.usefixtures("failing_forward")
def test_a_forward_that_raises(call_main):
    """A forward that raises exits with 3, the table up to there on stdout, the reason on stderr."""
    ended = call_main("run", "--heads", 4, "--format", "csv")
    rows = list(csv.DictReader(StringIO(ended.out)))
    assert ended.code == 3
    assert [row["tensor"] for row in rows] == [
        "x",
        "qkv",
        "qkv_split",
        "qkv_stack",
        "q",
        "k",
        "v",
        "q_scaled",
    ]
    *panel, brief = ended.err.splitlines(keepends=True)
    assert panel[0].startswith("attntrace: matmul failed in attention.attend at ")
    assert FAILURE.fullmatch(brief)


@pytest.mark.usefixtures("failing_forward")
def test_a_forward_that_raises_names_its_operands(call_main):
    """Below the table stand the line that failed and both operands."""
    ended = call_main("run", "--heads", 4)
    assert FAILURE.fullmatch(ended.err)
    at = next(
        n for n, line in enumerate(ended.out.splitlines()) if line.startswith("matmul failed")
    )
    line, mark, *operands = ended.out.splitlines()[at + 1 : at + 5]
    assert line.strip().endswith("lambda self, q, k: q @ k)")
    assert line[mark.index("^") : mark.rindex("^") + 1] == "q @ k"
    assert [operand.split("cpu")[0] for operand in operands] == [
        "  q  (13, 4, 100, 16)  (batch, heads, tokens, head_dim)  float32  ",
        "  k  (13, 4, 100, 16)  (batch, heads, tokens, head_dim)  float32  ",
    ]  # fmt: skip


@pytest.mark.usefixtures("failing_forward")
def test_a_forward_that_raises_is_whole_json(call_main):
    """Also where the forward raises, JSON on stdout is one document, with the failure in it."""
    ended = call_main("run", "--heads", 4, "--format", "json")
    document = json.loads(ended.out)
    assert ended.code == 3
    assert (document["diagnosis"]["error"], document["diagnosis"]["op"]) == (
        "RuntimeError",
        "matmul",
    )


@pytest.mark.usefixtures("failing_forward")
def test_debug_shows_where_it_was_raised(call_main):
    """With `--debug` a traceback comes before the message."""
    ended = call_main("run", "--heads", 4, "--debug")
    assert ended.code == 3
    assert ended.err.startswith("Traceback (most recent call last):\n")
    assert FAILURE.search(ended.err)


def test_debug_shows_the_traceback_of_a_settings_error(call_main):
    """With `--debug` a mistake of the user has a traceback too, and its own exit code."""
    ended = call_main("run", "--heads", 3, "--debug")
    assert ended.code == 2
    assert ended.err.startswith("Traceback (most recent call last):\n")
    assert ended.err.endswith(HEADS_3)


def test_a_block_that_cannot_be_built(call_main, monkeypatch):
    """A block that torch cannot build exits with 3 and torch's reason, in one line."""
    monkeypatch.setattr(attention.nn, "Linear", broken)
    ended = call_main("run")
    assert (ended.code, ended.out, ended.err) == (
        3,
        "",
        "attntrace: the block could not be built: a wire is loose\n",
    )


def test_what_torch_adds_below_its_message_is_left_out(call_main):
    """Sizes that overflow exit with 3 and one line, without the frames of C++."""
    ended = call_main("run", "--device", "meta", "--chan", 10**30)
    assert ended.code in (2, 3)
    assert "frame #" not in ended.err


def test_a_bug_of_ours(call_main, monkeypatch):
    """Anything unforeseen exits with 101, with a traceback and a request to report it."""
    monkeypatch.setattr("attntrace.api.graph.run", broken)
    ended = call_main("run")
    assert (ended.code, ended.out) == (101, "")
    assert ended.err.startswith("Traceback (most recent call last):\n")
    assert ended.err.endswith(
        "attntrace: this is a bug in attntrace, not in your block: RuntimeError: a wire is loose\n"
        "Please report it with the lines above.\n"
    )


def test_locals_are_never_shown(call_main, monkeypatch):
    """The traceback of a bug does not show the values of variables."""
    monkeypatch.setattr("attntrace.api.graph.run", broken)
    err = call_main("run", "--seed", 424_242).err
    assert "424242" not in err


def test_a_config_error_leaves_nothing_behind(invoke, tmp_path, monkeypatch):
    """With an output file and bad settings, no file is written."""
    monkeypatch.chdir(tmp_path)
    assert invoke("run", "--heads", 3, "-o", "table.txt").code == 2
    assert list(tmp_path.iterdir()) == []
