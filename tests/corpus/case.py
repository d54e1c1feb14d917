"""The registry of the corpus: what is called, and what it is called with."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from torch import nn


class Given(NamedTuple):
    """The arguments of one call."""

    args: tuple[Any, ...]
    kwargs: dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Case:
    """One module or function of somebody's, and how to make its arguments anew."""

    name: str
    make: Callable[[], Callable[..., Any]]
    given: Callable[[], Given]
    marks: frozenset[str] = field(default_factory=frozenset)

    def __str__(self) -> str:
        return self.name

    @property
    def asks(self) -> bool:
        """Whether it holds a module of torch's that asks whether it is watched."""
        return "asks" in self.marks


CASES: list[Case] = []


def given(*args: Any, **kwargs: Any) -> Given:
    """Return the arguments of one call."""
    return Given(args, kwargs)


def case(make_given: Callable[[], Given], *marks: str) -> Callable[[Any], Any]:
    """Register a module's class, or a function over tensors."""

    def register(target: Any) -> Any:
        make = target if inspect.isclass(target) else lambda: target
        assert target.__doc__, target
        CASES.append(
            Case(name=target.__name__, make=make, given=make_given, marks=frozenset(marks))
        )
        return target

    return register


def made(make_given: Callable[[], Given], *marks: str) -> Callable[[Any], Any]:
    """Register a function that makes what is called."""

    def register(make: Callable[[], nn.Module]) -> Any:
        assert make.__doc__, make
        CASES.append(Case(name=make.__name__, make=make, given=make_given, marks=frozenset(marks)))
        return make

    return register
