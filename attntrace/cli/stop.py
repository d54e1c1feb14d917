"""Ctrl-C ends any command with one word and exit code 130, wherever it comes."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Event, Timer
from types import FrameType

STOPPED = 130
"""128 and the number of the signal, as shells have it."""
_SOON = 0.01
_pressed, _said = Event(), Event()


@contextmanager
def stoppable() -> Iterator[None]:
    """Turn Ctrl-C in the block into its word and exit code; nothing else passes differently."""
    _pressed.clear()
    _said.clear()
    others, handler = sys.unraisablehook, signal.getsignal(signal.SIGINT)
    signal.signal(signal.SIGINT, _press_noted)
    sys.unraisablehook = lambda one: _again() if _is_stop(one) else others(one)
    try:
        yield
    except KeyboardInterrupt:
        sys.exit(stopped())
    except SystemExit as ended:
        if ended.code == STOPPED and not _said.is_set():  # Typer has no word for it
            stopped()
        raise
    finally:
        sys.unraisablehook = others
        signal.signal(signal.SIGINT, handler)


def end_if_pressed() -> None:
    """Stop here if Ctrl-C came where Python or a library lost it. Long work calls this."""
    if _pressed.is_set():
        raise KeyboardInterrupt


def _press_noted(_number: int, _frame: FrameType | None) -> None:
    _pressed.set()
    raise KeyboardInterrupt


def stopped() -> int:
    """Say that the user has stopped the command; return the exit code."""
    _said.set()
    print("attntrace: stopped", file=sys.stderr)
    return STOPPED


def _is_stop(unraisable: sys.UnraisableHookArgs) -> bool:
    """Whether Ctrl-C came in a callback, where Python would report it and go on."""
    return unraisable.exc_type is KeyboardInterrupt


def _again() -> None:
    """Press Ctrl-C once more, when the callback is over."""
    timer = Timer(_SOON, _press)
    timer.daemon = True
    timer.start()


def _press() -> None:
    if not _said.is_set():
        os.kill(os.getpid(), signal.SIGINT)
