"""The way of a number through constructors, from the call that took it to where it was written."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

from attntrace.capture.failed.origin.retrace import UNKNOWN, Value, plain
from attntrace.record import Step

MOST_STEPS = 5
MOST_HOPS = 64
_LONGEST = 72
_ENDS = {
    "default": "is the default of {}.",
    "argument": "was given to {}, the outermost module: `--init` in a command.",
    "held": "is what the {} holds.",
}


def steps_of(value: Value, name: str, real: int, path: str, made: Value) -> tuple[Step, ...]:
    """Return the steps of a number that was given as `name` to what `made` at `path`.

    `real` is the number that stands, for what nobody can work out on paper.
    """
    steps = [*islice(_steps(value, name, real, path, made), MOST_HOPS)]
    return tuple(steps if len(steps) <= MOST_STEPS else steps[:2] + steps[2 - MOST_STEPS :])


def _steps(value: Value, name: str, real: int, path: str, made: Value) -> Iterator[Step]:
    inner = _argument(value)
    place = value.place or made.place
    if place is not None and place.is_authors and value.kind != "default":
        told = f"`{path}` is built with {_equal(name, inner, real)}."
        yield Step(said=told, source=place.source, line=place.text)
    yield from _before(inner, real)


def _before(value: Value, real: object) -> Iterator[Step]:
    """Yield a step for each line that a value came through, as long as its number is known."""
    for _ in range(MOST_HOPS):
        if value.kind in _ENDS:
            yield from _step(value, f"{value.name}={real} {_ENDS[value.kind].format(value.call)}")
        is_alias = _is_alias(value)
        if value.kind in _ENDS or not value.of:
            return
        name, source = _likeliest(value)
        inner = _argument(source)
        known = plain(inner)
        if known is UNKNOWN and not is_alias:
            return
        real = real if known is UNKNOWN else known
        if source.kind == "default" and not is_alias:
            yield from _step(source, _defaults(value, source))
            return
        if source.kind == "passed":
            yield from _step(
                source, f"`{_call(source)}` gives it {_equal(source.name, inner, real)}."
            )
        elif source.kind == "written" and not _is_alias(source):
            yield from _step(source, f"{_equal(name, source, real)}.")
        value = inner


def _defaults(value: Value, first: Value) -> str:
    """Say that the names in an expression are parameters at their defaults."""
    others = [one for _, one in value.of if one.kind == "default" and one.call == first.call]
    said = list(dict.fromkeys(f"{one.name}={plain(one)}" for one in others))
    verb = "are defaults" if len(said) > 1 else "is the default"
    return f"{' and '.join(said)} {verb} of {first.call}."


def _step(value: Value, said: str) -> Iterator[Step]:
    place = value.place
    if place is not None and place.is_authors and place.line:
        yield Step(said=said, source=place.source, line=place.text)
    elif value.kind in ("held", "default") and place is None:
        yield Step(said=said)


def _likeliest(value: Value) -> tuple[str, Value]:
    """Return the name in an expression that is followed: the first that is no default."""
    numbers = [pair for pair in value.of if not isinstance(plain(pair[1]), str)] or list(value.of)
    return next((pair for pair in numbers if pair[1].kind != "default"), numbers[0])


def _argument(value: Value) -> Value:
    return value.of[0][1] if value.kind == "passed" and value.of else value


def _is_alias(value: Value) -> bool:
    """Return whether an expression is another name for the same: `self.dim = dim`."""
    return len(value.of) == 1 and value.text == value.of[0][0]


def _equal(name: str, value: Value, real: object) -> str:
    """Return how a name came to its number: "out_features = chan * 3 = 192, with chan=64"."""
    if value.text in ("", str(real), name) or len(value.text) > _LONGEST:
        return f"{name}={real}"
    names = {other: plain(one) for other, one in value.of if other != value.text}
    shown = ", ".join(f"{other}={number}" for other, number in names.items() if _is_number(number))
    return f"{name} = {value.text} = {real}" + (f", with {shown}" if shown else "")


def _is_number(known: object) -> bool:
    return isinstance(known, (int, float)) and not isinstance(known, bool)


def _call(value: Value) -> str:
    """Return the call that passed a parameter, or the class that it is of."""
    text = value.call if isinstance(value.call, str) else value.call.text
    return text if len(text) <= _LONGEST else text.partition("(")[0] + "(...)"
