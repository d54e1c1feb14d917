"""Ctrl-C, and what a long command shows before it."""

from __future__ import annotations

import os
import pty
import signal
import subprocess
import sys
import time

import pytest

from attntrace import api, cli

COMMANDS = [
    ["run"],
    ["compare", "--impl", "eager,sdpa"],
    ["max", "--budget", "8MiB"],
]
IN_A_CALLBACK = """
import sys, time, weakref
from attntrace.api import graph
from attntrace.cli import main

class Thing:
    pass

def stop(_):
    raise KeyboardInterrupt

def run(spec, **more):
    thing = Thing()
    watch = weakref.ref(thing, stop)
    del thing
    time.sleep(60)

graph.run = run
main()
"""


def stop(*args, **kwargs):
    raise KeyboardInterrupt


@pytest.mark.parametrize("args", COMMANDS, ids=lambda args: args[0])
def test_ctrl_c_ends_any_command(args, call_main, monkeypatch):
    """A command that is stopped exits with 130 and one word, without a traceback."""
    for module in (api, api.graph):
        monkeypatch.setattr(module, "run", stop)
    ended = call_main(*args)
    assert (ended.code, ended.out, ended.err) == (130, "", "attntrace: stopped\n")


def test_ctrl_c_before_a_command_began(call_main, monkeypatch):
    """The same where no command runs yet."""
    monkeypatch.setattr(cli, "app", stop)
    ended = call_main("run")
    assert (ended.code, ended.out, ended.err) == (130, "", "attntrace: stopped\n")


def test_ctrl_c_in_a_callback(process):
    """A Ctrl-C that comes while a weak reference calls back is not lost: Python would go on."""
    ended = process("run", python=("-c", IN_A_CALLBACK))
    assert (ended.code, ended.out, ended.err) == (130, "", "attntrace: stopped\n")


def test_nothing_is_half_written(call_main, monkeypatch, tmp_path):
    """What was there before a stopped command is still there, and nothing else is."""
    file = tmp_path / "table.txt"
    file.write_text("old")
    monkeypatch.setattr("attntrace.cli.output.Path.replace", stop)
    assert call_main("compare", "--tokens", 7, "-o", file).code == 130
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("table.txt", "old")]


def test_a_pipe_shows_no_progress(process):
    """Without a terminal stderr stays empty."""
    assert process("compare", "--tokens", 7, "--impl", "eager,sdpa").err == ""


def test_a_terminal_shows_progress_until_it_is_stopped():
    """On a terminal the bar names what runs; a real SIGINT ends it, the cursor is back, and 130."""
    ours, theirs = pty.openpty()
    many = ",".join(str(size) for size in range(1000, 9000))
    command = [sys.executable, "-m", "attntrace", "compare", "--batch", many, "--device", "meta"]
    environment = {**os.environ, "TERM": "xterm-256color", "COLUMNS": "80"}
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=theirs, env=environment
    ) as running:
        os.close(theirs)
        shown = read_until(ours, b"batch 1")
        running.send_signal(signal.SIGINT)
        shown += read_until(ours, b"stopped")
        assert running.stdout.read() == b""
    os.close(ours)
    assert (running.returncode, shown[-300:]) == (130, shown[-300:])
    assert b"\x1b[?25h" in shown  # the cursor, which rich hides meanwhile
    assert b"Traceback" not in shown


def read_until(descriptor, wanted):
    """Return what came on a terminal up to some text or its end, at most a minute long."""
    shown, end = b"", time.monotonic() + 60
    while wanted not in shown and time.monotonic() < end:
        try:
            shown += os.read(descriptor, 4096)
        except OSError:  # nobody has it open for writing any more
            return shown
    return shown
