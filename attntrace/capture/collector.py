"""Python's garbage collector, kept from doing on our account what it would not do unwatched."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager

SELDOM = 1000
"""Collections of the middle generation for one of the oldest; Python's default is 10."""


@contextmanager
def seldom_whole() -> Iterator[None]:
    """Put off collections of the oldest generation; what dies young is collected as ever.

    The notes of a large run are so many objects that Python would look through all that there is,
    half a million objects of torch's, once a run or more often; the forward alone makes it do no
    such thing.
    """
    young, middle, oldest = gc.get_threshold()
    gc.set_threshold(young, middle, max(oldest, SELDOM))
    try:
        yield
    finally:
        gc.set_threshold(young, middle, oldest)
