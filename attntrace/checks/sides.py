"""The two sides of `attntrace diff`: configs that are run, files that are read, now or as they were."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, chdir, contextmanager, redirect_stdout
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from attntrace.checks.alone import alone
from attntrace.checks.find import YAML
from attntrace.checks.revisions import Revision, RevisionError, Tree, bytes_at, export, revision
from attntrace.checks.saved import read
from attntrace.errors import BuildError, ForwardError, Problem, SettingsError, TooLargeError
from attntrace.record.snapshot import Snapshot
from attntrace.spec.target import HF, code_of, is_target

if TYPE_CHECKING:
    from attntrace.spec import Loaded, LoadedSubject

_JSON = ".json"
_FILES = (*YAML, _JSON)
_AT_REVISION = re.compile(r"(?P<name>(?:[^:{}]|\{[^{}]*\})+):(?P<path>.*)", re.DOTALL)
_SHORT = 7
_NO_PATH = "of which file? Write {0}FILE.yaml"
_WHICH_FILE = "of a revision, name a file: {0}:FILE.yaml, {0}:FILE.json or {0}:FILE.py:NAME"
_REVISION = "is a revision; of which file? Write {0}:FILE.yaml"
_FOLDER = "is a folder, and diff is of two files; attntrace check runs all of a folder"
_ABSOLUTE = "{!r} is code as it is now; write it relative to {} to have that of {}"
_STRAY = (
    "{} was imported, which is code as it is now and not that of {}; put the folder that it is "
    "installed from on PYTHONPATH"
)


@dataclass(frozen=True, slots=True)
class Wishes:
    """What the flags ask of the sides that are run."""

    sets: Sequence[str] = ()
    device: str | None = None
    """None for each config's own."""
    init: Sequence[str] = ()
    """For code of the user's own alone, as are `inputs` and `sizes`."""
    inputs: Sequence[str] = ()
    sizes: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Side:
    """One side, once it is clear what it is."""

    name: str
    """As the user wrote it, with the path of the other side where it was left out."""
    of: Snapshot | Loaded | LoadedSubject
    """What was read, or what is to be run."""
    at: Revision | None = None
    tree: Tree | None = None
    """The files of that revision, where something of them is to be run."""

    @property
    def called(self) -> str:
        """What it is called beside the other: its name, and the commit that it is of."""
        return f"{self.name} ({self.at.commit[:_SHORT]})" if self.at else self.name

    @property
    def is_own(self) -> bool:
        """Whether code of the user's own is to be run."""
        from attntrace.spec import LoadedSubject

        return isinstance(self.of, LoadedSubject)

    @property
    def notes(self) -> tuple[str, ...]:
        """What of its settings is left out."""
        return () if isinstance(self.of, Snapshot) else self.of.notes

    def snapshot(self) -> Snapshot:
        """Run it, code of the user's own in its own process; return what of it is compared.

        Raises:
            SettingsError: settings that do not fit the code, or a device that is not there.
            TooLargeError: the device has less memory than the run is sure to need.
            BuildError: it could not be built or run; the message has the panel.

        """
        if isinstance(self.of, Snapshot):
            return self.of
        try:
            return alone(_own, self.of, self.tree) if self.is_own else _ran(self.of)
        except SettingsError as error:
            raise _told(error, self.at) from None
        except TooLargeError as error:
            raise TooLargeError(f"{self.called} did not run\n{error}") from error
        except (BuildError, ForwardError) as error:
            raise BuildError(f"{self.called} did not run\n{self._named(str(error))}") from error

    def _named(self, text: str) -> str:
        """Return a text that calls files of the tree as git does."""
        tree = self.tree
        return text.replace(f"{tree.root}{os.sep}", f"{tree.at.name}:") if tree else text


@contextmanager
def sides(before: str, after: str, wishes: Wishes) -> Iterator[tuple[Side, Side]]:
    """Yield both sides, read or ready to be run within the block.

    A side is FILE.yaml, a preset or a target; FILE.json, a saved trace or a baseline; or a file or
    a target at a revision, `REV:PATH`. `REV:` alone takes the path of the other side.

    Raises:
        SettingsError: with what is wrong with both.
        TraceFileError, BaselineError: a JSON file that is neither, or of a newer attntrace.

    """
    problems: list[Problem] = []
    found: list[Side] = []
    with ExitStack() as stack:
        for text, other in ((before, after), (after, before)):
            whole = _completed(text, other)
            try:
                found.append(_opened(whole, wishes, stack))
            except RevisionError as error:
                problems.append(Problem("file", str(error), whole))
            except SettingsError as error:
                problems += error.problems
        problems = problems or list(_unused(found, wishes))
        if problems:
            raise SettingsError(list({str(one): one for one in problems}.values()))
        yield found[0], found[1]


def _split(text: str) -> tuple[str, str] | None:
    """Return a revision and a path, "" where it was left out; None of what is at none."""
    found = _AT_REVISION.fullmatch(text)
    if found is None or text.startswith(HF) or Path(text).exists():
        return None
    name, path = found["name"], found["path"]
    return (name, path) if _is_file(path) or not is_target(text) else None


def _is_file(path: str) -> bool:
    """Whether this is how something is named that a revision may have."""
    return path.endswith(_FILES) or is_target(path)


def _is_saved(path: str) -> bool:
    return path.endswith(_JSON) and not is_target(path)


def _completed(text: str, other: str) -> str:
    """Return `REV:` with the path of the other side, where that is a file."""
    split = _split(text)
    if split is None or split[1]:
        return text
    beside = _split(other)
    path = other if beside is None else beside[1]
    return text + path if _is_file(path) else text


def _is_revision(text: str) -> bool:
    try:
        revision(text)
    except RevisionError:
        return False
    return True


def _opened(text: str, wishes: Wishes, stack: ExitStack) -> Side:
    from attntrace.spec.presets import path_of

    split = _split(text)
    if split is None:
        path = Path(text)
        if path.is_dir():
            raise SettingsError([Problem("file", _FOLDER, text)])
        named = path.exists() or _is_file(text) or path_of(text)
        if not named and _is_revision(text):
            raise RevisionError(_REVISION.format(text))
        saved = _is_saved(text) or path.is_fifo()
        return Side(text, read(_bytes_of(path), text) if saved else _loaded(text, wishes))
    name, path_then = split
    if not _is_file(path_then):
        raise RevisionError(_WHICH_FILE.format(name) if path_then else _NO_PATH.format(text))
    at = revision(name)
    if _is_saved(path_then):
        return Side(text, read(bytes_at(at, path_then), text), at)
    tree = Tree(at, Path(stack.enter_context(TemporaryDirectory(prefix="attntrace-"))).resolve())
    try:
        return Side(text, _loaded_in(tree, path_then, wishes), at, tree)
    except SettingsError as error:
        raise _told(error, at) from None


def _bytes_of(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        message = f"cannot be read: {error.strerror}"
        raise SettingsError([Problem("file", message, str(path))]) from error


def _loaded(file: str, wishes: Wishes) -> Loaded | LoadedSubject:
    from attntrace.spec import Typed, asks_for_subject, load, load_subject

    flags = {} if wishes.device is None else {"run.device": wishes.device}
    if asks_for_subject(file):
        typed = Typed(wishes.init, wishes.inputs, wishes.sizes)
        return load_subject(file, sets=wishes.sets, flags=flags, typed=typed)
    return load(file, sets=wishes.sets, flags=flags)


def _loaded_in(tree: Tree, path: str, wishes: Wishes) -> Loaded | LoadedSubject:
    """Return what a config or a target of a revision asks for, with the code as it was then."""
    from attntrace.spec import LoadedSubject, asks_for_subject

    tree.here.mkdir(parents=True, exist_ok=True)
    if not is_target(path):
        path = os.path.relpath(path)
        file = tree.here / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(bytes_at(tree.at, path))
    with chdir(tree.here):  # files then have the names that the user knows
        if asks_for_subject(path):
            export(tree.at, tree.root)
        loaded = _loaded(path, wishes)
    if isinstance(loaded, LoadedSubject) and _is_of_now(loaded.spec.target, tree):
        message = _ABSOLUTE.format(loaded.spec.target, tree.at.top, tree.at.name)
        raise loaded.placed(SettingsError([Problem("target", message)]))
    return loaded


def _is_of_now(target: str, tree: Tree) -> bool:
    """Whether a target is a file of the repository that is not as it was then."""
    code = code_of(target)
    file = Path(target.removeprefix(HF)) if code is None else code.file
    return file is not None and file.is_absolute() and tree.is_now(file)


def _told(error: SettingsError, at: Revision | None) -> SettingsError:
    """Return an error that says which revision a file is of."""
    if at is None:
        return error
    return SettingsError([
        one
        if not one.where or one.where.startswith("--")
        else replace(one, where=f"{at.name}:{one.where}")
        for one in error.problems
    ])  # fmt: skip


def _unused(found: Sequence[Side], wishes: Wishes) -> Iterator[Problem]:
    """Yield a problem for each flag that means nothing to either side."""
    ran = any(not isinstance(side.of, Snapshot) for side in found)
    own = any(side.is_own for side in found)
    device = () if wishes.device is None else (wishes.device,)
    of_runs = {"set": wishes.sets, "device": device}
    of_code = {"init": wishes.init, "input": wishes.inputs, "size": wishes.sizes}
    for flags, has_use, why in (
        (of_runs, ran, "both sides are read, and neither is run"),
        (of_code, own, "neither side is code of your own that is run"),
    ):
        for flag, texts in flags.items() if not has_use else ():
            yield from (Problem(flag, why, f"--{flag} {text}") for text in texts)


def _ran(loaded: Loaded | LoadedSubject) -> Snapshot:
    from attntrace.analysis.snapshot import snapshot_of
    from attntrace.checks.one import run
    from attntrace.checks.untouched import untouched

    with untouched(), redirect_stdout(sys.stderr):  # what a run prints is no result
        return snapshot_of(run(loaded).facts)


def _own(loaded: LoadedSubject, tree: Tree | None) -> Snapshot:
    """Run code of the user's own in this process, which is for nothing else."""
    if tree is None:
        return _ran(loaded)
    sys.path[:] = [tree.moved(folder) for folder in sys.path]
    os.chdir(tree.here)
    before = set(sys.modules)
    snapshot = _ran(loaded)
    new = (name for name in set(sys.modules) - before if name.partition(".")[0] != "attntrace")
    stray = tree.stray(new)
    if stray:
        raise BuildError(_STRAY.format(stray, tree.at.name))
    return snapshot
