"""From errors to messages on stderr and exit codes. Nothing but a bug of ours shows a traceback."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager

import typer

from attntrace.cli.stop import stopped
from attntrace.errors import BUG, AttntraceError, SettingsError

OVER = 1
"""Over the budget, or a warning under --strict."""
_NO_SETTINGS = ("paths", "file")
"""What a problem is called that is with what was named, a file or a revision."""
EXIT_CODES = (
    "Exit codes: 0 fine; 1 a check found a difference, over budget, or a warning under --strict; 2 "
    "bad flags, settings or files, nothing to check, a missing baseline, or a run that cannot fit "
    "in memory; 3 the block failed to build or to run; 101 a bug in attntrace; 130 stopped by "
    "Ctrl-C, 143 by SIGTERM."
)
OF_CHECK = (
    "Exit codes, of several the highest: 0 all passed; 1 a run is not as its baseline, or not as "
    "expected; 2 a config or a baseline that is missing or cannot be read, a run that cannot fit in "
    "memory, bad flags, nothing to check; 3 a block that could not be built or run; 101 a bug in "
    "attntrace; 130 stopped by Ctrl-C, 143 by SIGTERM."
)
OF_DIFF = (
    "Exit codes: 0 the same; 1 they differ; 2 bad flags, files or revisions, or a run that cannot "
    "fit in memory; 3 a side failed to build or to run; 101 a bug in attntrace; 130 stopped by "
    "Ctrl-C, 143 by SIGTERM."
)


@contextmanager
def exit_codes(debug: bool) -> Iterator[None]:
    """Turn an error of ours into its message and its exit code."""
    try:
        yield
    except KeyboardInterrupt:
        raise typer.Exit(stopped()) from None
    except AttntraceError as error:
        if debug:
            traceback.print_exc()
        typer.echo(_message(error), err=True)
        raise typer.Exit(error.exit_code) from error


def _message(error: AttntraceError) -> str:
    if isinstance(error, SettingsError):
        count = len(error.problems)
        head = "1 problem" if count == 1 else f"{count} problems"
        lines = "\n".join(f"  {problem}" for problem in error.problems)
        of = "" if all(one.path in _NO_SETTINGS for one in error.problems) else " with the settings"
        return f"attntrace: {head}{of}\n{lines}"
    return f"attntrace: {error.brief}"


def report_bug(error: BaseException) -> int:
    """Say that attntrace is broken, and where; return the exit code."""
    traceback.print_exception(error)
    print(
        f"attntrace: this is a bug in attntrace, not in your block: {type(error).__name__}: "
        f"{error}\nPlease report it with the lines above.",
        file=sys.stderr,
    )
    return BUG
