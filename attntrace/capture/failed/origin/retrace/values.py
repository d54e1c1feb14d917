"""What an expression of a constructor is, as far as it is known, and what it was made of."""

from __future__ import annotations

import ast
from dataclasses import dataclass, field
from typing import Any, Literal

from torch import Size, nn

from attntrace.capture.failed.origin.retrace.code import Function, Place, text_of


class _Unknown:
    """What nobody can tell without running the code."""

    def __repr__(self) -> str:
        return "UNKNOWN"


UNKNOWN: Any = _Unknown()
NUMBERS = (int, float, bool)
PLAIN = (*NUMBERS, str, type(None))
HOLDERS = (tuple, list, dict)
MOST_ITEMS = 4096
Kind = Literal["written", "passed", "default", "argument", "held"]


@dataclass(frozen=True, slots=True, eq=False)
class Value:
    """One expression that was gone through."""

    what: Any = UNKNOWN
    """A number, a text, None; a holder of `Value`; Built, Sizes, Partial, Method, Either; or a live
    object that is only looked at: a class, a function, a config."""
    written: str | ast.expr = ""
    """As it is written; a tree is made a text when it is asked for, which seldom happens."""
    place: Place | None = None
    of: tuple[tuple[str, Value], ...] = ()
    """The names in it, and what they stood for."""
    kind: Kind = "written"
    """Of what a parameter holds: "passed" by a call, its "default", or the outermost "argument";
    "held" by a live object, such as a config."""
    name: str = ""
    """Of a parameter, or of the attribute of a live object."""
    call: Value | str = ""
    """The call that passed it, or the class that it is a parameter or an attribute of."""

    @property
    def text(self) -> str:
        """As it is written, on one line."""
        return self.written if isinstance(self.written, str) else text_of(self.written)


@dataclass(slots=True, eq=False)
class Built:
    """An object that a call of a class makes: a module, or a config.

    Its constructor is gone through once somebody asks for its attributes.
    """

    kind: type
    args: dict[str, Value]
    """By the names of the constructor's parameters."""
    made: Value
    """The call."""
    budget: Any
    live: Any = None
    """The module itself, where it is known which one."""
    attributes: dict[str, Value] = field(default_factory=dict)
    torch_args: dict[str, Value] = field(default_factory=dict)
    """What the class of torch's that it extends was given."""
    is_done: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Sizes:
    """A tensor, of which only the shape matters."""

    sizes: tuple[Value, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Partial:
    """A class or a function with some of its arguments."""

    function: Value
    args: tuple[Value, ...]
    kwargs: dict[str, Value]


@dataclass(frozen=True, slots=True, eq=False)
class Method:
    """A method of something."""

    of: Value
    name: str


@dataclass(frozen=True, slots=True, eq=False)
class Local:
    """A function that a function defines, with the names around it."""

    node: Function
    scope: Any


@dataclass(frozen=True, slots=True, eq=False)
class Either:
    """What it is depends on a test that nobody can tell."""

    values: tuple[Value, ...]


def plain(what: Any) -> Any:
    """Return a number, a text or a holder of such as Python has it; UNKNOWN for all else."""
    if isinstance(what, Value):
        return plain(what.what)
    if type(what) in PLAIN:
        return what
    if type(what) in (tuple, list, Size):
        items = [plain(item) for item in what]
        return UNKNOWN if UNKNOWN in items else tuple(items)
    return UNKNOWN


def of_live(what: Any, depth: int = 3) -> Any:
    """Return what a live object holds as ours, so that nothing of the author's is ever changed."""
    if type(what) not in (*HOLDERS, Size):
        return what
    if not depth or len(what) > MOST_ITEMS:
        return UNKNOWN
    if type(what) is dict:
        pairs = what.items() if all(type(key) in PLAIN for key in what) else ()
        return {key: Value(of_live(one, depth - 1)) for key, one in pairs}
    items = [Value(of_live(one, depth - 1), str(one) if type(one) in PLAIN else "") for one in what]
    return items if type(what) is list else tuple(items)


def truth(value: Value) -> bool | None:
    """Return whether a test holds; None where it cannot be told."""
    what = value.what
    if type(what) in (*PLAIN, *HOLDERS):
        return bool(what)
    if isinstance(what, Either) or what is UNKNOWN:
        return None
    return (
        True if isinstance(what, (Built, Partial, Method, Local, type)) or callable(what) else None
    )


def either(values: list[Value], like: Value) -> Value:
    """Return the one value that all are, or that it is one of them."""
    known = [value for value in values if value.what is not UNKNOWN]
    first = known[0] if known else like
    if len(known) == len(values) and all(
        plain(one) == plain(first) is not UNKNOWN for one in known
    ):
        return first
    modules = [value for value in known if isinstance(value.what, (Built, type, Partial))]
    if not modules or len(modules) < len(known):
        return Value(UNKNOWN, like.written, like.place, like.of)
    return (
        modules[0] if len(modules) == 1 else Value(Either(tuple(modules)), like.written, like.place)
    )


def fits(value: Value, live: nn.Module | None) -> bool:
    """Return whether something built may be a module that stands."""
    return isinstance(value.what, Built) and (
        live is None or issubclass(type(live), value.what.kind)
    )
