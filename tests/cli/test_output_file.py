"""`-o FILE`: written whole or not at all, and nothing else is touched."""

from __future__ import annotations

import json
import os
import stat

import pytest

from attntrace import files

HEAD = "attntrace: 1 problem with the settings\n"


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Return an empty folder that the command line runs in."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def names(folder):
    """Return what lies in a folder, hidden files too."""
    return sorted(path.name for path in folder.iterdir())


def full_disk(*args, **kwargs):
    raise OSError(28, "No space left on device")


@pytest.mark.parametrize("format", ["table", "json", "csv", "markdown"])
def test_a_file_gets_what_stdout_would(format, invoke, folder):
    """The file holds what stdout holds without `-o`; stdout is empty, the note is on stderr."""
    shown = invoke("run", "--heads", 4, "--format", format)
    written = invoke("run", "--heads", 4, "--format", format, "-o", "result.txt")
    assert (written.code, written.out, written.err) == (0, "", "wrote result.txt\n")
    assert (folder / "result.txt").read_text(encoding="utf-8") == shown.out
    assert names(folder) == ["result.txt"]


def test_show_config_is_written_too(invoke, folder):
    """`--show-config -o` writes a file that `run` takes."""
    assert invoke("run", "--heads", 4, "--show-config", "-o", "block.yaml").code == 0
    again = invoke("run", "block.yaml", "--format", "json")
    assert json.loads(again.out)["spec"]["heads"] == 4


def test_an_old_file_is_replaced(invoke, folder):
    """A file that was there holds the new result and nothing of the old one."""
    (folder / "table.txt").write_text("old\n" * 10_000)
    assert invoke("run", "-o", "table.txt").code == 0
    assert "old" not in (folder / "table.txt").read_text(encoding="utf-8")


@pytest.mark.parametrize("step", ["tempfile.mkstemp", "os.fdopen", "Path.chmod", "Path.replace"])
def test_an_old_file_survives_a_write_that_fails(step, invoke, folder, monkeypatch):
    """Whichever step fails, the old file is whole, no other is left, and the message says why."""
    (folder / "table.txt").write_text("old\n")
    where, name = step.split(".")
    monkeypatch.setattr(getattr(files, where), name, full_disk)
    ended = invoke("run", "-o", "table.txt")
    monkeypatch.undo()
    assert (ended.code, ended.out, ended.err) == (
        2,
        "",
        "attntrace: table.txt could not be written: No space left on device\n",
    )
    assert (folder / "table.txt").read_text() == "old\n"
    assert names(folder) == ["table.txt"]


@pytest.mark.usefixtures("folder")
def test_a_folder_that_is_not_there(invoke):
    """A file in a folder that does not exist is refused before the run."""
    ended = invoke("run", "-o", "none/table.txt")
    assert (ended.code, ended.out, ended.err) == (
        2,
        "",
        f"{HEAD}  -o none/table.txt: the directory none does not exist; make it first\n",
    )


def test_a_folder_is_no_file(invoke, folder):
    """A folder is refused before the run."""
    (folder / "results").mkdir()
    ended = invoke("run", "-o", "results")
    assert (ended.code, ended.out, ended.err) == (
        2,
        "",
        f"{HEAD}  -o results: is a directory; name a file in it\n",
    )


@pytest.mark.parametrize("locked", ["table.txt", "."])
def test_no_permission(locked, invoke, folder, monkeypatch):
    """A file, or a folder, that may not be written to is refused before the run."""
    (folder / "table.txt").write_text("old\n")
    allowed = os.access
    monkeypatch.setattr(
        os,
        "access",
        lambda p, mode: not (mode == os.W_OK and str(p) == locked) and allowed(p, mode),
    )
    ended = invoke("run", "-o", "table.txt")
    assert (ended.code, ended.out) == (2, "")
    assert ended.err == f"{HEAD}  -o table.txt: no permission to write to {locked}\n"
    assert (folder / "table.txt").read_text() == "old\n"


@pytest.mark.usefixtures("failing_forward")
def test_a_forward_that_raises_writes_what_there_is(call_main, folder):
    """A forward that raises leaves the table up to there in the file, and exits with 3."""
    ended = call_main("run", "--format", "csv", "-o", "rows.csv")
    lines = (folder / "rows.csv").read_text().splitlines()
    assert (ended.code, ended.out) == (3, "")
    panel, _, brief = ended.err.partition("wrote rows.csv\n")
    assert panel.startswith("attntrace: matmul failed in attention.attend at ")
    assert len(panel.splitlines()) > 3
    assert brief.startswith("attntrace: matmul failed in attention.attend at ")
    assert lines[-1].startswith("7,q_scaled,")


def test_a_file_need_not_be_readable_to_be_written(invoke, folder, monkeypatch):
    """A file that may be written and not read is written."""
    (folder / "table.txt").write_text("old\n")
    monkeypatch.setattr(os, "access", lambda path, mode: mode == os.W_OK)
    ended = invoke("run", "-o", "table.txt")
    assert (ended.code, ended.err) == (0, "wrote table.txt\n")


def test_a_new_file_has_the_mode_of_any_new_file(invoke, folder):
    """A new file is as readable as one that the shell would make."""
    (folder / "other.txt").touch()
    invoke("run", "-o", "table.txt")
    assert (folder / "table.txt").stat().st_mode == (folder / "other.txt").stat().st_mode


def test_an_old_file_keeps_its_mode(invoke, folder):
    """A private file stays private when it is written anew."""
    (folder / "table.txt").touch(mode=0o600)
    invoke("run", "-o", "table.txt")
    assert stat.S_IMODE((folder / "table.txt").stat().st_mode) == 0o600


def test_a_link_stays_a_link(invoke, folder):
    """Writing through a link changes the file that it points to, and not the link."""
    (folder / "real.txt").write_text("old\n")
    (folder / "link.txt").symlink_to("real.txt")
    invoke("run", "-o", "link.txt")
    assert (folder / "link.txt").is_symlink()
    assert (folder / "real.txt").read_text(encoding="utf-8").startswith("attention: batch 13 ")


def test_what_is_no_regular_file_is_not_replaced(invoke, folder):
    """A pipe or a device, such as /dev/null, is still one afterwards."""
    os.mkfifo(folder / "pipe")
    reader = os.open(folder / "pipe", os.O_RDWR | os.O_NONBLOCK)
    try:
        invoke("run", "-o", "pipe")
    finally:
        os.close(reader)
    assert stat.S_ISFIFO((folder / "pipe").stat().st_mode)
