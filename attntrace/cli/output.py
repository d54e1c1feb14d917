"""Where a result goes: to stdout, or to a file that is written whole or not at all."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from attntrace.errors import AttntraceError, Problem


def unwritable(path: Path) -> Problem | None:
    """Return why a file could not be written, None if it could, without touching it."""
    where = f"-o {path}"
    if path.is_dir():
        return Problem("output", "is a directory; name a file in it", where)
    parent = path.parent
    if not parent.is_dir():
        return Problem("output", f"the directory {parent} does not exist; make it first", where)
    target = path if path.exists() else parent
    if not os.access(target, os.W_OK) or not os.access(parent, os.W_OK):
        return Problem("output", f"no permission to write to {target}", where)
    return None


def write_whole(path: Path, text: str) -> None:
    """Write a file through a temporary one beside it, so that no reader sees half of it.

    Raises:
        AttntraceError: the disk is full, or the directory went away meanwhile.

    """
    handle, name = -1, ""
    try:
        handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
        with os.fdopen(handle, "w", encoding="utf-8", newline="") as file:
            file.write(text)
        Path(name).chmod(0o666 & ~_umask())
        Path(name).replace(path)
    except OSError as error:
        if name:
            Path(name).unlink(missing_ok=True)
        raise AttntraceError(f"{path} could not be written: {error.strerror}") from error


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
