"""Worker processes: hired, given a config, heard, and ended, whatever has become of them."""

from __future__ import annotations

import os
import signal
import sys
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from multiprocessing import get_context
from multiprocessing.connection import Connection, wait
from time import monotonic, perf_counter
from types import TracebackType
from typing import Any, Self

from attntrace.checks.find import Checked
from attntrace.checks.one import check_one
from attntrace.checks.options import Options
from attntrace.checks.worker import SOON, Answer, died, work
from attntrace.record.outcomes import Outcome

FORKS = sys.platform == "linux"
"""Whether a copy of a process that has loaded torch is sound; elsewhere each loads it anew."""
OFTEN = 1.0
"""Seconds between two looks at whether workers live: a pipe may be held open by what they began."""


@dataclass(slots=True)
class Worker:
    """A process, the end of a pipe to it, and what it is at."""

    process: Any
    pipe: Connection
    at: Checked | None = None
    since: float = 0.0


class Crew:
    """The workers. Leaving the block ends them all, and everything that they have begun."""

    def __init__(self, options: Options, *, forks: bool = FORKS) -> None:
        self._options = options
        self.forks = forks
        self._context: Any = get_context("fork" if forks else "spawn")
        self._workers: list[Worker] = []
        self._hired = 0

    def __enter__(self) -> Self:
        if self.forks:
            _warm()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        end(self._workers)

    @property
    def busy(self) -> int:
        """How many are at a config."""
        return sum(worker.at is not None for worker in self._workers)

    def give(self, checked: Checked) -> None:
        """Let a worker run a config: one that has nothing to do, else a new one."""
        idle = next((worker for worker in self._workers if worker.at is None), None)
        worker = idle or self._hire()
        try:
            worker.pipe.send(checked)
        except OSError:  # it died of something that a config before had begun
            self._workers.remove(worker)
            end([worker])
            self.give(checked)
        else:
            worker.at, worker.since = checked, perf_counter()

    def dismiss(self) -> None:
        """End the workers that have nothing to do: nothing of what they ran can reach others."""
        idle = [worker for worker in self._workers if worker.at is None]
        self._workers = [worker for worker in self._workers if worker.at is not None]
        end(idle)

    def answers(self) -> Iterator[tuple[Checked, Answer]]:
        """Wait for something to come, at most a second, and yield what came of each config."""
        ready = wait([worker.pipe for worker in self._workers], OFTEN)
        for worker in list(self._workers):
            heard = worker.pipe in ready
            if worker not in self._workers or (not heard and worker.process.is_alive()):
                continue
            checked, answer = worker.at, _heard(worker)
            worker.at = None
            if answer is None:
                self._workers.remove(worker)
                end([worker])
            if checked is not None:
                yield checked, answer or Answer(_died(worker, checked))

    def _hire(self) -> Worker:
        if self.forks and self._hired >= len(self._workers) + 1:
            warm_meta()  # not the first in its place: what those imported, all others may need
        ours, theirs = self._context.Pipe()
        others = [ours, *(worker.pipe for worker in self._workers)] if self.forks else []
        process = self._context.Process(target=work, args=(theirs, others, self._options))
        worker = Worker(process, ours)
        self._workers.append(worker)
        with warnings.catch_warnings():
            # torch's own threads are idle, as where its DataLoader forks
            warnings.simplefilter("ignore", DeprecationWarning)
            process.start()
        theirs.close()
        self._hired += 1
        return worker


def _heard(worker: Worker) -> Answer | None:
    """Return what a worker says, None where it is dead."""
    try:
        # a pipe whose worker is dead may be held open by what that has begun
        answer: Answer | None = worker.pipe.recv() if worker.pipe.poll() else None
    except (EOFError, OSError):
        return None
    return answer


def _died(worker: Worker, checked: Checked) -> Outcome:
    return died(checked, worker.process.exitcode, perf_counter() - worker.since)


def end(workers: list[Worker]) -> None:
    """End workers and what they have begun; one that is at a config may clean up first."""
    alive = [worker for worker in workers if worker.process.pid is not None]
    for worker in alive:
        _signal(worker, "SIGTERM" if worker.at else "SIGKILL")
    until = monotonic() + SOON
    for worker in alive:
        worker.process.join(max(0.0, until - monotonic()))
        _signal(worker, "SIGKILL")
        worker.process.join()
        worker.pipe.close()


def _signal(worker: Worker, name: str) -> None:
    number = getattr(signal, name, signal.SIGTERM)
    try:
        os.killpg(worker.process.pid, number)
    except (AttributeError, OSError):  # no groups here, or it has none yet, or nobody is left
        if worker.process.is_alive():
            os.kill(worker.process.pid, number)


def _warm() -> None:
    """Import what every worker needs, once: a small run touches most of it."""
    check_one(Checked("multi-head", "preset"), Options(baselines=None))


def warm_meta() -> None:
    """Import what the first op on meta does, which takes about a second."""
    import torch

    torch.empty(1, device="meta").add(1)
