"""What a user sees, whole, and the README's copy of it."""

from __future__ import annotations

import csv
import io
import json
import os
import platform
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch

import attntrace

ROOT = Path(__file__).parents[2]
README = ROOT / "README.md"


def attntrace_run(*flags):
    """Return what `attntrace run` prints in a fresh process that has no terminal."""
    command = [sys.executable, "-m", "attntrace", "run", *flags]
    env = {k: v for k, v in os.environ.items() if k not in ("FORCE_COLOR", "COLUMNS")}
    ran = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT, env=env,
                         encoding="utf-8")  # fmt: skip
    return ran.stdout


def portable(text):
    """Return a report with the names of chip and torch version left out."""
    text = text.replace(f"({platform.machine()})", "(CHIP)")
    return text.replace(f"torch {torch.__version__}", "torch VERSION").replace(
        torch.__version__, "VERSION"
    )


@pytest.mark.parametrize(
    ("name", "flags"),
    [
        ("multi_head.txt", ["--heads", "4", "--chan", "64"]),
        ("multi_head_kernel.txt", ["--heads", "4", "--level", "kernel", "--explain"]),
        ("multi_head_module.txt", ["--heads", "4", "--level", "module"]),
        ("multi_head_grad.txt", ["--heads", "4", "--grad", "--columns", "#,tensor,bytes,new,hidden,flops,inputs"]),
        ("multi_head_train.txt", ["--heads", "4", "--train", "--grad"]),
        ("timeline.txt", ["--heads", "4", "--train", "--grad", "--timeline", "--columns", "#,tensor,saved,alive,grad,scratch"]),
        ("sdpa.txt", ["--heads", "4", "--impl", "sdpa"]),
        ("torch.txt", ["configs/multi-head-torch.yaml"]),
        ("multi_head.md", ["--heads", "4", "--format", "markdown"]),
        ("multi_head.csv", ["--heads", "4", "--format", "csv"]),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)  # fmt: skip
def test_report(golden, name, flags):
    """The report of each level and format is the golden file's."""
    golden(name, portable(attntrace_run(*flags)))


def test_csv_and_table_hold_the_same_rows():
    """The rows of the formats are those of the trace, and their bytes add up."""
    rows = list(csv.DictReader(io.StringIO(attntrace_run("--heads", "4", "--format", "csv"))))
    trace = attntrace.run({"heads": 4})
    assert [row["tensor"] for row in rows] == [row.name for row in trace.tensors]
    assert sum(int(row["memory"]) for row in rows[1:]) == 11_148_800
    table = attntrace_run("--heads", "4")
    assert all(re.search(rf"^ *{row['#']} +{row['tensor']} ", table, re.MULTILINE) for row in rows)


def test_json_is_the_whole_record():
    """JSON holds every fact, reads back to the same trace, and its storages give its memory."""
    text = attntrace_run("--heads", "4", "--format", "json")
    document = json.loads(text)
    read = attntrace.Trace.from_json(text)
    assert read.facts == attntrace.run({"heads": 4}).facts
    assert document["memory"]["peak_nbytes"] == read.memory.peak_nbytes == 5_158_400
    assert document["flops"] == 68_390_400
    assert document["spec"]["heads"] == 4
    assert document["schema_version"] == 1


def blocks(language):
    """Return the fenced blocks of the README in one language."""
    return re.findall(rf"```{language}\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)


def test_readme_shows_the_real_output(request):
    """The README's first block is what the command prints, word for word."""
    command, output = "attntrace run --heads 4 --chan 64", attntrace_run("--heads", "4")
    fresh = f"```text\n$ {command}\n{output}```"
    text = README.read_text(encoding="utf-8")
    if request.config.getoption("--update-golden"):
        text = re.sub(r"```text\n\$ attntrace run --heads 4.*?```", lambda _: fresh, text, count=1,
                      flags=re.DOTALL)  # fmt: skip
        README.write_text(text, encoding="utf-8")
    (shown, *_) = blocks("text")
    assert portable(f"$ {command}\n{output}") == re.sub(
        r"cpu \(\w+\)(.*)torch \S+", r"cpu (CHIP)\1torch VERSION", shown
    )


@pytest.mark.parametrize("line", [line for block in blocks("console") for line in
                                  block.splitlines() if line.startswith("attntrace ")])  # fmt: skip
def test_readme_commands_run(line, tmp_path):
    """Each command that the README shows runs from the root of the repository."""
    words = line.split("#")[0].split()[1:]
    ran = subprocess.run([sys.executable, "-m", "attntrace", *words], capture_output=True,
                         text=True, check=False, cwd=ROOT)  # fmt: skip
    assert ran.returncode == 0, ran.stderr


def test_readme_python_runs(tmp_path):
    """The README's Python runs as it stands, and prints what its last comment says."""
    (code,) = (code for code in blocks("python") if not re.match(r"# \w+\.py\n", code))
    file = tmp_path / "readme.py"
    file.write_text(code, encoding="utf-8")
    ran = subprocess.run([sys.executable, "-W", "ignore", file], capture_output=True, text=True,
                         check=True)  # fmt: skip
    assert ran.stdout == code.rpartition("# ")[2]
