"""Files that are written whole: whatever happens while one is written, the old one is as it was."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from attntrace.errors import AttntraceError
from attntrace.files import write_whole

LONG = "new\n" * 100_000


def full_disk(*args, **kwargs):
    raise OSError(28, "No space left on device")


def stopped(*args, **kwargs):
    raise KeyboardInterrupt


@pytest.fixture
def old(tmp_path):
    """Return a file that is there."""
    file = tmp_path / "gpt2.json"
    file.write_text("old\n")
    return file


def is_as_it_was(file):
    """Whether the file holds what it held, and nothing lies beside it."""
    return file.read_text() == "old\n" and list(file.parent.iterdir()) == [file]


STEPS = [
    (tempfile, "mkstemp"), (os, "fdopen"), (os, "fsync"), (Path, "chmod"), (Path, "replace"),
]  # fmt: skip


@pytest.mark.parametrize("step", STEPS, ids=lambda step: step[1])
@pytest.mark.parametrize("fails", [full_disk, stopped])
def test_a_step_that_fails(step, fails, old, monkeypatch):
    """Whichever step fails, or is stopped by Ctrl-C, the old file is whole and alone."""
    with monkeypatch.context() as during:
        during.setattr(*step, fails)
        with pytest.raises(AttntraceError if fails is full_disk else KeyboardInterrupt) as caught:
            write_whole(old, LONG)
    assert is_as_it_was(old)
    if fails is full_disk:
        assert str(caught.value) == f"{old} could not be written: No space left on device"


@pytest.mark.parametrize("fails", [full_disk, stopped])
def test_half_of_it_is_written(fails, old, monkeypatch):
    """Where the disk is full in the middle, or Ctrl-C comes there, nobody sees the half."""
    opened = os.fdopen

    def half(*args, **kwargs):
        file = opened(*args, **kwargs)
        write = file.write
        file.write = lambda text: (write(text[: len(text) // 2]), file.flush(), fails())
        return file

    with monkeypatch.context() as during:
        during.setattr(os, "fdopen", half)
        with pytest.raises((AttntraceError, KeyboardInterrupt)):
            write_whole(old, LONG)
    assert is_as_it_was(old)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="the system has no full disk to try")
def test_a_device_that_is_full():
    """What is no regular file is written to as it is, and its error is said, too."""
    with pytest.raises(AttntraceError, match=r"^/dev/full could not be written: No space left"):
        write_whole(Path("/dev/full"), LONG)


KILLED = """
import os, sys
from pathlib import Path
from attntrace.files import write_whole
os.fsync = lambda handle: os.kill(os.getpid(), {signal})
write_whole(Path(sys.argv[1]), "new\\n" * 100_000)
"""


def test_killed_in_the_middle(old):
    """A process that is killed leaves the old file whole."""
    code = KILLED.format(signal=int(signal.SIGKILL))
    ended = subprocess.run([sys.executable, "-c", code, old], check=False)
    assert ended.returncode == -signal.SIGKILL
    assert old.read_text() == "old\n"


def test_the_same_bytes_on_every_system(tmp_path):
    """Ends of lines stay as they are, and letters are UTF-8."""
    write_whole(tmp_path / "a", "é\nb\r\n")
    assert (tmp_path / "a").read_bytes() == b"\xc3\xa9\nb\r\n"


def test_why_without_words(old, monkeypatch):
    """An error that the system has no words for is named."""
    with monkeypatch.context() as during:
        during.setattr(os, "fsync", lambda handle: (_ for _ in ()).throw(OSError()))
        with pytest.raises(AttntraceError, match=r"could not be written: OSError$"):
            write_whole(old, LONG)
    assert is_as_it_was(old)
