"""`attntrace diff`: two sides of every kind, what sets them apart, and what is refused."""

from __future__ import annotations

import json
import os
import threading
from dataclasses import replace

import pytest

import attntrace
from attntrace.analysis.snapshot import snapshot_of
from attntrace.record.snapshot_text import to_text
from tests.repository import CONFIG, MODEL, Repository, alone

BLOCK = "chan: 64\nbatch: 3\ntokens: 5\n"
FAILS = MODEL.replace(".transpose(-2, -1)", "")


@pytest.fixture
def repository(tmp_path, monkeypatch):
    """Work in a repository whose two commits have a block and code of the user's own."""
    alone(monkeypatch)
    made = Repository(tmp_path / "made")
    files = {"block.yaml": f"{BLOCK}heads: 2\n", "configs/own.yaml": CONFIG, "model.py": FAILS}
    made.commit(files)
    changed = MODEL.replace("heads=2", "heads=3").replace(".transpose(1, 2)", "")
    made.commit({"block.yaml": f"{BLOCK}heads: 4\n", "model.py": MODEL})
    made.write({"model.py": changed})
    monkeypatch.chdir(made.top)
    return made


def lines(text):
    """Return the lines of what was said."""
    return text.splitlines()


def test_a_block_then_and_now(repository, invoke):
    """A config of a commit is run beside that of today; that they differ is exit code 1."""
    commit = repository.git("rev-parse", "--short=7", "HEAD~1")
    ended = invoke("diff", "HEAD~1:", "block.yaml")
    assert (ended.code, ended.err) == (1, "")
    before, after, *told = lines(ended.out)
    assert (before, after) == (f"before: HEAD~1:block.yaml ({commit})", "after:  block.yaml")
    assert told[:2] == ["! size heads 2 -> 4", "! size head_dim 32 -> 16"]
    q = "! attention.project.q: (batch, 2 -> 4 heads, tokens, 32 -> 16 head_dim)"
    assert q in told
    assert told[-1].startswith("  the same: parameters 13,568, rows 18")


def test_the_same(repository, invoke):
    """Where nothing differs it says in how much, in every format, with exit code 0."""
    ended = invoke("diff", "HEAD:", "block.yaml", "--set", "heads=8")
    assert (ended.code, ended.err) == (0, "")
    *_, same = lines(ended.out)
    assert same.startswith("the same: parameters 13,568, rows 18, bytes of all rows ")
    assert invoke("diff", "HEAD:", "block.yaml", "--set", "heads=8", "--format", "markdown").out \
        .endswith(f"`block.yaml`\n\n{same}\n")  # fmt: skip
    document = json.loads(invoke("diff", "HEAD:", "block.yaml", "--format", "json").out)
    assert (document["differs"], document["after"], document["rows"]) == (False, "block.yaml", [])


def test_code_then_and_now(repository, invoke, tmp_path):
    """Both versions of the same file are run; what changed in it is told, and where to."""
    report = tmp_path / "report.json"
    told = invoke("diff", "HEAD:configs/own.yaml", "configs/own.yaml", "--format", "json",
                  "-o", report)  # fmt: skip
    assert (told.code, told.out, told.err) == (1, "", f"wrote {report}\n")
    document = json.loads(report.read_text())
    by_name = {change["before"]["name"]: change for change in document["rows"] if change["before"]}
    k = by_name["k"]
    assert (k["what"], k["before"]["shape"], k["after"]["shape"]) == (
        "changed", [5, 2, 7, 12], [5, 3, 7, 8],
    )  # fmt: skip
    assert by_name["(probs @ v).transpose(1, 2)"]["what"] == "removed"


def test_code_that_failed_then(repository, invoke, monkeypatch):
    """A side whose forward raises is named, with its panel, and exit code 3."""
    monkeypatch.chdir(repository.top / "configs")
    ended = invoke("diff", "own.yaml", "HEAD~1:")
    commit = repository.git("rev-parse", "--short=7", "HEAD~1")
    assert (ended.code, ended.out) == (3, "")
    assert lines(ended.err)[:3] == [
        f"attntrace: HEAD~1:own.yaml ({commit}) did not run",
        "matmul failed at HEAD~1:model.py:15",
        "    probs = (q @ k).softmax(-1)",
    ]
    assert "attntrace-" not in ended.err


def test_code_named_on_the_command_line(repository, invoke):
    """A target is compared with itself at a revision, and with other code, from any folder."""
    inputs = ("--input", "x=2,3,24")
    ended = invoke("diff", "HEAD:model.py:Attention", "model.py:Attention", *inputs, "--init",
                   "heads=4")  # fmt: skip
    assert (ended.code, ended.err) == (1, "")
    marks = ("+", "-", "~", "!")
    told = [line for line in lines(ended.out) if line.startswith(marks) and "B" not in line]
    assert told == ["! rows 14 -> 13 (1 less, -7.1 %)"]


@pytest.fixture(scope="module")
def run():
    """Return one run of a small block, as its trace."""
    return attntrace.run({"heads": 2, "batch": 3, "tokens": 5}, axes=True)


@pytest.fixture
def saved(run, tmp_path, monkeypatch):
    """Work in a folder with that run, saved as a trace and as a baseline, and its config."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "run.json").write_text(run.to_json())
    (tmp_path / "base.yaml.json").write_text(to_text(snapshot_of(run.facts)))
    (tmp_path / "block.yaml").write_text("heads: 2\nbatch: 3\ntokens: 5\n")
    return tmp_path


def test_saved_runs(saved, run, invoke):
    """A saved trace and a baseline are the run that they hold, which is not run again."""
    for both in (("run.json", "base.yaml.json"), ("base.yaml.json", "block.yaml")):
        ended = invoke("diff", *both)
        assert (ended.code, ended.err) == (0, "")
        assert lines(ended.out)[2].startswith("the same: ")
    (saved / "wide.json").write_text(run.to_json(), encoding="utf-16")
    assert invoke("diff", "run.json", "wide.json").code == 0
    facts = replace(run.facts, parameters=7)
    (saved / "other.json").write_text(attntrace.Trace(lambda: facts).to_json())
    ended = invoke("diff", "run.json", "other.json")
    assert ended.code == 1
    assert any(line.startswith("! parameters ") and "-> 7" in line for line in lines(ended.out))


def test_two_saved_runs_need_no_torch(saved, process):
    """What was run already is compared without waiting for torch."""
    probe = (
        "import sys, attntrace.cli as cli\n"
        "try: cli.main()\n"
        "finally: sys.exit('torch' in sys.modules)"
    )
    ended = process("diff", "run.json", "base.yaml.json", python=("-c", probe))
    assert (ended.code, ended.err) == (0, "")
    assert lines(ended.out)[2].startswith("the same: ")


def test_a_pipe(saved, invoke, tmp_path):
    """What a shell makes of `<(attntrace run --format json)` is read as a saved trace."""
    os.mkfifo(tmp_path / "pipe")
    text = (tmp_path / "run.json").read_bytes()
    writer = threading.Thread(target=(tmp_path / "pipe").write_bytes, args=(text,))
    writer.start()
    assert invoke("diff", "pipe", "base.yaml.json").code == 0
    writer.join()


FOLDER = "is a folder, and diff is of two files; attntrace check runs all of a folder"
NEITHER = "neither a saved trace nor a baseline"
CUT = f"{NEITHER}: not JSON: Unterminated string starting at: line 1 column 23 (char 22)"
BINARY = (
    f"{NEITHER}: not JSON: 'utf-8' codec can't decode byte 0x89 in position 0: invalid start byte"
)
NEWER = "schema_version 99 is newer than the 1 that this attntrace reads; install a newer attntrace"


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("x.json", None, "cannot be read: No such file or directory"),
        ("folder.json", None, FOLDER),
        ("x.json", b'{"schema_version": 1, "tens', CUT),
        ("x.json", b"\x89PNG\r\n\x1a\n\x00", BINARY),
        ("x.json", b"[" * 100_000, f"{NEITHER}: nested too deeply"),
        ("x.json", b"[]", f"{NEITHER}: not a JSON object"),
        ("x.json", b'{"model_type": "gpt2"}', f"{NEITHER}: it has no schema_version"),
        ("x.json", b'{"schema_version": 99, "tensors": []}', NEWER),
        ("x.json", b'{"schema_version": 99, "rows": []}', NEWER),
        ("x.json", b'{"schema_version": 1, "tensors": 5}', "not a trace: subject: Field required"),
    ],
)
def test_files_that_are_no_run(name, content, message, saved, invoke):
    """A JSON file that is no run is refused by what it is, with exit code 2."""
    (saved / "folder.json").mkdir()
    if content is not None:
        (saved / name).write_bytes(content)
    ended = invoke("diff", "block.yaml", name)
    told = lines(ended.err)
    assert (ended.code, ended.out, told[-1].strip().removeprefix("attntrace: ")) == (
        2, "", f"{name}: {message}",
    )  # fmt: skip


def test_a_saved_run_that_failed(saved, invoke, failing_forward):
    """The trace of a forward that failed is no run to compare with."""
    with pytest.raises(attntrace.ForwardError) as caught:
        attntrace.run({"heads": 2, "batch": 3, "tokens": 5})
    (saved / "x.json").write_text(caught.value.trace.to_json())
    ended = invoke("diff", "x.json", "run.json")
    assert (ended.code, ended.out) == (2, "")
    assert ended.err.startswith("attntrace: x.json: its forward failed: ")


@pytest.mark.parametrize(
    ("args", "told"),
    [
        (["gpt", "block.yaml"],
         ["gpt: no preset or file 'gpt'; did you mean 'gpt2'? See attntrace presets"]),
        (["HEAD:block.yaml", "nowhere.yaml"],
         ["HEAD:block.yaml: a revision needs a git repository, and {here} is in none",
          "nowhere.yaml: cannot be read: No such file or directory"]),
        (["block.yaml", "block.yaml", "--format", "csv", "--tolerance", "2"],
         ["--format csv: format must be one of table, markdown, json; got 'csv'",
          "--tolerance 2: a part was expected, such as 1% or 0.01; got '2'; did you mean 2%?"]),
    ],
)  # fmt: skip
def test_what_is_refused(args, told, saved, invoke, monkeypatch):
    """Every mistake is told at once, before anything is run."""
    alone(monkeypatch)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(saved.parent))
    ended = invoke("diff", *args)
    count = "1 problem" if len(told) == 1 else f"{len(told)} problems"
    of = " with the settings" if "--tolerance" in args else ""
    said = [f"  {line.format(here=saved)}" for line in told]
    assert (ended.code, ended.out) == (2, "")
    assert lines(ended.err) == [f"attntrace: {count}{of}", *said]


def test_a_revision_without_a_file(repository, invoke):
    """Both are told what to write: a revision is no side."""
    ended = invoke("diff", "HEAD~1", "HEAD")
    assert (ended.code, lines(ended.err)) == (
        2,
        [
            "attntrace: 2 problems",
            "  HEAD~1: is a revision; of which file? Write HEAD~1:FILE.yaml",
            "  HEAD: is a revision; of which file? Write HEAD:FILE.yaml",
        ],
    )


def test_code_that_needs_more_says_the_flags_of_diff(repository, invoke):
    """What is suggested is this command with more flags."""
    ended = invoke("diff", "HEAD:model.py:Attention", "model.py:Attention", "--init", "heads=4")
    assert ended.code == 2
    assert lines(ended.err)[-1] == (
        "        attntrace diff HEAD:model.py:Attention model.py:Attention --init heads=4 "
        "--input x=2,16,24"
    )
