"""Wrapping any code so that a crash says why. Nothing is watched: it costs nothing until then."""

from __future__ import annotations

import functools
import inspect
from collections.abc import AsyncGenerator, Callable, Generator
from types import TracebackType
from typing import Any, Self, TypeVar, overload

NO_FUNCTION = (
    "explain() wraps a function, got {}; around a block of code write `with attntrace.explain():`"
)
_F = TypeVar("_F", bound=Callable[..., Any])


class Explain:
    """What `attntrace.explain` gives: `with` it, or put it above a function, as often as wanted."""

    def __init__(self, *, traceback: bool) -> None:
        self._traceback = traceback

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if isinstance(error, Exception):
            from attntrace.api.crash import say

            say(error, all_frames=self._traceback)

    def __call__(self, function: _F) -> _F:
        """Return a function that does the same, and says why where it crashes.

        Raises:
            TypeError: a class, or nothing that can be called.

        """
        if isinstance(function, type) or not callable(function):
            raise TypeError(NO_FUNCTION.format(_named(function)))
        return functools.wraps(function)(_wrapped(self, function))  # type: ignore[return-value]

    def __repr__(self) -> str:
        return f"attntrace.explain({'traceback=True' if self._traceback else ''})"


def _named(given: object) -> str:
    return f"the class {given.__name__}" if isinstance(given, type) else type(given).__name__


def _wrapped(explain: Explain, function: Callable[..., Any]) -> Callable[..., Any]:
    """Return a function of the same kind: one that is awaited, one that yields, or a plain one."""

    def plain(*args: Any, **kwargs: Any) -> Any:
        with explain:
            return function(*args, **kwargs)

    async def awaited(*args: Any, **kwargs: Any) -> Any:
        with explain:
            return await function(*args, **kwargs)

    def yielding(*args: Any, **kwargs: Any) -> Generator[Any, Any, Any]:
        with explain:
            return (yield from function(*args, **kwargs))

    if inspect.isasyncgenfunction(function):
        return _passed_on(explain, function)
    if inspect.iscoroutinefunction(function):
        return awaited
    return yielding if inspect.isgeneratorfunction(function) else plain


def _passed_on(
    explain: Explain, function: Callable[..., AsyncGenerator[Any, Any]]
) -> Callable[..., AsyncGenerator[Any, Any]]:
    """Return what `yield from` would be for a function that is awaited and yields."""

    async def both(*args: Any, **kwargs: Any) -> AsyncGenerator[Any, Any]:
        with explain:
            steps = function(*args, **kwargs)
            step = steps.asend(None)
            while True:
                try:
                    value = await step
                except StopAsyncIteration:
                    return
                try:
                    step = steps.asend((yield value))
                except GeneratorExit:
                    await steps.aclose()
                    raise
                except BaseException as error:  # noqa: BLE001 - it goes where it was thrown to
                    step = steps.athrow(error)

    return both


@overload
def explain(function: _F, /) -> _F: ...
@overload
def explain(*, traceback: bool = False) -> Explain: ...
def explain(function: Any = None, /, *, traceback: bool = False) -> Any:
    """Say why, on stderr, where the code in a `with` block or in a function crashes.

    `with attntrace.explain():`, `@attntrace.explain` and `@attntrace.explain()`. The error goes on
    as it is, to whoever handles it. Where nobody does, Python prints the traceback of the author's
    own lines alone; `traceback=True` keeps all of it. What has nothing to do with tensors is left
    as it is, and so are KeyboardInterrupt and SystemExit.

    A forward that crashed may be run once more, on a copy without data (meta), for the table of its
    tensors; not where hooks are on the module.

    Raises:
        TypeError: put above a class.

    """
    made = Explain(traceback=traceback)
    return made if function is None else made(function)
