"""Settings of the whole process that a trace changes, put back when the last trace is over.

Traces overlap: in threads, and where a session is open while another begins elsewhere. Each putting
back what it found would leave behind what another had set.
"""

from __future__ import annotations

import gc
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ContextDecorator, ExitStack, contextmanager

SELDOM = 1000
"""Collections of the middle generation for one of the oldest; Python's default is 10."""


class WhileAny(ContextDecorator):
    """Makes a change when the first of several overlapping blocks begins, in whatever thread, and
    undoes it when the last one ends.
    """

    def __init__(self, change: Callable[[], AbstractContextManager[None]]) -> None:
        self._change = change
        self._lock = threading.RLock()  # a finalizer may trace, too
        self._open = 0
        self._made = ExitStack()

    def __enter__(self) -> None:
        with self._lock:
            if self._open == 0:
                self._made.enter_context(self._change())
            self._open += 1

    def __exit__(self, *error: object) -> None:
        with self._lock:
            self._open -= 1
            if self._open == 0:
                self._made.close()


@contextmanager
def _oldest_seldom() -> Iterator[None]:
    young, middle, oldest = gc.get_threshold()
    gc.set_threshold(young, middle, max(oldest, SELDOM))
    try:
        yield
    finally:
        gc.set_threshold(young, middle, oldest)


_SELDOM_WHOLE = WhileAny(_oldest_seldom)


def seldom_whole() -> WhileAny:
    """Put off collections of the oldest generation; what dies young is collected as ever.

    The notes of a large run are so many objects that Python would look through all that there is,
    half a million objects of torch's, once a run or more often; the forward alone makes it do no
    such thing.
    """
    return _SELDOM_WHOLE
