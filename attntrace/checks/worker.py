"""What a worker process does: it runs configs, one after another, until nobody asks any more."""

from __future__ import annotations

import faulthandler
import gc
import os
import signal
import sys
import threading
import time
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from multiprocessing import parent_process
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from attntrace.checks.find import Checked
from attntrace.checks.one import outcome_of
from attntrace.checks.options import Options
from attntrace.record.outcomes import Outcome

SHARED = ("numpy", "sympy", "torch", "transformers")
"""Packages that take long to import, and that no folder of a user's has a module called as."""
_THREADED = "torch._inductor"
"""What starts processes that compile when it is imported."""
_STOPPED = 130
_OFTEN = 1.0


@dataclass(frozen=True, slots=True)
class Answer:
    """What a worker says of a config."""

    outcome: Outcome
    imported: tuple[str, ...] = ()
    """Modules of `SHARED` that it was the first to import here."""


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
    before = set(sys.modules)
    outcome = outcome_of(checked, options)
    new = (name for name in sys.modules if name not in before)
    return Answer(outcome, tuple(filter(_is_shared, new)))


def _is_shared(module: str) -> bool:
    """Whether a module is of a package of `SHARED`, installed beside torch."""
    package = sys.modules.get(module.partition(".")[0])
    if package is None or package.__name__ not in SHARED or module.startswith(_THREADED):
        return False
    import torch

    beside = Path(torch.__path__[0]).parent
    return [Path(place).parent for place in getattr(package, "__path__", ())] == [beside]


def settle() -> None:
    """Make this a process that reads nothing from stdin, writes to stderr, and ends on SIGTERM.

    In a group of its own it is not told of Ctrl-C, and can be ended with all that it has started;
    it ends itself with these when the process that began it is gone, however that ended.
    """
    if hasattr(os, "setpgid"):
        os.setpgid(0, 0)
    threading.Thread(target=_end_as_orphan, daemon=True).start()
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


def _end_as_orphan() -> None:
    parent = parent_process()
    while parent is not None and os.getppid() == parent.pid:
        time.sleep(_OFTEN)
    if hasattr(os, "killpg"):
        os.killpg(0, signal.SIGKILL)
    os._exit(_STOPPED)


def _stop(_number: int, _frame: Any) -> None:
    raise KeyboardInterrupt
