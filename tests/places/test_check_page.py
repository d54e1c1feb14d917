"""docs/check.md: its commands print what it shows, and its files are what they are shown as."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from ruamel.yaml import YAML
from typer.testing import CliRunner

from attntrace.cli import app
from attntrace.errors import BUG
from attntrace.notation.units import UNITS
from attntrace.pytest_plugin import pytest_addoption
from attntrace.record.outcomes import EXIT_CODES
from attntrace.render.report import FORMATS
from attntrace.spec.expect.read import KERNELS
from attntrace.spec.expect.schema import SECTION
from attntrace.version import __version__
from tests.places.page import TEXT, Step, sections, shows

pytest_plugins = ["pytester"]

ROOT = Path(__file__).parents[2]
BASH = shutil.which("bash")
SECTIONS = sections()
WITH_COMMANDS = [
    title for title, steps in SECTIONS.items() if any(step.kind == "command" for step in steps)
]
GIT = {
    f"GIT_{who}_{what}": "reader@example.org"
    for who in ("AUTHOR", "COMMITTER")
    for what in ("NAME", "EMAIL")
}


@pytest.fixture
def reader(run_pytest, pytester, monkeypatch):
    """Return a function that does a step, and returns what that prints, in a git repository."""
    for name in [*os.environ]:
        if name.startswith("GIT_"):
            monkeypatch.delenv(name)
    for name, value in GIT.items():
        monkeypatch.setenv(name, value)
    codes = [0]

    def do(step):
        words = shlex.split(step.name)
        if step.kind == "file":
            Path(step.name).parent.mkdir(parents=True, exist_ok=True)
            Path(step.name).write_text(step.text, encoding="utf-8")
            return ""
        if step.name == "echo $?":
            return f"{codes[-1]}\n"
        if words[0] == "attntrace":
            ran = CliRunner().invoke(app, words[1:], catch_exceptions=False)
            codes.append(ran.exit_code)
            return ran.output
        if words[0] == "pytest":
            ran = run_pytest("-p", "no:cacheprovider", *words[1:])
            codes.append(int(ran.ret))
            return "".join(f"{line}\n" for line in ran.outlines)
        ran = subprocess.run([BASH, "-c", step.name], capture_output=True, text=True, check=True)
        return ran.stdout

    pytester.run("git", "init", "--quiet")
    return do


def before(title):
    """Yield the files of the sections before this one."""
    for other, steps in SECTIONS.items():
        if other == title:
            return
        yield from (step for step in steps if step.kind == "file")


@pytest.mark.parametrize("title", WITH_COMMANDS)
def test_the_page_shows_what_is_printed(title, reader, pytester):
    """Each command of a section prints what stands below it, in a folder with the files so far."""
    for step in before(title):
        reader(step)
    if "HEAD" in str(SECTIONS[title]):
        pytester.run("git", "add", "--all")
        pytester.run("git", "commit", "--quiet", "--message", "so far")
    for step in SECTIONS[title]:
        printed = reader(step) if step.kind in ("file", "command", "hidden") else ""
        if step.kind == "command":
            assert shows(step.text, printed), f"$ {step.name}\n{printed}"


def shown(title, name):
    """Return what is in the YAML files of a name that a section shows."""
    texts = [step.text for step in SECTIONS[title] if step.name == name]
    return [YAML(typ="safe").load(text) for text in texts]


def table(heading):
    """Return the first column of the table with this heading, without marks."""
    rows = TEXT.split(heading)[1].split("\n\n")[0].splitlines()[2:]
    return [
        re.findall(r"`([^`]+)`", row.split("|")[1]) or row.split("|")[1].strip() for row in rows
    ]


def flat(column):
    """Return the words of a column."""
    return [word.partition(":")[0] for cell in column for word in cell]


def test_the_tables_are_whole():
    """Each entry of the grammar, each format, exit code and input of the action is on the page."""
    assert {*flat(table("| entry | what must hold |")[1:])} == {*SECTION["properties"]}
    assert flat(table("| format | for |")) == ["human", *FORMATS]
    assert table("| exit code | meaning |") == [
        *(str(code) for code in sorted({*EXIT_CODES.values(), BUG})),
        "130, 143",
    ]
    inputs = YAML(typ="safe").load(ROOT / "action.yml")["inputs"]
    assert flat(table("| input | default | |")) == [*inputs]
    for kernel in KERNELS:
        assert f"`{kernel}`" in TEXT.split("| `kernel` |")[1].split("\n")[0]
    for unit in UNITS.keys() - {"kB"}:
        assert f"`{unit}`" in TEXT


def test_its_python_runs(capsys):
    """Code that is in no file of its own runs as it stands."""
    (code,) = [step.text for step in SECTIONS["pytest"] if step.kind == "python"]
    exec(compile(code, "page", "exec"), {})  # noqa: S102 - our own page


def test_github_workflow():
    """The workflow uses this version of the action, with inputs that it has."""
    (workflow,) = shown("GitHub", ".github/workflows/check.yml")
    checkout, action = workflow["jobs"]["attntrace"]["steps"]
    assert re.fullmatch(r"actions/checkout@v\d+", checkout["uses"])
    assert action["uses"] == f"OWNER/attntrace@v{__version__}"
    assert action["with"].keys() <= YAML(typ="safe").load(ROOT / "action.yml")["inputs"].keys()


def test_gitlab_job(reader):
    """The lines of the job that are ours write the report that it uploads, a case a contract."""
    (jobs,) = shown("GitLab", ".gitlab-ci.yml")
    (job,) = jobs.values()
    for step in before("What is checked"):
        reader(step)
    for line in job["script"]:
        if line.startswith("attntrace"):
            assert "1 missing" in reader(Step("command", line, ""))
    cases = ET.parse(job["artifacts"]["reports"]["junit"]).iter("testcase")  # noqa: S314
    failed = {case.get("name"): case.find("failure") is not None for case in cases}
    assert failed == {"runs": False, "expect.scores": False, "expect.out": False, "baseline": True}


def test_flags_of_pytest_that_the_page_names():
    """Each is a flag of the plugin, and each flag is on the page."""
    parser = pytest.Parser(_ispytest=True)
    pytest_addoption(parser)
    flags = {
        name for group in parser._groups for option in group.options for name in option.names()
    }
    assert flags == {*re.findall(r"--attntrace[a-z-]*", TEXT)}
