"""Streams that close early, fill up, or cannot show a character."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.fixture
def closed_pipe():
    """Yield the writing end of a pipe that nobody reads."""
    read, write = os.pipe()
    os.close(read)
    yield write
    os.close(write)


@pytest.mark.parametrize("unbuffered", ["", "1"])
@pytest.mark.parametrize(
    "args",
    [["run", "--show-config"], ["run", "--columns", "help"], ["run"]],
    ids=" ".join,
)
def test_a_reader_that_is_gone(args, unbuffered, process, closed_pipe):
    """Writing to a pipe that `head` has closed is no bug, and nothing to talk about."""
    ended = process(*args, stdout=closed_pipe, PYTHONUNBUFFERED=unbuffered)
    assert ended.err == ""
    assert ended.code != 101


def test_head_gets_its_lines():
    """`attntrace run | head -1` prints the mode line and not a word on stderr."""
    command = f"{sys.executable} -m attntrace run --level kernel | head -1"
    ended = subprocess.run(
        ["/bin/sh", "-c", command], capture_output=True, encoding="utf-8", check=True
    )
    assert ended.stdout.startswith("attention: batch 13 tokens 100 ")
    assert (ended.stdout.count("\n"), ended.stderr) == (1, "")


@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_a_full_disk_is_no_bug(unbuffered, process):
    """A stdout that is full is the user's to mend: a message, exit 2, no traceback."""
    with Path("/dev/full").open("w") as full:
        ended = process("run", "--show-config", stdout=full, PYTHONUNBUFFERED=unbuffered)
    assert (ended.code, ended.err) == (
        2,
        "attntrace: stdout could not be written: No space left on device\n",
    )


def test_a_stdout_without_unicode_gets_a_table_all_the_same(process):
    """Where stdout takes only ASCII, the table comes with other characters for its lines."""
    ended = process("run", PYTHONIOENCODING="ascii")
    assert (ended.code, ended.err) == (0, "")
    assert "(13, 100, 192)" in ended.out


def read_all(terminal):
    """Return what a process wrote to its terminal until it closed it."""
    chunks = []
    try:
        while chunk := os.read(terminal, 4096):
            chunks.append(chunk)
    except OSError:  # how Linux says that the other end is closed
        pass
    return b"".join(chunks).decode()


def test_a_narrow_terminal_gets_colour_and_whole_shapes():
    """On a terminal of 60 columns there is colour, columns are left out, and no shape is cut."""
    ours, theirs = pty.openpty()
    environment = {**os.environ, "COLUMNS": "60", "TERM": "xterm-256color"}
    command = [sys.executable, "-m", "attntrace", "run", "--heads", "4"]
    with subprocess.Popen(command, stdout=theirs, env=environment) as running:
        os.close(theirs)
        shown = read_all(ours)
    os.close(ours)
    assert running.returncode == 0
    assert "\x1b[" in shown
    assert "(13, 100, 3, 4, 16)" in shown
    assert "view of" not in shown
    assert "…" not in shown
