"""Ctrl-C and SIGTERM end any command with one line and their exit code, wherever they come."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from threading import Event, Timer
from types import FrameType

STOPPED = 128
"""What shells add to the number of the signal that ended a command."""
_SIGNALS = (signal.SIGINT, signal.SIGTERM)
_SOON = 0.01
_pressed, _said = Event(), Event()
_came: list[int] = []
"""The numbers of the signals that came."""


@contextmanager
def stoppable() -> Iterator[None]:
    """Turn Ctrl-C and SIGTERM in the block into their line and exit code; nothing else changes."""
    _forget()
    others = sys.unraisablehook
    handlers = [signal.signal(number, _press_noted) for number in _SIGNALS]
    sys.unraisablehook = lambda one: _again() if _is_stop(one) else others(one)
    try:
        yield
    except KeyboardInterrupt:
        sys.exit(stopped())
    except SystemExit as ended:
        if ended.code == STOPPED + signal.SIGINT and not _said.is_set():  # Typer has no word for it
            sys.exit(stopped())
        raise
    finally:
        sys.unraisablehook = others
        for number, handler in zip(_SIGNALS, handlers, strict=True):
            signal.signal(number, handler)
        _forget()


def _forget() -> None:
    _pressed.clear()
    _said.clear()
    _came.clear()


def end_if_pressed() -> None:
    """Stop here if a signal came where Python or a library lost it. Long work calls this."""
    if _pressed.is_set():
        raise KeyboardInterrupt


def _press_noted(number: int, _frame: FrameType | None) -> None:
    _came.append(number)
    _pressed.set()
    raise KeyboardInterrupt


def stopped(at: Iterable[str] = ()) -> int:
    """Say that the command was stopped, and at what; return the exit code."""
    _said.set()
    what = ", ".join(at)
    print(f"attntrace: stopped at {what}" if what else "attntrace: stopped", file=sys.stderr)
    return STOPPED + (_came[0] if _came else signal.SIGINT)


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
