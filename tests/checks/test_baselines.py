"""The folder of baselines: what is read, what is written and what is deleted, and never more."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path

import pytest

from attntrace.analysis.snapshot import snapshot_of
from attntrace.checks.baselines import Folder
from attntrace.errors import AttntraceError, BaselineError
from attntrace.record.snapshot import Measured
from attntrace.record.snapshot_text import to_text
from tests.builders import fake_trace

KEY = "configs/gpt2.yaml"
FILE = f".attntrace/{KEY}.json"
SNAPSHOT = snapshot_of(fake_trace())
TEXT = to_text(SNAPSHOT)
OTHER = replace(SNAPSHOT, parameters=7)
NEWER = TEXT.replace('"schema_version": 1', '"schema_version": 2')
FOLDER = Folder(Path(".attntrace"))
NOT_OURS = "; move it away, or name another folder with --baselines"


def below(folder):
    """Return everything that lies below a folder, by path."""
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


def test_what_is_written_is_read(write):
    """A folder is made where there is none, and the file is the text of the snapshot."""
    here = write({})
    assert FOLDER.read(KEY) is None
    assert FOLDER.write(KEY, SNAPSHOT) == Path(FILE)
    assert FOLDER.read(KEY) == SNAPSHOT
    assert Path(FILE).read_bytes() == TEXT.encode()
    assert below(here) == [".attntrace", ".attntrace/configs", FILE]


@pytest.mark.parametrize("text", [TEXT, TEXT.replace("\n", "\r\n")], ids=["plain", "windows"])
def test_the_same_is_not_written_again(text, write):
    """Where the text is there already, the file is not touched: not by git's ends of lines either."""
    write({FILE: ""})
    Path(FILE).write_bytes(text.encode())
    os.utime(FILE, (7, 7))
    assert FOLDER.write(KEY, SNAPSHOT) is None
    assert (Path(FILE).read_bytes(), Path(FILE).stat().st_mtime) == (text.encode(), 7)


def test_other_devices_stay(write):
    """What was measured elsewhere is kept, and what was measured here replaced."""
    write({})
    there, here = Measured(peak_nbytes=1), Measured(peak_nbytes=2)
    FOLDER.write(KEY, replace(SNAPSHOT, measured={"cuda NVIDIA H100": there, "cpu": there}))
    FOLDER.write(KEY, replace(OTHER, measured={"cpu": here}))
    measured = {"cpu": here, "cuda NVIDIA H100": there}
    assert FOLDER.read(KEY) == replace(OTHER, measured=measured)


@pytest.mark.parametrize("text", ["", " \n", TEXT[:-9], TEXT.replace("49", "x"), TEXT + "}"])
def test_what_is_damaged_is_written_anew(text, write):
    """As every message about a damaged baseline promises."""
    write({FILE: text})
    with pytest.raises(BaselineError, match=r"--update` writes it anew$"):
        FOLDER.read(KEY)
    assert FOLDER.replaceable(KEY) is None
    assert FOLDER.write(KEY, SNAPSHOT) == Path(FILE)
    assert FOLDER.read(KEY) == SNAPSHOT


def test_bytes_that_are_no_text(write):
    """A byte that is no UTF-8 is damage."""
    write({FILE: ""})
    Path(FILE).write_bytes(TEXT.encode().replace(b"Scores", b"Sc\xffres"))
    with pytest.raises(BaselineError, match=r"gpt2\.yaml\.json: damaged: .* at line 3; "):
        FOLDER.read(KEY)
    assert FOLDER.write(KEY, SNAPSHOT) == Path(FILE)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('{"a": 1}', f"not a baseline, and not written over{NOT_OURS}"),
        (
            NEWER,
            "schema_version 2 is newer than the 1 that this attntrace reads; install a newer attntrace",
        ),
    ],
    ids=["of others", "newer"],
)  # fmt: skip
def test_what_is_not_ours_is_not_written_over(text, said, write):
    """Neither a file of somebody else's nor the baseline of a newer attntrace is lost."""
    write({FILE: text})
    with pytest.raises(BaselineError) as caught:
        FOLDER.write(KEY, SNAPSHOT)
    assert str(caught.value) == f"{FILE}: {said}"
    assert caught.value.exit_code == 2
    assert Path(FILE).read_text() == text


def directory(path):
    path.mkdir(parents=True)


def pipe(path):
    path.parent.mkdir(parents=True)
    os.mkfifo(path)


def loop(path):
    path.parent.mkdir(parents=True)
    path.symlink_to(path.name)


def file_around(path):
    path.parent.parent.mkdir()
    path.parent.write_text("")


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (directory, f"is a folder where a baseline was expected{NOT_OURS}"),
        (pipe, f"is no regular file where a baseline was expected{NOT_OURS}"),
        (loop, "could not be read: Too many levels of symbolic links"),
        (file_around, "could not be read: Not a directory"),
    ],
)
def test_something_else_in_its_place(make, said, write):
    """It is said what is there; nothing is waited for, and nothing written."""
    write({})
    make(Path(FILE))
    for use in (FOLDER.read, lambda key: FOLDER.write(key, SNAPSHOT)):
        with pytest.raises(BaselineError) as caught:
            use(KEY)
        assert str(caught.value) == f"{FILE} {said}"


def refuse(*args, **kwargs):
    raise PermissionError(13, "Permission denied")


def test_no_permission(write, monkeypatch):
    """A baseline that may not be read, made or written is said to be so, and stays as it is."""
    write({FILE: TEXT})
    with monkeypatch.context() as locked:
        locked.setattr(Path, "read_text", refuse)
        with pytest.raises(BaselineError) as caught:
            FOLDER.read(KEY)
    assert str(caught.value) == f"{FILE} could not be read: Permission denied"
    with monkeypatch.context() as locked:
        locked.setattr("tempfile.mkstemp", refuse)
        with pytest.raises(AttntraceError) as caught:
            FOLDER.write(KEY, OTHER)
    assert str(caught.value) == f"{FILE} could not be written: Permission denied"
    with monkeypatch.context() as locked:
        locked.setattr(Path, "mkdir", refuse)
        with pytest.raises(BaselineError) as caught:
            FOLDER.write("more/gpt2.yaml", OTHER)
    assert str(caught.value) == ".attntrace/more could not be made: Permission denied"
    assert Path(FILE).read_text() == TEXT


def test_only_what_is_nobodys_is_deleted(write):
    """Of a folder with all there may be in it, what had an owner and has none goes, no more."""
    kept = {
        "configs/gpt2.yaml": "", "models/vit.py": "class Block: ...", ".attntrace/gpt2.json": TEXT,
        ".attntrace/configs/gpt2.yaml.json": TEXT, ".attntrace/models/vit.py#Block.json": TEXT,
        ".attntrace/given.yaml.json": TEXT, ".attntrace/newer.yaml.json": NEWER,
        ".attntrace/broken.yaml.json": TEXT[:-9], ".attntrace/mine.json": json.dumps([1]),
        ".attntrace/old/notes.txt": TEXT, ".attntrace/hidden.json.tmp": TEXT,
        "outside/gone.yaml.json": TEXT,
    }  # fmt: skip
    gone = {
        ".attntrace/configs/gone.yaml.json", ".attntrace/gpt1.json", ".attntrace/old/a/b.yaml.json",
        ".attntrace/models/vit.py#Gone.json", ".attntrace/new/a.yaml.json",
    }  # fmt: skip
    here = write({**kept, **dict.fromkeys(gone, TEXT)})
    (here / ".attntrace/link").symlink_to(here / "outside")
    (here / ".attntrace/link.yaml.json").symlink_to(here / "outside/gone.yaml.json")
    deleted = FOLDER.prune(["given.yaml"])
    assert {path.as_posix() for path in deleted} == gone
    assert list(deleted) == sorted(deleted, key=lambda path: (path.parent, path.name))
    left = {path for path in below(here) if (here / path).is_file()}
    assert left == {*kept, ".attntrace/link.yaml.json"}
    assert not (here / ".attntrace/new").exists()
    assert not (here / ".attntrace/old/a").exists()
    assert FOLDER.prune() == (Path(".attntrace/given.yaml.json"),)


def test_pruning_is_the_same_from_anywhere(write, monkeypatch):
    """From another current folder the same configs are there, and no baseline is taken from them."""
    here = write({"configs/gpt2.yaml": "", FILE: TEXT, "elsewhere/x": ""})
    monkeypatch.chdir(here / "elsewhere")
    assert Folder(Path("../.attntrace")).prune() == ()
    assert Folder(here / ".attntrace").prune() == ()
    (here / "configs/gpt2.yaml").unlink()
    assert Folder(Path("../.attntrace")).prune() == (Path("..") / FILE,)
    assert below(here) == [".attntrace", "configs", "elsewhere", "elsewhere/x"]


def test_a_folder_that_is_not_there_has_nothing_to_prune(write):
    """Before the first update there is nothing."""
    write({})
    assert FOLDER.prune() == ()


def test_what_cannot_be_deleted(write, monkeypatch):
    """It is named."""
    write({FILE: TEXT})
    monkeypatch.setattr(Path, "unlink", refuse)
    with pytest.raises(BaselineError) as caught:
        FOLDER.prune()
    assert str(caught.value) == f"{FILE} could not be deleted: Permission denied"
    monkeypatch.setattr(os, "scandir", refuse)
    with pytest.raises(BaselineError, match=r"could not be read: Permission denied$"):
        FOLDER.prune()
