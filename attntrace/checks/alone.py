"""A process of its own for one piece of work: what it imports, and what kills it, stays there."""

from __future__ import annotations

import os
import traceback
from collections.abc import Callable
from multiprocessing import get_context
from multiprocessing.connection import Connection
from typing import Any, TypeVar

from attntrace.checks.crew import FORKS, OFTEN, Worker, death, end, heard, start
from attntrace.checks.worker import settle
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
        _warm_meta()
    context: Any = get_context("fork" if FORKS else "spawn")
    ours, theirs = context.Pipe(duplex=False)
    worker = Worker(context.Process(target=_answer, args=(theirs, work, arguments)), ours)
    start(worker)
    theirs.close()
    try:
        value, error = _awaited(worker)
    finally:
        end([worker])
    if error is not None:
        raise error
    result: T = value
    return result


def _warm_meta() -> None:
    """Import what the first op on meta does, which takes about a second: the other side may need it."""
    import torch

    torch.empty(1, device="meta").add(1)


def _awaited(worker: Worker) -> Any:
    """Return what a worker says, however long that takes. BuildError if it died."""
    while not worker.pipe.poll(OFTEN) and worker.process.is_alive():
        pass
    answer = heard(worker)
    if answer is None:
        worker.process.join()
        raise BuildError(death(worker))
    return answer


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
