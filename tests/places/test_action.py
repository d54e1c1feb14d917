"""action.yml: what GitHub asks of it, and what its steps run, here."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from ruamel.yaml import YAML
from typer.testing import CliRunner

from attntrace.cli import app

ROOT = Path(__file__).parents[2]
ACTION = YAML(typ="safe").load(ROOT / "action.yml")
STEPS = ACTION["runs"]["steps"]
SCRIPTS = [step for step in STEPS if "run" in step]
EXPRESSION = re.compile(r"\$\{\{ *(.*?) *\}\}")
BASH = shutil.which("bash")
RECORD = '#!/usr/bin/env bash\nprintf "%s\\n" "$(basename "$0")" "$@" > called\nexit 3\n'
"""A program that notes how it was called."""


def step(name):
    """Return a step by its name."""
    return next(one for one in STEPS if one["name"] == name)


@pytest.fixture
def run_step(tmp_path):
    """Return a function that runs a step's script as GitHub does, and returns the called words."""
    for name in ("attntrace", "python"):
        program = tmp_path / "bin" / name
        program.parent.mkdir(exist_ok=True)
        program.write_text(RECORD)
        program.chmod(0o755)

    def run(name, **inputs):
        given = {key: inputs.get(key, one["default"]) for key, one in ACTION["inputs"].items()}
        env = {
            variable: EXPRESSION.sub(lambda found: given[found[1].removeprefix("inputs.")], text)
            for variable, text in step(name)["env"].items()
        }
        path = f"{tmp_path / 'bin'}:{os.environ['PATH']}"
        ended = subprocess.run(
            [BASH, "--noprofile", "--norc", "-e", "-o", "pipefail", "-c", step(name)["run"]],
            cwd=tmp_path,
            env={"PATH": path, "GITHUB_ACTION_PATH": str(ROOT), **env},
            capture_output=True,
            text=True,
            check=False,
        )
        assert (ended.returncode, ended.stderr) == (3, "")
        return (tmp_path / "called").read_text().splitlines()

    return run


def test_what_github_asks_for():
    """It has a name, a description and composite steps, each with a shell or an action."""
    assert ACTION.keys() == {"name", "description", "branding", "inputs", "runs"}
    assert ACTION["runs"].keys() == {"using", "steps"}
    assert ACTION["runs"]["using"] == "composite"
    for one in ACTION["inputs"].values():
        assert one.keys() == {"description", "default"}
        assert isinstance(one["default"], str)
    for one in SCRIPTS:
        assert one.keys() == {"name", "shell", "env", "run"}
        assert one["shell"] == "bash"
    (setup,) = [one for one in STEPS if "run" not in one]
    assert re.fullmatch(r"actions/setup-python@v\d+", setup["uses"])


def test_every_input_is_used_and_none_in_a_script():
    """Inputs reach a script through the environment: its text would run what is in them."""
    assert [one["run"] for one in SCRIPTS if EXPRESSION.search(one["run"])] == []
    texts = [
        text for one in STEPS for text in {**one.get("env", {}), **one.get("with", {})}.values()
    ]
    used = [found for text in texts for found in EXPRESSION.findall(text)]
    assert sorted(used) == sorted(f"inputs.{name}" for name in ACTION["inputs"])


@pytest.mark.parametrize(
    ("inputs", "words"),
    [
        ({}, ["--", "configs/"]),
        (
            {"paths": "a.yaml\n  b/ gpt2\n", "args": "--jobs 2 --fail-fast", "baselines": "my own"},
            ["--jobs", "2", "--fail-fast", "--baselines", "my own", "--", "a.yaml", "b/", "gpt2"],
        ),
        ({"paths": ""}, ["--"]),
        (
            {
                "paths": "$(touch pwned); * --update",
                "args": '"`touch pwned`"',
                "baselines": "'; ls",
            },
            [
                *('"`touch', 'pwned`"', "--baselines", "'; ls", "--"),
                *("$(touch", "pwned);", "*", "--update"),
            ],
        ),
    ],
    ids=["defaults", "many words", "nothing", "an attack"],
)
def test_what_the_check_is_called_with(inputs, words, run_step, tmp_path):
    """Words are words, whatever is in them; the step ends with the exit code of the check."""
    assert run_step("Check", **inputs) == ["attntrace", "check", "--format", "github", *words]
    assert not (tmp_path / "pwned").exists()


@pytest.mark.parametrize(
    ("inputs", "words"),
    [
        ({}, [str(ROOT)]),
        ({"version": "0.1.0"}, ["attntrace==0.1.0"]),
        ({"torch-index-url": "file:///wheels"}, ["--extra-index-url", "file:///wheels", str(ROOT)]),
        ({"version": "1; ls"}, ["attntrace==1; ls"]),
    ],
    ids=["defaults", "a version", "an index", "an attack"],
)
def test_what_is_installed(inputs, words, run_step):
    """This checkout, or a version of the package index."""
    pip = ["python", "-m", "pip", "install", "--disable-pip-version-check"]
    assert run_step("Install attntrace", **inputs) == [*pip, *words]


def test_github_reads_what_the_check_says(run_step, tmp_path, monkeypatch):
    """What does not hold is an annotation at its line, and in a table in the job's summary."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", "summary.md")
    Path("configs").mkdir()
    Path("configs/a.yaml").write_text("batch: 2\nheads: 4\nexpect:\n  q: [batch, 5, _, _]\n")
    _, *words = run_step("Check", args="--no-baselines")
    ran = CliRunner().invoke(app, words, catch_exceptions=False)
    assert ran.exit_code == 1
    (line,) = ran.stdout.splitlines()
    assert line.startswith(
        "::error file=configs/a.yaml,line=4,col=3,title=configs/a.yaml%3A expect.q"
    )
    assert "q is (batch 2, heads 4, " in line
    assert "| configs/a.yaml:4 | expect.q |" in Path("summary.md").read_text()
