"""Worker processes as their parent sees them: hired, given configs, heard and ended."""

from __future__ import annotations

import os
import signal
import sys
import warnings
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from importlib import import_module
from multiprocessing import get_context
from multiprocessing.connection import Connection, wait
from time import monotonic, perf_counter
from types import TracebackType
from typing import Any, Self

from attntrace.checks.find import Checked
from attntrace.checks.one import check_one, verdict_on
from attntrace.checks.options import Options
from attntrace.checks.worker import Answer, work
from attntrace.record.outcomes import RUNS, Outcome

FORKS = sys.platform == "linux"
"""Whether a copy of a process that has loaded torch is sound; elsewhere each loads it anew."""
OFTEN = 1.0
"""Seconds between two looks at whether workers live: a pipe may be held open by what they began."""
SOON = 0.5
"""Seconds that a worker has to clean up after itself."""
SIGNAL = "died with signal"


@dataclass(slots=True)
class Worker:
    """A process, and our end of the pipe to it."""

    process: Any
    pipe: Connection
    at: Checked | None = None
    """The config that it runs; None where it has nothing to do."""
    since: float = 0.0


class Crew:
    """The workers. Leaving the block ends them all, and everything that they have begun."""

    def __init__(self, options: Options, *, forks: bool = FORKS) -> None:
        self._options = options
        self.forks = forks
        self._context: Any = get_context("fork" if forks else "spawn")
        self._workers: list[Worker] = []
        self._imported: list[str] = []
        """Modules that a worker has imported, and that may not be here."""

    def __enter__(self) -> Self:
        if self.forks:  # what every worker needs is imported once, most of it by a small run
            with suppress(Exception):  # a bug of ours is the outcome of each config
                check_one(Checked("multi-head", "preset"), Options(baselines=None))
            import_module("attntrace.subjects.build")
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        end(self._workers)

    @property
    def running(self) -> list[Checked]:
        """The configs that run now."""
        return [worker.at for worker in self._workers if worker.at is not None]

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
            silent = worker.pipe not in ready and worker.process.is_alive()
            if silent or worker not in self._workers:
                continue
            checked, answer = worker.at, heard(worker)
            worker.at = None
            if answer is None:
                self._workers.remove(worker)
                end([worker])
            if answer is not None:
                self._imported += answer.imported
            if checked is not None:
                yield checked, answer or Answer(_died(worker, checked))

    def _hire(self) -> Worker:
        if self.forks:
            self._import_once()
        ours, theirs = self._context.Pipe()
        others = [ours, *(worker.pipe for worker in self._workers)] if self.forks else []
        process = self._context.Process(target=work, args=(theirs, others, self._options))
        worker = Worker(process, ours)
        self._workers.append(worker)
        start(worker)
        theirs.close()
        return worker

    def _import_once(self) -> None:
        """Import here what workers have imported, so that later ones need not."""
        for name in self._imported:
            with suppress(Exception):  # whoever needs it says what is wrong with it
                import_module(name)
        self._imported.clear()


def start(worker: Worker) -> None:
    """Start the process of a worker, without the warning that forks beside threads get."""
    with warnings.catch_warnings():
        # torch's own threads are idle, as where its DataLoader forks
        warnings.simplefilter("ignore", DeprecationWarning)
        worker.process.start()


def heard(worker: Worker) -> Any:
    """Return what a worker says, None where it is dead."""
    try:
        # a pipe whose worker is dead may be held open by what that has begun
        return worker.pipe.recv() if worker.pipe.poll() else None
    except (EOFError, OSError):
        return None


def _died(worker: Worker, checked: Checked) -> Outcome:
    """Return the outcome of a config whose worker is dead."""
    verdict, seconds = verdict_on(checked, RUNS, death(worker)), perf_counter() - worker.since
    return Outcome(config=checked.name, status="broken", verdicts=(verdict,), seconds=seconds)


def death(worker: Worker) -> str:
    """Return how a worker ended that gave no answer."""
    code = worker.process.exitcode
    how = f"{SIGNAL} {-code}{_name(-code)}" if code < 0 else f"ended itself with code {code}"
    return f"the process that ran it {how}"


def _name(number: int) -> str:
    try:
        return f" ({signal.Signals(number).name})"
    except ValueError:
        return ""


def end(workers: list[Worker]) -> None:
    """End workers and what they have begun; one that runs a config may clean up first."""
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
