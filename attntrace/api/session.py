"""Watching a block of code, which calls the model in ways of its own."""

from __future__ import annotations

from types import TracebackType
from typing import TYPE_CHECKING, Self

from attntrace.api.traced import Trace
from attntrace.errors import AttntraceError

if TYPE_CHECKING:
    from torch import nn

    from attntrace.capture import Watched

UNDER_WAY = "session.trace is there once the `with attntrace.watch(...)` block is over"
NOT_BEGUN = "session.trace is there after `with attntrace.watch(...) as session:`"
ELSEWHERE = (
    "a session ends on the thread on which it began: leave `with attntrace.watch(...)` there"
)
ONCE = "a session watches one block: call attntrace.watch again for another"
NO_MODULE = (
    "watch() takes modules, got {}; for anything else use `with attntrace.watch():`, which "
    "watches all that runs"
)


class Session:
    """What `attntrace.watch` gives: after the block, `trace` has all that ran in it."""

    def __init__(self, models: tuple[nn.Module, ...]) -> None:
        self._models = models
        self._watched: Watched | None = None
        self._trace: Trace | None = None

    @property
    def trace(self) -> Trace:
        """All that ran in the block, up to its error if it raised; `trace.output` is None.

        Raises:
            AttntraceError: the block is not over, or has not begun.

        """
        if self._trace is None:
            raise AttntraceError(NOT_BEGUN if self._watched is None else UNDER_WAY)
        return self._trace

    def __enter__(self) -> Self:
        from attntrace.capture import Watched

        if self._watched is not None or self._trace is not None:
            raise AttntraceError(ONCE)
        self._watched = Watched.begin(self._models)
        self._models = ()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        watched = self._watched
        assert watched is not None, "what is left was entered"
        if watched.is_elsewhere():
            raise AttntraceError(ELSEWHERE)
        self._watched = None
        notes = watched.close(error if isinstance(error, Exception) else None)
        self._trace = Trace(notes.facts)

    def __repr__(self) -> str:
        if self._trace is not None:
            return f"<Session: {self._trace!r}>"
        return "<Session: under way>" if self._watched else "<Session: not begun>"


def watch(*models: nn.Module) -> Session:
    """Watch what runs on this thread in a `with` block, whoever calls the models and how often.

    The tensors that enter a model from outside are inputs, named after the parameters of its
    forward; what it returns are the outputs. Without models every outermost call of a module
    counts. What runs outside of any module, such as sampling or a loss, has the path "". An error
    in the block is the author's, and leaves it as it is.

    Raises:
        TypeError: not a module.
        AttntraceError: entered on a thread that is traced or watched already.

    """
    from torch import nn

    for model in models:
        if not isinstance(model, nn.Module):
            raise TypeError(NO_MODULE.format(type(model).__name__))
    return Session(models)
