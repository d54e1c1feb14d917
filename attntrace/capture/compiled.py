"""What `torch.compile` has compiled runs eagerly while it is watched.

Compiled code calls no op that a mode could see. Under a dispatch mode torch runs the Python code
instead, but for good: a function whose first call was watched would never be compiled any more, and
one with `fullgraph=True` raises. Told in public to be eager, it leaves no such mark.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from typing import cast

import torch
from torch import nn

from attntrace.capture.fence import is_compiled
from attntrace.capture.process import WhileAny

RAN_EAGERLY = (
    "compiled by torch.compile, and run eagerly to be seen: compiled it runs other kernels, needs "
    "other memory, and may return other bits"
)

HOOKED = r"Using `torch\.compile\(module\)` when there are global hooks"
"""A warning of torch's about hooks that are ours."""


def _is_loaded() -> bool:
    """Return whether anything can be compiled: importing the compiler takes as long as torch."""
    return "torch._dynamo" in sys.modules


@contextmanager
def _force_eager() -> Iterator[None]:
    if not _is_loaded():
        yield
        return
    warnings.filterwarnings("ignore", HOOKED)
    filters = cast("list[object]", warnings.filters)
    ignored = filters[0]
    try:
        with torch.compiler.set_stance("force_eager"):
            yield
    finally:  # nothing but this one: the author's code may have set others
        with suppress(ValueError):
            filters.remove(ignored)


_EAGERLY = WhileAny(_force_eager)


def eagerly() -> WhileAny:
    """Make whatever was compiled run as the Python code that it was."""
    return _EAGERLY


def compiled_notes(subjects: Iterable[object]) -> list[str]:
    """Return a note for each compiled module, by path, and for a compiled function.

    A compiled function that a forward calls is not among them: torch tells nobody.
    """
    if not _is_loaded():
        return []
    found = [name for subject in subjects for name in _compiled(subject)]
    return [f"{', '.join(found)}: {RAN_EAGERLY}"] if found else []


def _compiled(subject: object) -> Iterator[str]:
    if isinstance(subject, nn.Module):
        parts = subject.named_modules()
        yield from (path or type(part).__name__ for path, part in parts if is_compiled(part))
    elif is_compiled(subject):
        yield getattr(subject, "__name__", type(subject).__name__)
