"""How far a long command is: on a terminal only, on stderr, and gone when it is over."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count

from attntrace.cli.stop import end_if_pressed


@contextmanager
def progress(total: int | None = None) -> Iterator[Callable[[str], None]]:
    """Yield a function that is told what begins now; `total` is how often, None if nobody knows."""
    if not sys.stderr.isatty():
        yield lambda _: end_if_pressed()
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (BarColumn(), TextColumn("{task.description}", markup=False), TimeElapsedColumn())
    done = count()
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("", total=total)

        def say(what: str) -> None:
            end_if_pressed()
            bar.update(task, description=what, completed=next(done))

        yield say
