"""How far a long command is: on a terminal only, on stderr, and gone when it is over."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count
from shutil import get_terminal_size

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


class Line:
    """One line on the terminal of stderr, with what runs now; nothing where that is no terminal.

    It is drawn by hand, without a thread: a process that forks must not have one.
    """

    def __init__(self, total: int) -> None:
        self._total, self._done, self._text = total, 0, ""
        self._there = sys.stderr.isatty()
        self.running: list[str] = []
        """What has begun and not ended."""

    def begin(self, what: str) -> None:
        """Show what begins now."""
        end_if_pressed()
        self.running.append(what)
        self._text = "".join(letter if letter.isprintable() else "?" for letter in what)
        self._draw()

    def end(self, what: str) -> None:
        """Note that this is over."""
        self.running.remove(what)

    def close(self) -> None:
        """Take the line away, until the next begins."""
        if self._there and self._text:
            self._write("")
        self._text = ""

    @contextmanager
    def above(self) -> Iterator[None]:
        """Print in the block what stays; one more is done."""
        end_if_pressed()
        self._done += 1
        if self._there:
            self._write("")
        yield
        self._draw()

    def _draw(self) -> None:
        if self._there and self._text:
            width = get_terminal_size().columns - 1
            self._write(f"{self._done}/{self._total}  {self._text}"[:width])

    def _write(self, text: str) -> None:
        sys.stderr.write(f"\r\x1b[K{text}")
        sys.stderr.flush()
