"""Where a result goes: to stdout, or to a file that is written whole or not at all."""

from __future__ import annotations

import os
import stat
import sys
import tempfile
from pathlib import Path

import typer

from attntrace.cli.stop import end_if_pressed
from attntrace.errors import AttntraceError, Problem

_PLAIN = str.maketrans({"─": "-", "·": ".", "…": "~", "█": "#"})


def deliver(text: str, output: Path | None) -> None:
    """Write a result to stdout, or to a file, which is said on stderr.

    Raises:
        AttntraceError: stdout or the file could not be written.

    """
    end_if_pressed()
    if output is None:
        _write_out(text)
    else:
        write_whole(output, text)
        typer.echo(f"wrote {output}", err=True)


def _write_out(text: str) -> None:
    encoding = sys.stdout.encoding or "utf-8"
    try:
        text.encode(encoding)
    except UnicodeEncodeError:
        text = text.translate(_PLAIN).encode(encoding, errors="replace").decode(encoding)
    try:
        sys.stdout.write(text)
        sys.stdout.flush()
    except OSError as error:
        # what is still buffered must not be tried again when Python exits
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if not isinstance(error, BrokenPipeError):  # a reader who has seen enough is no error
            message = f"stdout could not be written: {error.strerror}"
            raise AttntraceError(message) from error


def unwritable(path: Path) -> Problem | None:
    """Return why a file could not be written, None if it could, without touching it."""
    where = f"-o {path}"
    if path.is_dir():
        return Problem("output", "is a directory; name a file in it", where)
    parent = path.parent
    if not parent.is_dir():
        return Problem("output", f"the directory {parent} does not exist; make it first", where)
    for needed in (path, parent) if path.exists() else (parent,):
        if not os.access(needed, os.W_OK):
            return Problem("output", f"no permission to write to {needed}", where)
    return None


def write_whole(path: Path, text: str) -> None:
    """Write a file through a temporary one beside it, so that no reader sees half of it.

    A link is followed, a file that is there keeps its mode, and what is no regular file (a pipe,
    /dev/null) is written to, not replaced.

    Raises:
        AttntraceError: the disk is full, or the directory went away meanwhile.

    """
    target = path.resolve()
    try:
        if target.exists() and not target.is_file():
            target.write_text(text, encoding="utf-8")
        else:
            _replace(target, text)
    except OSError as error:
        raise AttntraceError(f"{path} could not be written: {error.strerror}") from error


def _replace(path: Path, text: str) -> None:
    mode = stat.S_IMODE(path.stat().st_mode) if path.exists() else 0o666 & ~_umask()
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    temporary = Path(name)
    try:
        with os.fdopen(handle, "w", encoding="utf-8", newline="") as file:
            file.write(text)
        temporary.chmod(mode)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
