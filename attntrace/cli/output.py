"""Where a result goes: to stdout, or to a file that is written whole or not at all."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import typer

from attntrace.cli.stop import end_if_pressed
from attntrace.errors import AttntraceError, Problem
from attntrace.files import write_whole

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
