"""Files as they were at a revision: what git has, and what is said where it has none."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from types import ModuleType

import pytest

from attntrace.checks.revisions import RevisionError, Tree, bytes_at, export, revision
from tests.repository import Repository, alone


@pytest.fixture
def repository(tmp_path, monkeypatch):
    """Work in a repository of two commits."""
    alone(monkeypatch)
    made = Repository(tmp_path / "made")
    made.commit({
        "configs/a.yaml": "heads: 2\n",
        "configs/-b.yaml": "heads: 3\n",
        "models/ein äpfel.yaml": "heads: 5\n",
        "tests/left.py": "left = 1\n",
        ".gitattributes": "tests export-ignore\n*.py export-subst\n",
    })  # fmt: skip
    made.commit({"configs/a.yaml": "heads: 4\n"})
    monkeypatch.chdir(made.top)
    return made


def message_of(function, *arguments):
    """Return what a function says that refuses a revision."""
    with pytest.raises(RevisionError) as caught:
        function(*arguments)
    return str(caught.value)


def test_a_file_then_and_now(repository):
    """A file is read as it was in each commit, whatever revisions are called."""
    repository.git("tag", "--no-sign", "v1", "HEAD~1")
    for name, text in {"HEAD~1": b"heads: 2\n", "v1": b"heads: 2\n", "main": b"heads: 4\n",
                       "@{0}": b"heads: 4\n", "HEAD^{/more}": b"heads: 4\n"}.items():  # fmt: skip
        assert bytes_at(revision(name), "configs/a.yaml") == text
    assert revision("v1").commit == repository.git("rev-parse", "HEAD~1")


@pytest.mark.parametrize(
    ("folder", "path", "text"),
    [
        ("configs", "a.yaml", b"heads: 4\n"),
        ("configs", "-b.yaml", b"heads: 3\n"),
        ("configs", "../models/ein äpfel.yaml", b"heads: 5\n"),
        ("configs", "{top}/configs/a.yaml", b"heads: 4\n"),
        ("", "models/../configs/./a.yaml", b"heads: 4\n"),
    ],
)
def test_paths_are_from_the_current_folder(folder, path, text, repository, monkeypatch):
    """A path is as the shell has it, also one that git would take for an option."""
    monkeypatch.chdir(repository.top / folder)
    assert bytes_at(revision("HEAD"), path.format(top=repository.top)) == text


def test_all_files_are_exported(repository, tmp_path, monkeypatch):
    """The files of a commit are written as they were committed, and nothing else changes."""
    repository.write({"configs/a.yaml": "heads: 8\n", "new.yaml": "heads: 16\n"})
    repository.git("config", "core.splitIndex", "true")
    repository.git("sparse-checkout", "set", "configs")
    index, status = repository.top / ".git/index", repository.git("status", "--short")
    before = {path.name for path in index.parent.iterdir()}, index.read_bytes()
    monkeypatch.chdir(repository.top / "configs")
    folder = tmp_path / "exported here"
    folder.mkdir()
    (folder / "configs").mkdir()
    (folder / "configs/a.yaml").write_text("of another time\n")
    export(revision("HEAD~1"), folder)
    written = {
        str(path.relative_to(folder)): path.read_text(encoding="utf-8")
        for path in folder.rglob("*")
        if path.is_file() and path.name not in (".git-index", ".gitattributes")
    }
    assert written == {
        "configs/a.yaml": "heads: 2\n",
        "configs/-b.yaml": "heads: 3\n",
        "models/ein äpfel.yaml": "heads: 5\n",
        "tests/left.py": "left = 1\n",
    }
    assert ({path.name for path in index.parent.iterdir()}, index.read_bytes()) == before
    assert repository.git("status", "--short") == status


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("HEAD~9", "no revision 'HEAD~9'"),
        ("mian", "no revision 'mian'; did you mean 'main'?"),
        ("work", "no revision 'work'; did you mean 'origin/work'?"),
        ("--all", "no revision '--all'"),
        ("HEAD:configs", "no revision 'HEAD:configs'"),
    ],
)
def test_no_such_revision(name, message, repository):
    """A name that stands for no commit is refused, with one that comes near."""
    repository.git("update-ref", "refs/remotes/origin/work", "HEAD")
    assert message_of(revision, name) == message


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("configs/aa.yaml", "no file 'configs/aa.yaml' in main; did you mean 'configs/a.yaml'?"),
        ("a.py", "no file 'a.py' in main"),
        ("configs", "is a directory in main; name a file in it"),
        ("../a.yaml", "'../a.yaml' lies outside of the repository {top}"),
    ],
)
def test_no_such_file(path, message, repository):
    """A path that is no file of the commit is refused, with one that comes near."""
    said = message_of(bytes_at, revision("main"), path)
    assert said == message.format(top=repository.top)


def test_a_path_from_the_top_in_a_folder_below(repository, monkeypatch):
    """Whoever writes a path as git does, from the outermost folder, is told the right one."""
    monkeypatch.chdir(repository.top / "models")
    assert message_of(bytes_at, revision("main"), "configs/a.yaml") == (
        "no file 'configs/a.yaml' in main; did you mean '../configs/a.yaml'?"
    )


def test_no_repository_and_no_git(tmp_path, monkeypatch):
    """Without a repository, or without git, that is what is said."""
    alone(monkeypatch)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    monkeypatch.chdir(tmp_path)
    assert message_of(revision, "HEAD") == (
        f"a revision needs a git repository, and {tmp_path} is in none"
    )
    monkeypatch.setenv("PATH", str(tmp_path))
    assert message_of(revision, "HEAD") == (
        "git is needed for a revision, and is not installed or not on PATH"
    )


def test_a_clone_that_has_not_all(repository, tmp_path, monkeypatch):
    """In a shallow clone a revision may be missing for that reason alone."""
    repository.git("clone", "--quiet", "--depth=1", f"file://{repository.top}", str(tmp_path / "c"))
    monkeypatch.chdir(tmp_path / "c")
    assert bytes_at(revision("HEAD"), "configs/a.yaml") == b"heads: 4\n"
    assert message_of(revision, "HEAD~1") == (
        "no revision 'HEAD~1'; this clone is shallow: git fetch --unshallow gets the rest; so does "
        "fetch-depth: 0 of actions/checkout"
    )


def test_what_is_imported_is_of_the_revision(repository, tmp_path, monkeypatch):
    """Folders of the repository are those of the tree; its modules as they are now are found."""
    environment = repository.top / ".venv"
    monkeypatch.setattr(sys, "prefix", str(environment))
    monkeypatch.chdir(repository.top / "configs")
    tree = Tree(revision("HEAD"), tmp_path / "tree")
    assert tree.here == tmp_path / "tree/configs"
    installed = str(environment / "lib")
    assert [tree.moved(f) for f in ("", str(repository.top / "src"), installed, "/usr")] == [
        str(tmp_path / "tree/configs"), str(tmp_path / "tree/src"), installed, "/usr",
    ]  # fmt: skip
    files = {"then": tmp_path / "tree/m.py", "lib": environment / "lib/l.py", "builtin": None}
    for name, file in {**files, "now": repository.top / "m.py"}.items():
        module = ModuleType(name)
        module.__file__ = file and str(file)
        monkeypatch.setitem(sys.modules, name, module)
    assert tree.stray(files) is None
    assert tree.stray([*files, "now"]) == str(repository.top / "m.py")
    assert Path.cwd() == repository.top / "configs"
    assert "GIT_INDEX_FILE" not in os.environ
