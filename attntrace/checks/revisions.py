"""Files as they were at a revision, by git's plumbing: nothing of the repository is touched."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

from attntrace.checks.find import YAML

_KINDS = (*YAML, ".json", ".py")
"""What may be compared, of all files of a revision."""
_SHALLOW = (
    "this clone is shallow: git fetch --unshallow gets the rest; so does fetch-depth: 0 of "
    "actions/checkout"
)
_EVERY_FILE = (
    *("-c", "core.sparseCheckout=false"),
    *("-c", "core.splitIndex=false"),
    *("-c", "core.fsmonitor=false"),
)
"""Settings under which all is exported, and nothing is kept in the repository."""
_ENVIRONMENT = {"LC_ALL": "C", "GIT_PAGER": "cat", "GIT_TERMINAL_PROMPT": "0"}


class RevisionError(ValueError):
    """A revision or a file of one that cannot be got; the message says why, and what to do."""


@dataclass(frozen=True, slots=True)
class Revision:
    """One commit of the repository around the current folder."""

    name: str
    """As the user wrote it: "HEAD~1"."""
    commit: str
    """Its full hash."""
    top: Path
    """The outermost folder of the repository."""
    prefix: str
    """The current folder below it: "" or "models/"."""


@dataclass(frozen=True, slots=True)
class Tree:
    """The files of a revision, in a folder outside of the repository."""

    at: Revision
    root: Path

    @property
    def here(self) -> Path:
        """What the current folder is in it."""
        return self.root / self.at.prefix

    def moved(self, folder: str) -> str:
        """Return an entry of sys.path as it is in here; one outside of the repository as it is."""
        path = Path(folder or ".").resolve()
        return str(self.root / path.relative_to(self.at.top)) if self.is_now(path) else folder

    def stray(self, modules: Iterable[str]) -> str | None:
        """Return the file of a module that is the repository's as it is now, None if there is none."""
        for name in modules:
            file = getattr(sys.modules.get(name), "__file__", None)
            if file and self.is_now(Path(file)):
                return str(file)
        return None

    def is_now(self, path: Path) -> bool:
        """Whether a file or a folder is the repository's as it is now, and no part of Python's."""
        path, environment = path.resolve(), Path(sys.prefix).resolve()
        return path.is_relative_to(self.at.top) and not path.is_relative_to(environment)


def revision(name: str) -> Revision:
    """Return the commit that a name stands for.

    Raises:
        RevisionError: no git, no repository here, or no such revision in it.

    """
    top, prefix = _said(_git("rev-parse", "--show-toplevel", "--show-prefix")).split("\n")[:2]
    if name.startswith("-"):  # which no revision does, and git would take for an option
        raise RevisionError(_no_revision(name))
    found = _git("rev-parse", "--verify", "--quiet", f"{name}^{{commit}}")
    if found.returncode:
        raise RevisionError(_no_revision(name))
    return Revision(name, _said(found).strip(), Path(top), prefix)


def bytes_at(at: Revision, path: str) -> bytes:
    """Return what a file was at a revision; `path` is relative to the current folder.

    Raises:
        RevisionError: there was no such file.

    """
    found = _git("cat-file", "blob", _object(at, path))
    if found.returncode == 0:
        return found.stdout
    kind = _git("cat-file", "-t", _object(at, path))
    if kind.stdout.strip() == b"tree":
        raise RevisionError(f"is a directory in {at.name}; name a file in it")
    if "outside repository" in _reason(kind):
        raise RevisionError(f"{path!r} lies outside of the repository {at.top}")
    raise RevisionError(_no_file(at, path))


def export(at: Revision, folder: Path) -> None:
    """Write every file of a revision below a folder.

    Not by `git archive`, which leaves out what is marked `export-ignore`.

    Raises:
        RevisionError: git could not read or write a file.

    """
    index = {"GIT_INDEX_FILE": str(folder / ".git-index")}
    here = (*_EVERY_FILE, "-C", str(at.top))
    to = ("--all", "--force", "--quiet", f"--prefix={folder}{os.sep}")
    _said(_git(*here, "read-tree", at.commit, **index))
    _said(_git(*here, "checkout-index", *to, **index))


def _git(*arguments: str, **more: str) -> subprocess.CompletedProcess[bytes]:
    """Return how git ended. RevisionError if there is none."""
    git = shutil.which("git")
    if git is None:
        raise RevisionError("git is needed for a revision, and is not installed or not on PATH")
    return subprocess.run(  # noqa: S603 - a list of words, and no shell
        [git, "--no-pager", *arguments],
        env={**os.environ, **_ENVIRONMENT, **more},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=False,
    )


def _said(ended: subprocess.CompletedProcess[bytes]) -> str:
    """Return what git wrote. RevisionError with its own words if it failed."""
    if ended.returncode:
        raise RevisionError(_reason(ended))
    return os.fsdecode(ended.stdout)


def _reason(ended: subprocess.CompletedProcess[bytes]) -> str:
    """Return why git failed: in our words where there is no repository, else in its own."""
    text = os.fsdecode(ended.stderr).strip()
    if "not a git repository" in text:
        return f"a revision needs a git repository, and {Path.cwd()} is in none"
    return f"git: {text.removeprefix('fatal: ') or f'exit code {ended.returncode}'}"


def _object(at: Revision, path: str) -> str:
    """Return git's name of a file, from the current folder; it cannot begin with a "-"."""
    return f"{at.commit}:./{Path(os.path.relpath(path)).as_posix()}"


def _no_revision(name: str) -> str:
    refs = _said(_git("for-each-ref", "--format=%(refname:short)")).splitlines()
    near = [ref for ref in refs if ref.endswith(f"/{name}")] or get_close_matches(name, refs, n=1)
    meant = f"; did you mean {near[0]!r}?" if near else ""
    shallow = _git("rev-parse", "--is-shallow-repository").stdout.strip() == b"true"
    return f"no revision {name!r}{meant}" + (f"; {_SHALLOW}" if shallow else "")


def _no_file(at: Revision, path: str) -> str:
    whole = ("-r", "-z", "--name-only", "--full-tree")
    names = _said(_git("ls-tree", *whole, at.commit)).split("\0")
    here = [os.path.relpath(at.top / name) for name in names if name.endswith(_KINDS)]
    near = get_close_matches(path, here, n=1)
    return f"no file {path!r} in {at.name}" + (f"; did you mean {near[0]!r}?" if near else "")
