"""What a worker process does: it runs configs, one after another, until nobody asks any more."""

from __future__ import annotations

import faulthandler
import gc
import os
import signal
import sys
import traceback
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from attntrace.checks.find import Checked
from attntrace.checks.one import check_one
from attntrace.checks.options import Options
from attntrace.record.outcomes import Outcome

_STOPPED = 130


@dataclass(frozen=True, slots=True)
class Answer:
    """What a worker says of a config: what came of it, or the traceback of a bug of ours."""

    outcome: Outcome | None
    bug: str = ""


def work(pipe: Connection, others: Sequence[Connection], options: Options) -> None:
    """Answer each config that comes through a pipe, until nobody holds its other end."""
    for other in others:  # of other workers, which must see it when the parent is gone
        other.close()
    settle()
    try:
        while True:
            pipe.send(_answer(pipe.recv(), options))
    except (EOFError, ConnectionError, KeyboardInterrupt):
        os._exit(_STOPPED)  # whatever the user's code has left running


def _answer(checked: Checked, options: Options) -> Answer:
    try:
        return Answer(check_one(checked, options))
    except Exception:  # noqa: BLE001 - whatever escapes is a bug of ours
        return Answer(None, traceback.format_exc())


def settle() -> None:
    """Make this a process that reads nothing from stdin, writes to stderr, and ends on SIGTERM.

    In a group of its own it is not told of Ctrl-C, and can be ended with all that it has started.
    """
    if hasattr(os, "setpgid"):
        os.setpgid(0, 0)
    signal.signal(signal.SIGTERM, _stop)
    signal.signal(signal.SIGINT, _stop)
    sys.unraisablehook = sys.__unraisablehook__
    with Path(os.devnull).open("rb") as nothing:
        os.dup2(nothing.fileno(), 0)
    os.dup2(2, 1)
    # a stream of the parent's may be held by a thread that is not in here
    sys.stderr = os.fdopen(2, "w", buffering=1, errors="backslashreplace", closefd=False)
    sys.stdout = sys.stderr
    faulthandler.enable()
    gc.freeze()  # half a million objects of torch's live as long as we do
    warnings.filterwarnings("ignore", message="Failed to initialize NumPy")


def _stop(_number: int, _frame: Any) -> None:
    raise KeyboardInterrupt
