"""Files that are written whole or not at all: whoever reads one, or stops the writer, sees no half."""

from __future__ import annotations

import os
import stat
import tempfile
from pathlib import Path

from attntrace.errors import AttntraceError


def write_whole(path: Path, text: str) -> None:
    r"""Write a file as UTF-8 with "\n" at the ends of lines, through a temporary one beside it.

    What is there stays whole until the new one is on the disk, and whatever stops the writing. A link
    is followed, a file that is there keeps its mode, and what is no regular file (a pipe,
    /dev/null) is written to, not replaced.

    Raises:
        AttntraceError: the disk is full, there is no permission, or the directory is not there.

    """
    target = Path(os.path.realpath(path))
    try:
        if target.exists() and not target.is_file():
            target.write_text(text, encoding="utf-8", newline="")
        else:
            _replace(target, text)
    except OSError as error:
        raise AttntraceError(f"{path} could not be written: {reason(error)}") from error


def reason(error: OSError) -> str:
    """Return why the system refused something, in its own words."""
    return error.strerror or str(error) or type(error).__name__


def _replace(path: Path, text: str) -> None:
    mode = stat.S_IMODE(path.stat().st_mode) if path.exists() else 0o666 & ~_umask()
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    temporary = Path(name)
    try:
        with os.fdopen(handle, "w", encoding="utf-8", newline="") as file:
            file.write(text)
            file.flush()
            os.fsync(handle)  # else a crash of the machine may leave the new name without its bytes
        temporary.chmod(mode)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
