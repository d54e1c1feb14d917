"""The tensors that go into a call, under the names of its parameters."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from torch import Tensor, nn

from attntrace.capture.fence import before_compiling
from attntrace.capture.structure import named_tensors


def named_inputs(
    subject: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any]
) -> Iterator[tuple[str, Tensor]]:
    """Yield each tensor that goes in, under the name of its parameter."""
    names, rest = _parameters(before_compiling(subject))
    for number, value in enumerate(args):
        name = names[number] if number < len(names) else f"{rest}[{number - len(names)}]"
        yield from named_tensors(name, value)
    for name, value in kwargs.items():
        yield from named_tensors(name, value)


def _parameters(subject: Callable[..., Any]) -> tuple[tuple[str, ...], str]:
    """Return the names of a callable's positional parameters, and that of its `*args`.

    Read off the code object: `inspect.signature` takes as long as several ops.
    """
    called: Any = subject.forward if isinstance(subject, nn.Module) else subject
    if not hasattr(called, "__code__") and not hasattr(called, "__func__"):
        called = getattr(called, "__call__", called)  # noqa: B004 - its bound method, for the name
    inner = inspect.unwrap(getattr(called, "__func__", called))
    code = getattr(inner, "__code__", None)
    if code is None:  # a builtin
        return (), "args"
    count, names = code.co_argcount, code.co_varnames
    rest = names[count + code.co_kwonlyargcount] if code.co_flags & inspect.CO_VARARGS else "args"
    has_self = hasattr(called, "__func__") or hasattr(inner, "__func__")  # or what it wraps has
    return names[has_self:count], rest
