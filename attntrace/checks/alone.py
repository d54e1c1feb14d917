"""A process of its own for one piece of work: what it imports, and what kills it, stays there."""

from __future__ import annotations

import os
import traceback
import warnings
from collections.abc import Callable
from multiprocessing import get_context
from multiprocessing.connection import Connection
from typing import Any, TypeVar

from attntrace.checks.crew import FORKS, OFTEN, Worker, end, warm_meta
from attntrace.checks.worker import death, settle
from attntrace.errors import AttntraceError, BuildError

T = TypeVar("T")


def alone(work: Callable[..., T], *arguments: Any) -> T:
    """Return what a function returns that runs in a process of its own, or raise what it raises.

    Raises:
        AttntraceError: as the function does.
        BuildError: the process died.
        RuntimeError: anything else that the function raised; the message is its traceback.

    """
    if FORKS:
        warm_meta()
    context: Any = get_context("fork" if FORKS else "spawn")
    ours, theirs = context.Pipe(duplex=False)
    worker = Worker(context.Process(target=_answer, args=(theirs, work, arguments)), ours)
    with warnings.catch_warnings():
        # torch's own threads are idle, as where its DataLoader forks
        warnings.simplefilter("ignore", DeprecationWarning)
        worker.process.start()
    theirs.close()
    try:
        value, error = _heard(worker)
    finally:
        end([worker])
    if error is not None:
        raise error
    result: T = value
    return result


def _heard(worker: Worker) -> Any:
    # what is dead may have begun something that holds the other end of its pipe
    while not worker.pipe.poll(OFTEN) and worker.process.is_alive():
        pass
    try:
        if worker.pipe.poll():
            return worker.pipe.recv()
    except EOFError:
        pass
    worker.process.join()
    raise BuildError(death(worker.process.exitcode))


def _answer(to: Connection, work: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
    settle()
    answer: tuple[Any, Exception | None]
    try:
        answer = work(*arguments), None
    except AttntraceError as error:
        answer = None, error
    except Exception:  # noqa: BLE001 - whatever escapes is a bug of ours
        answer = None, RuntimeError(traceback.format_exc())
    to.send(answer)
    os._exit(0)  # whatever the user's code has left running
