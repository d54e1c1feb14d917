"""What code of the user's own raises, told with its innermost line and without a traceback."""

from __future__ import annotations

import linecache
import sysconfig
import traceback
from collections.abc import Iterator
from contextlib import contextmanager

from attntrace.capture.source import shown
from attntrace.errors import AttntraceError, BuildError, said

_OURS = ("torch", "attntrace", "importlib", "_frozen_importlib", "_frozen_importlib_external")
_LIBRARIES = tuple(sysconfig.get_paths()[name] for name in ("stdlib", "purelib", "platlib"))
_ANY = (Exception, SystemExit)


@contextmanager
def blamed(what: str, kinds: tuple[type[BaseException], ...] = _ANY) -> Iterator[None]:
    """Raise what the block raises as a BuildError: `what`, the error, the user's line.

    An error of attntrace's own, and what is none of `kinds`, is raised as it is.
    """
    try:
        yield
    except AttntraceError:
        raise
    except kinds as error:
        lines = [f"{what}: {_said(error)}", f"  {_place(error)}"]
        raise BuildError("\n".join(lines).rstrip()) from error


def _said(error: BaseException) -> str:
    if isinstance(error, SystemExit):
        return f"it ended Python with sys.exit({'' if error.code is None else repr(error.code)})"
    message = error.msg if isinstance(error, SyntaxError) else said(error)
    return f"{type(error).__name__}: {message}".removesuffix(": ")


def _place(error: BaseException) -> str:
    """Return "file:line: text" of the innermost line of the user's, empty where there is none."""
    if isinstance(error, SyntaxError) and error.filename:
        return _line(error.filename, error.lineno or 1)
    frames = [
        (frame.f_code.co_filename, line)
        for frame, line in traceback.walk_tb(error.__traceback__)
        if frame.f_globals.get("__name__", "").partition(".")[0] not in _OURS
        and frame.f_code.co_filename not in (__file__, contextmanager.__code__.co_filename)
    ]
    own = [found for found in frames if not found[0].startswith((*_LIBRARIES, "<frozen"))]
    found = (own or frames)[-1:]
    return _line(*found[0]) if found else ""


def _line(file: str, line: int) -> str:
    linecache.checkcache(file)
    return f"{shown(file)}:{line}: {linecache.getline(file, line).strip()}".removesuffix(": ")
