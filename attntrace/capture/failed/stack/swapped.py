"""Arguments handed over in another order than the function takes them.

`self.attention(value, key, query)` to `forward(query, key, value)` raises much later, if at all. The
names say it: no shape does.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import pairwise

from attntrace.analysis.diagnosis import Proposal
from attntrace.capture.expressions import Expressions
from attntrace.capture.failed.stack.frames import Frames, Level
from attntrace.capture.failed.stack.inside import Handed, calls_of
from attntrace.capture.source import line_of, node_at, place
from attntrace.record import Step

_SHORT = {"q": "query", "k": "key", "v": "value"}


@dataclass(frozen=True, slots=True)
class Swapped:
    """A call whose arguments stand in another order than the parameters of those names."""

    step: Step
    proposal: Proposal
    call: Handed | None
    """The call with its arguments by name, where it is one of a module."""


def swapped(frames: Frames) -> Swapped | None:
    """Return the innermost call of the author's that hands over two names or more in wrong order."""
    levels = frames.levels
    places = [place for place, level in enumerate(levels) if not level.is_internal]
    for outer, inside in reversed([*pairwise(places)]):
        found = node_at(levels[outer].site) if levels[outer].is_own else None
        if found is not None and isinstance(found[1], ast.Call):
            names, handed = _parameters(levels[inside]), calls_of(levels[outer:inside])
            told = _told(found[1], names, levels[outer], found[0])
            if told is not None:
                return replace(told, call=_by_name(handed, found[1], names))
    return None


def _by_name(handed: list[Handed], call: ast.Call, names: list[str]) -> Handed | None:
    """Return a module's call with each argument for the parameter that it is called like."""
    if len(handed) != 1 or len(handed[0].args) != len(call.args):
        return None
    meant = zip(_meant(call.args, names), names, handed[0].args, strict=False)
    named = {name or own: value for name, own, value in meant}
    return Handed(handed[0].module, (), {**handed[0].kwargs, **named})


def _parameters(level: Level) -> list[str]:
    """Return what the function of a frame takes in order, without `self`."""
    code = level.site.code
    names = [*code.co_varnames[: code.co_argcount]]
    return names[1:] if names[:1] in (["self"], ["cls"]) else names


def _told(call: ast.Call, names: list[str], at: Level, source: Expressions) -> Swapped | None:
    meant = list(_meant(call.args, names))
    moved = [
        (name, got) for name, got in zip(meant, names, strict=False) if name not in (None, got)
    ]
    taken = {name for name in meant if name is not None}
    if len(moved) < 2 or not all(name in taken for _, name in moved):
        return None
    first = next(n for n, (name, got) in enumerate(zip(meant, names, strict=False)) if name != got)
    if any(name is None for name in meant[first:]) or len(meant) > len(names):
        return None
    texts = [source.text(arg) for arg in call.args]
    by_name = sorted(
        zip(meant[first:], texts[first:], strict=True), key=lambda pair: names.index(str(pair[0]))
    )
    said = ", ".join(f"{name}={text}" for name, text in by_name)
    rest = [f"{word.arg}={source.text(word.value)}" for word in call.keywords if word.arg]
    code = f"{source.text(call.func)}({', '.join([*texts[:first], said, *rest])})"
    crossed = " and ".join(f"{texts[meant.index(name)]} as {got}" for name, got in moved)
    return Swapped(
        Step(
            said=f"`{source.text(call)}` hands over {crossed}: the function takes "
            f"({', '.join(names)})",
            source=place(at.site),
            line=line_of(at.site),
        ),
        Proposal(said=f"pass them by name: {said}", code=code),
        None,
    )


def _meant(args: list[ast.expr], names: list[str]) -> Iterator[str | None]:
    """Yield which parameter each argument is called like; None for one that is like none."""
    for arg in args:
        match arg:
            case ast.Name(id=word) | ast.Attribute(attr=word):
                like = [name for name in names if word == name]
                like = like or [name for name in names if _stem(word) == _stem(name)]
                yield like[0] if len(like) == 1 else None
            case _:
                yield None


def _stem(name: str) -> str:
    """Return "key" for k, key and keys."""
    return _SHORT.get(name, name.rstrip("s"))
