"""The folder of baselines: read one, write one, delete those whose config is gone."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from attntrace.checks.keys import has_owner
from attntrace.errors import BaselineError
from attntrace.files import reason, write_whole
from attntrace.record.snapshot import Snapshot
from attntrace.record.snapshot_text import (
    NOT_OURS,
    SNAPSHOT_VERSION,
    from_text,
    to_text,
    written_by,
)

SUFFIX = ".json"


@dataclass(frozen=True, slots=True)
class Folder:
    """A folder of baselines, there or not. Each has a key: see `keys`."""

    root: Path

    def path(self, key: str) -> Path:
        """Return the file of a baseline, there or not."""
        return self.root / f"{key}{SUFFIX}"

    def read(self, key: str) -> Snapshot | None:
        """Return a baseline, None where there is none.

        Raises:
            BaselineError: it cannot be read, is none, or was written by a newer attntrace.

        """
        path = self.path(key)
        text = _text_of(path)
        return None if text is None else from_text(text, str(path))

    def replaceable(self, key: str) -> Snapshot | None:
        """Return the baseline that `write` would replace; None where there is none or a damaged one.

        Raises:
            BaselineError: it may not be replaced: it is no baseline, or of a newer attntrace.

        """
        path = self.path(key)
        text = _text_of(path)
        if text is None or not text.strip():
            return None
        version = written_by(text)
        if version is None:
            raise BaselineError(f"{path}: not a baseline, and not written over; {NOT_OURS}")
        try:
            return from_text(text, str(path))
        except BaselineError:
            if version > SNAPSHOT_VERSION:
                raise
            return None

    def write(self, key: str, snapshot: Snapshot) -> Path | None:
        """Write a baseline and return its file; None where that has this very text already.

        The bytes that were measured on other devices stay in it. What is damaged is written anew.

        Raises:
            BaselineError: as `replaceable` does.
            AttntraceError: it cannot be written.

        """
        path = self.path(key)
        before = self.replaceable(key)
        measured = {} if before is None else before.measured
        text = to_text(replace(snapshot, measured={**measured, **snapshot.measured}))
        if text == _text_of(path):
            return None
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            message = f"{path.parent} could not be made: {reason(error)}"
            raise BaselineError(message) from error
        write_whole(path, text)
        return path

    def prune(self, owned: Iterable[str] = ()) -> tuple[Path, ...]:
        """Delete the baselines of configs and code that are gone, and return what was deleted.

        What was left out of a run stays as long as it is there, and so does what has a key in
        `owned`. Other files, links and what is behind them are left alone; folders that end up empty
        are deleted, too.

        Raises:
            BaselineError: a folder cannot be read, or a file not deleted.

        """
        kept = {self.path(key) for key in owned}
        gone = [path for path in self._all() if path not in kept and not self._has_owner(path)]
        for path in gone:
            try:
                path.unlink()
            except OSError as error:
                raise BaselineError(f"{path} could not be deleted: {reason(error)}") from error
            self._delete_empty(path.parent)
        return tuple(gone)

    def _has_owner(self, path: Path) -> bool:
        key = path.relative_to(self.root).as_posix().removesuffix(SUFFIX)
        return has_owner(key, self.root)

    def _all(self) -> Iterator[Path]:
        """Yield the files of baselines that this attntrace can read, in order, without links."""
        for folder, below, files in os.walk(self.root, onerror=_refuse):
            below.sort()
            for name in sorted(files):
                path = Path(folder, name)
                if name.endswith(SUFFIX) and not path.is_symlink() and _is_baseline(path):
                    yield path

    def _delete_empty(self, folder: Path) -> None:
        """Delete a folder and those around it as long as they are empty; never the root."""
        while folder != self.root:
            try:
                folder.rmdir()
            except OSError:  # something else is in it
                return
            folder = folder.parent


def _is_baseline(path: Path) -> bool:
    try:
        text = _text_of(path)
        return text is not None and bool(written_by(text)) and bool(from_text(text, str(path)))
    except BaselineError:
        return False


def _text_of(path: Path) -> str | None:
    r"""Return the text of a file with "\n" at the ends of lines, None where there is no file.

    It has no byte order mark. Bytes that are no UTF-8 are replaced in it, by something that is no ASCII either.

    Raises:
        BaselineError: it cannot be read, or is a folder, a pipe or the like.

    """
    try:
        mode = path.stat().st_mode
        if stat.S_ISREG(mode):
            return path.read_text(encoding="utf-8-sig", errors="replace")
    except FileNotFoundError:
        return None
    except OSError as error:
        raise BaselineError(f"{path} could not be read: {reason(error)}") from error
    what = "a folder" if stat.S_ISDIR(mode) else "no regular file"
    raise BaselineError(f"{path} is {what} where a baseline was expected; {NOT_OURS}")


def _refuse(error: OSError) -> None:
    if not isinstance(error, FileNotFoundError):
        raise BaselineError(f"{error.filename} could not be read: {reason(error)}") from error
