"""The command line, in this process and in one of its own."""

from __future__ import annotations

import os
import pty
import re
import subprocess
import sys
from dataclasses import dataclass

import pytest
from typer.testing import CliRunner

from attntrace.cli import app, main

# What the caller's terminal and shell say must not reach a test.
_PERSONAL = ("COLUMNS", "LINES", "FORCE_COLOR", "NO_COLOR", "PY_COLORS", "GITHUB_ACTIONS")


@dataclass
class Ended:
    """How a run of the command line ended."""

    code: int
    out: str
    err: str


@pytest.fixture(autouse=True)
def plain_shell(monkeypatch):
    """Run every test in a shell without wishes about colour and width."""
    for name in (*_PERSONAL, "PYTHONUNBUFFERED"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def invoke():
    """Return a function that runs `attntrace ARGS` through Typer; what it does not expect is raised."""

    def run(*args):
        result = CliRunner().invoke(app, [str(a) for a in args], catch_exceptions=False)
        return Ended(result.exit_code, result.stdout, result.stderr)

    return run


@pytest.fixture
def call_main(monkeypatch, capsys):
    """Return a function that calls `main()` as the installed script does."""

    def run(*args):
        monkeypatch.setattr(sys, "argv", ["attntrace", *map(str, args)])
        with pytest.raises(SystemExit) as caught:
            main()
        out, err = capsys.readouterr()
        return Ended(caught.value.code or 0, out, err)

    return run


@pytest.fixture
def process():
    """Return a function that runs `python -m attntrace ARGS` with more of the environment."""

    def run(*args, python=("-m", "attntrace"), stdout=subprocess.PIPE, **environment):
        ended = subprocess.run(
            [sys.executable, *python, *map(str, args)],
            env={**os.environ, **environment},
            stdin=subprocess.DEVNULL,
            stdout=stdout,
            stderr=subprocess.PIPE,
            encoding="utf-8",
            check=False,
        )
        return Ended(ended.returncode, ended.stdout or "", ended.stderr)

    return run


@pytest.fixture
def terminal():
    """Return a function that runs `attntrace ARGS` on a terminal and returns what it shows."""

    def run(*args, columns):
        ours, theirs = pty.openpty()
        environment = {**os.environ, "COLUMNS": str(columns), "TERM": "xterm-256color"}
        command = [sys.executable, "-m", "attntrace", *args]
        with subprocess.Popen(command, stdout=theirs, env=environment) as running:
            os.close(theirs)
            shown = read_all(ours)
        os.close(ours)
        assert running.returncode == 0
        return re.sub(r"\x1b\[[0-9;]*m", "", shown).replace("\r\n", "\n")

    return run


def read_all(descriptor):
    """Return what a process wrote to its terminal until it closed it."""
    chunks = []
    try:
        while chunk := os.read(descriptor, 4096):
            chunks.append(chunk)
    except OSError:  # how Linux says that the other end is closed
        pass
    return b"".join(chunks).decode()


@pytest.fixture
def failing_forward(monkeypatch):
    """Make the eager attention multiply q by k without transposing it."""
    from attntrace.blocks.attention.dot_product import DotProduct

    monkeypatch.setattr(DotProduct, "products", lambda self, q, k: q @ k)
