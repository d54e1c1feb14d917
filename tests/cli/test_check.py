"""`attntrace check`: flags, lines, formats, files, exit codes, and Ctrl-C."""

from __future__ import annotations

import json
import os
import pty
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from attntrace.checks import crew
from attntrace.cli.tolerance import tolerance_from
from attntrace.render.report import FORMATS
from tests.checks.small import BLOCK, OWN, code
from tests.cli.test_stop import read_until

ALONE = ("--jobs", 1)
RUN_ONLY = (*ALONE, "--no-baselines")
SECONDS = re.compile(r"\d+\.\d s")


@pytest.fixture
def write(tmp_path, monkeypatch):
    """Return a function that writes files below the current folder, their texts by name."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("GITHUB_STEP_SUMMARY", raising=False)

    def files(**texts):
        for name, text in texts.items():
            path = tmp_path / name.replace("_", ".")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        return tmp_path

    return files


@pytest.fixture
def folder(write):
    """Make configs of every kind: one that runs, one that fails, is refused, and is broken."""
    expects = f"{BLOCK}expect:\n  parameters: 5\n"
    raises = code(in_forward="self.one(x[:, 1:])")
    return write(a_yaml=BLOCK, b_yaml=expects, c_yaml="hedas: 2\n", d_yaml=OWN, block_py=raises)


def untimed(text):
    """Return a text without what no two runs have in common."""
    return SECONDS.sub("N s", text)


def test_a_line_a_config_and_what_is_wrong_below_it(folder, invoke):
    """People read what ran, the sentences of what failed, and what came of all."""
    ended = invoke("check", ".", *RUN_ONLY)
    lines = untimed(ended.out).splitlines()
    assert lines[:5] == [
        "ok       a.yaml  18 rows, 13,568 parameters  N s",
        "failed   b.yaml  18 rows, 13,568 parameters, 0 of 1 expectation  N s",
        lines[2],
        "refused  c.yaml  N s",
        "    c.yaml:1:1: unknown key 'hedas'; did you mean 'heads'?",
    ]
    assert lines[2].startswith("    b.yaml:4:3: ")
    assert "13,568" in lines[2]
    assert lines[5] == "broken   d.yaml  N s"
    assert lines[6].startswith("    linear failed in one at block.py:11: RuntimeError: ")
    assert lines[-1] == "4 configs in N s: 1 passed, 1 failed, 1 refused, 1 broken"
    assert (ended.code, ended.err) == (3, "")


@pytest.mark.parametrize(
    ("names", "code"),
    [("a", 0), ("b", 1), ("c", 2), ("ab", 1), ("abc", 2), ("bd", 3), ("cd", 3)],
)
def test_the_exit_code_is_the_worst(folder, invoke, names, code):
    """3 over 2 over 1 over 0; `--exit-zero` makes it 0."""
    files = [f"{name}.yaml" for name in names]
    assert invoke("check", *files, *RUN_ONLY).code == code
    assert invoke("check", *files, *RUN_ONLY, "--exit-zero").code == 0


def test_baselines_from_none_to_another(write, invoke):
    """Missing, made, the same, changed, accepted: each with the command that comes next."""
    write(it_yaml=BLOCK)
    missing = invoke("check", "it.yaml", *ALONE)
    assert (missing.code, untimed(missing.out).splitlines()) == (
        2,
        [
            "missing  it.yaml  18 rows, 13,568 parameters  N s",
            "    there is no .attntrace/it.yaml.json",
            "1 config in N s: 1 missing",
            "to write what is missing: attntrace check it.yaml --update",
        ],
    )
    made = invoke("check", "it.yaml", *ALONE, "--update")
    assert (made.code, untimed(made.out).splitlines()) == (
        0,
        [
            "ok       it.yaml  18 rows, 13,568 parameters, wrote .attntrace/it.yaml.json  N s",
            "1 config in N s: 1 passed",
        ],
    )
    same = invoke("check", "it.yaml", *ALONE)
    assert same.code == 0
    assert "parameters, baseline same  " in same.out
    write(it_yaml=BLOCK.replace("2", "4"))
    changed = invoke("check", "it.yaml", *ALONE, "--tolerance", "5%", "--device", "cpu")
    assert changed.code == 1
    lines = changed.out.splitlines()
    assert lines[0].startswith("changed  it.yaml  18 rows, ")
    assert lines[1].startswith("    differs from its baseline: ")
    assert "      " in lines[2]
    assert "2 -> 4 heads" in changed.out
    assert lines[-1] == (
        "to accept what is changed: attntrace check it.yaml --device cpu --tolerance 0.05 --update"
    )
    assert invoke("check", "it.yaml", *ALONE, "--update").code == 0
    assert invoke("check", "it.yaml", *ALONE).code == 0


def test_the_next_command_is_quoted(write, invoke, tmp_path):
    """A shell takes the command as it stands, whatever the names are."""
    write()
    Path("my configs").mkdir()
    Path("my configs/a.yaml").write_text(BLOCK)
    ended = invoke("check", "my configs", *ALONE, "--baselines", "of mine")
    last = ended.out.splitlines()[-1]
    assert last == (
        "to write what is missing: attntrace check 'my configs' --baselines 'of mine' --update"
    )


def test_prune_deletes_what_no_config_owns(write, invoke):
    """Each deleted file is named; nothing else goes, and nothing goes without the flag."""
    folder = write(a_yaml=BLOCK, b_yaml=BLOCK)
    invoke("check", ".", *ALONE, "--update")
    (folder / "b.yaml").unlink()
    assert invoke("check", ".", *ALONE).err == ""
    pruned = invoke("check", "a.yaml", *ALONE, "--prune")
    assert (pruned.code, pruned.err) == (0, "deleted .attntrace/b.yaml.json\n")
    assert [path.name for path in (folder / ".attntrace").iterdir()] == ["a.yaml.json"]


def test_all_that_is_wrong_with_flags_at_once(write, invoke, monkeypatch):
    """Bad flags, paths and files are refused together, before anything runs."""
    write(a_yaml=BLOCK)
    monkeypatch.setattr("attntrace.checks.pool.outcomes", None)
    flags = [
        *("--jobs", "0", "--tolerance", "5", "--device", "tpu", "--format", "xml"),
        *("-o", "none/report.xml", "--baselines", "a.yaml", "--no-baselines", "--exit-zero"),
    ]
    ended = invoke("check", "nowhere/", "a.yaml", *flags)
    assert (ended.code, ended.out) == (2, "")
    assert ended.err.splitlines() == [
        "attntrace: 9 problems with the settings",
        "  nowhere/: there is no such file or folder",
        f"  --format xml: format must be one of human, {', '.join(FORMATS)}; got 'xml'",
        "  -o none/report.xml: the directory none does not exist; make it first",
        "  --baselines a.yaml: is a file; name the folder of the baselines",
        "  --baselines: means nothing beside --no-baselines",
        "  --tolerance: means nothing beside --no-baselines",
        "  --tolerance 5: a part was expected, such as 1% or 0.01; got '5'; did you mean 5%?",
        "  --device tpu: device must be one of cpu, cuda, cuda:N, mps, meta; got 'tpu'",
        "  --jobs 0: jobs must be a whole number >= 1, got '0'",
    ]


def test_nothing_to_check_is_an_error(write, invoke):
    """Neither an empty folder nor a config outside of the baselines' reach is a success."""
    folder = write(a_yaml=BLOCK)
    (folder / "empty").mkdir()
    for arguments in ([], ["empty"], ["empty", "--exit-zero"]):
        assert invoke("check", *arguments, *ALONE).code == 2
    ended = invoke("check", "a.yaml", *ALONE, "--baselines", "empty/.attntrace")
    assert (ended.code, ended.out) == (2, "")
    assert f"use --baselines {folder}/empty" not in ended.err
    assert f"use --baselines {folder}/.attntrace" in ended.err


def test_duplicates_are_checked_once(write, invoke):
    """A file that is named and lies in a folder that is named runs once."""
    write(a_yaml=BLOCK)
    assert invoke("check", "a.yaml", ".", "./a.yaml", *RUN_ONLY).out.count("a.yaml") == 1


@pytest.mark.parametrize("format", FORMATS)
def test_a_format_is_all_of_stdout_or_a_file(folder, invoke, format):
    """Without -o the report is stdout, nothing before or after it; with it people read stdout."""
    file = folder / "report"
    alone = invoke("check", ".", *RUN_ONLY, "--format", format)
    both = invoke("check", ".", *RUN_ONLY, "--format", format, "-o", file)
    assert (alone.code, both.code) == (3, 3)
    assert (alone.err, both.err) == ("", f"wrote {file}\n")
    assert "d.yaml" in file.read_text()
    assert len(alone.out.splitlines()) == len(file.read_text().splitlines())
    assert both.out.splitlines()[-1].startswith("4 configs in ")


def test_the_report_of_people_in_a_file(folder, invoke):
    """`-o` alone writes what is printed."""
    ended = invoke("check", ".", *RUN_ONLY, "-o", "report.txt")
    assert untimed(Path("report.txt").read_text()) == untimed(ended.out)


def test_json_names_what_was_written_and_left(folder, invoke):
    """The files that --update writes are named on stderr where stdout is for a program."""
    flags = (*ALONE, "--format", "json", "--update", "--fail-fast")
    ended = invoke("check", "a.yaml", "c.yaml", "d.yaml", *flags)
    document = json.loads(ended.out)
    assert (ended.code, ended.err) == (2, "wrote .attntrace/a.yaml.json\n")
    assert [one["config"] for one in document["outcomes"]] == ["a.yaml", "c.yaml"]
    assert document["left"] == ["d.yaml"]


def test_the_summary_of_a_job_of_github(folder, invoke, monkeypatch):
    """Annotations go to stdout, a table is added to the file of the job."""
    (folder / "summary").write_text("before\n")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(folder / "summary"))
    ended = invoke("check", "c.yaml", *RUN_ONLY, "--format", "github")
    assert ended.out.startswith("::error file=c.yaml,line=1,col=1,")
    assert (folder / "summary").read_text().startswith("before\n")
    assert "c.yaml" in (folder / "summary").read_text()
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(folder))
    assert "GITHUB_STEP_SUMMARY" in invoke("check", "a.yaml", *RUN_ONLY, "--format", "github").err


def test_fail_fast_says_what_was_left(folder, invoke):
    """The summary counts what was not run."""
    ended = invoke("check", "c.yaml", "a.yaml", *RUN_ONLY, "--fail-fast")
    assert untimed(ended.out).splitlines()[-1] == "1 config in N s: 1 refused, 1 not run"


def test_a_bug_of_ours_has_its_own_exit_code(write, call_main, monkeypatch):
    """Whatever escapes, here or in another process, is 101 with where it was, in a whole report."""
    write(a_yaml=BLOCK, b_yaml=BLOCK)
    monkeypatch.setattr("attntrace.checks.one.check_one", lambda *_: 1 // 0)
    for jobs in (1, 2):
        flags = ("--jobs", jobs, "--exit-zero", "--format", "junit", "-o", "report.xml")
        ended = call_main("check", ".", *flags)
        assert (ended.code, ended.err.splitlines()) == (
            101,
            [
                "wrote report.xml",
                "attntrace: this is a bug in attntrace, not in a.yaml, b.yaml",
                "Please report it with its traceback.",
            ],
        )
        assert ended.out.count("this is a bug in attntrace: ZeroDivisionError: ") == 2
        assert Path("report.xml").read_text().count("in check_one") == 0
        assert Path("report.xml").read_text().count("Traceback (most recent call last)") == 2
        Path("report.xml").unlink()


def test_sigterm_ends_all_processes(write, call_main, monkeypatch, tmp_path):
    """What `timeout` and CI send ends it with 143 and the config that ran, and nobody is left."""
    sleeps = "import os, time; open(str(os.getpid()) + '.pid', 'w').close(); time.sleep(60)"
    write(a_yaml=BLOCK, b_yaml=OWN, block_py=code(sleeps))

    def answers(crew):
        yield from waiting(crew)
        if list(tmp_path.glob("*.pid")):
            os.kill(os.getpid(), signal.SIGTERM)

    waiting = crew.Crew.answers
    monkeypatch.setattr(crew.Crew, "answers", answers)
    ended = call_main("check", ".", "--no-baselines", "--jobs", 2)
    assert (ended.code, ended.err) == (143, "attntrace: stopped at b.yaml\n")
    (pid,) = tmp_path.glob("*.pid")
    with pytest.raises(ProcessLookupError):
        os.kill(int(pid.stem), 0)


def test_the_baselines_of_a_folder_above(write, invoke, tmp_path, monkeypatch):
    """From a folder below, the same baselines are met as from above; git's top is the last looked at."""
    write(a_yaml=BLOCK)
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub/b.yaml").write_text(BLOCK)
    invoke("check", ".", *ALONE, "--update")
    monkeypatch.chdir(tmp_path / "sub")
    ended = invoke("check", "b.yaml", "../a.yaml", *ALONE)
    assert (ended.code, ended.err) == (
        0, "attntrace: note: the baselines are those of ../.attntrace\n",
    )  # fmt: skip
    (tmp_path / "sub/.git").mkdir()
    assert "there is no .attntrace/b.yaml.json\n" in invoke("check", "b.yaml", *ALONE).out


def test_what_is_failed_and_changed_has_the_command(write, invoke):
    """The baseline is to be accepted, too, where an expectation does not hold."""
    write(it_yaml=BLOCK)
    invoke("check", "it.yaml", *ALONE, "--update")
    write(it_yaml=f"{BLOCK.replace('2', '4')}expect: {{parameters: 5}}\n")
    ended = invoke("check", "it.yaml", *ALONE)
    assert ended.out.startswith("failed   it.yaml")
    last = ended.out.splitlines()[-1]
    assert last == "to accept what is changed: attntrace check it.yaml --update"


def test_what_code_prints_is_not_in_the_report(write, invoke, capfd):
    """However it is printed in another process, it goes to stderr; nor has the report colour."""
    prints = code("import os; print('one'); os.write(1, b'two'); raise ValueError('\\x1b[1m3')")
    write(a_yaml=BLOCK, b_yaml=OWN, block_py=prints)
    ended = invoke("check", ".", "--no-baselines", "--jobs", 2)
    words = [line.split()[0] for line in ended.out.splitlines() if line[0] != " "]
    assert (ended.code, words) == (3, ["ok", "broken", "2"])
    assert r"ValueError: \x1b[1m3" in ended.out
    out, err = capfd.readouterr()
    assert (out, ended.err) == ("", "")
    assert "one\n" in err
    assert "two" in err


def test_ctrl_c_ends_all_processes(write, tmp_path):
    """On a terminal the line names what runs; SIGINT ends it with one word, 130 and nobody left."""
    sleeps = "import os, time; open(str(os.getpid()) + '.pid', 'w').close(); time.sleep(60)"
    write(a_yaml=OWN, b_yaml=OWN, block_py=code(sleeps))
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "attntrace", "check", ".", "--no-baselines", "--jobs", "2"]
    environment = {**os.environ, "TERM": "xterm-256color", "COLUMNS": "80"}
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=theirs, env=environment
    ) as running:
        os.close(theirs)
        shown = read_until(ours, b"0/2  b.yaml")
        end = time.monotonic() + 60
        while len(pids := list(tmp_path.glob("*.pid"))) < 2 and time.monotonic() < end:
            time.sleep(0.01)
        running.send_signal(signal.SIGINT)
        shown += read_until(ours, b"stopped")
        assert running.stdout.read() == b""
    os.close(ours)
    assert running.returncode == 130
    assert b"Traceback" not in shown
    for pid in pids:
        with pytest.raises(ProcessLookupError):
            os.kill(int(pid.stem), 0)


def test_a_terminal_has_colour_and_is_never_cut(folder, invoke, monkeypatch):
    """The word of a line is coloured, and a narrow terminal still shows every word."""
    monkeypatch.setattr("attntrace.cli.table.on_terminal", lambda output: output is None)
    for name, value in (("FORCE_COLOR", "1"), ("TERM", "xterm"), ("COLUMNS", "20")):
        monkeypatch.setenv(name, value)
    shown = invoke("check", "a.yaml", "c.yaml", *RUN_ONLY).out
    assert "\x1b[1;32mok\x1b[0m       a.yaml  18 rows, 13,568 parameters  " in shown
    assert "\x1b[1;31mrefused\x1b[0m  c.yaml  " in shown
    assert "    c.yaml:1:1: unknown key 'hedas'; did you mean 'heads'?\n" in shown


@pytest.mark.parametrize(
    ("text", "part"),
    [(None, 0.01), ("0", 0.0), ("0.02", 0.02), ("2%", 0.02), (" 12.5 % ", 0.125), (".5", 0.5)],
)
def test_a_tolerance_is_a_part(text, part):
    """With a percent sign or as a number below one; nothing given is one hundredth."""
    problems = []
    assert (tolerance_from(text, problems), problems) == (part, [])


@pytest.mark.parametrize("text", ["", "-1%", "1", "100%", "1e-2", "nan", "a%", "%"])
def test_what_is_no_tolerance(text):
    """Anything else is refused, with what was meant where that is clear."""
    problems = []
    tolerance_from(text, problems)
    hint = "; did you mean 1%?" if text == "1" else ""
    said = f"a part was expected, such as 1% or 0.01; got {text!r}{hint}"
    assert [one.message for one in problems] == [said]
