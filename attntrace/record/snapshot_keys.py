"""The keys of a snapshot's text: what each may hold, and what it holds where it is left out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import isfinite
from typing import Any, NoReturn, get_args

from attntrace.record.tensors import Kind, Phase

TOP = ("schema_version", "subject", "parameters", "sizes", "measured", "modules", "rows")
MODULE = ("path", "type", "parameters", "own", "settings")
ROW = ("path", "name", "op", "kind", "phase", "shape", "axes", "dtype", "nbytes")
MEASURED = ("peak_nbytes", "training_peak_nbytes", "saved_for_backward_nbytes")
REPEAT = ("repeat", "step", "of")
USUAL: Mapping[str, Any] = {
    "kind": "op", "phase": "forward", "axes": None, "step": 1, "training_peak_nbytes": None,
    "saved_for_backward_nbytes": None, "own": {}, "settings": {},
}  # fmt: skip
"""What is not written where it is this."""
NAMED = ("own", "settings")
"""What is an object in the text, and pairs in order of name in a snapshot."""
_SHOWN = 40
"""Letters of a wrong value that are said."""


class WrongValueError(ValueError):
    """A value that its key cannot have, or a key that does not belong, said with its place."""


def checked(value: Any, keys: tuple[str, ...], at: str) -> dict[str, Any]:
    """Return the values of an object by these keys, in their order, with what was left out.

    `at` is the place of the object, such as "rows[3]". Lists of numbers and texts become tuples,
    an object of texts or settings pairs in order of name.

    Raises:
        WrongValueError: it is no object, lacks a key, has another, or has a value of another kind.

    """
    given = as_object(value, at)
    at = f"{at}." if at else ""
    for key in given:
        if key not in keys:
            raise WrongValueError(f"{at}{key} means nothing here")
    found = {}
    for key in keys:
        if key not in given and key not in USUAL:
            raise WrongValueError(f"{at}{key} is missing")
        found[key] = checked_value(given.get(key, USUAL.get(key)), key, f"{at}{key}")
    return found


def checked_value(value: Any, key: str, at: str) -> Any:
    """Return a value that a key may have, or raise WrongValueError; `at` is its place."""
    expected, holds = _KINDS[key]
    if not holds(value):
        refuse(at, expected, value)
    if key in NAMED:
        return tuple((name, _frozen(value[name])) for name in sorted(value))
    return _frozen(value) if key in _TUPLES else value


def as_object(value: Any, at: str) -> dict[str, Any]:
    """Return a value that is an object, or raise WrongValueError."""
    if not isinstance(value, dict):
        refuse(at, "an object", value)
    return value


def refuse(at: str, expected: str, value: Any) -> NoReturn:
    """Raise WrongValueError for a value that should be something else."""
    shown = repr(value)
    more = "..." if len(shown) > _SHOWN else ""
    raise WrongValueError(f"{at} must be {expected}, got {shown[:_SHOWN]}{more}")


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _is_number(value: Any) -> bool:
    return type(value) is int  # which True is not


def _is_count(value: Any) -> bool:
    return _is_number(value) and value >= 0


def _list_of(holds: Callable[[Any], bool]) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, list) and all(map(holds, value))


def _is_texts_by_name(value: Any) -> bool:
    return isinstance(value, dict) and all(map(_is_text, value.values()))


def _is_setting(value: Any) -> bool:
    parts = value if isinstance(value, list) else [value]
    finite = (not isinstance(part, float) or isfinite(part) for part in parts)
    return all(isinstance(part, (int, float, str)) for part in parts) and all(finite)


def _are_settings(value: Any) -> bool:
    return isinstance(value, dict) and all(map(_is_setting, value.values()))


def _frozen(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


def _or_null(holds: Callable[[Any], bool]) -> Callable[[Any], bool]:
    return lambda value: value is None or holds(value)


_Kind = tuple[str, Callable[[Any], bool]]
_TEXT: _Kind = "a text", _is_text
_COUNT: _Kind = "a whole number from 0 on", _is_count
_NBYTES: _Kind = "a whole number from 0 on or null", _or_null(_is_count)
_OBJECT: _Kind = "an object", lambda value: isinstance(value, dict)
_LIST: _Kind = "a list", lambda value: isinstance(value, list)
_KINDS: Mapping[str, _Kind] = {
    "schema_version": ("a whole number from 1 on", lambda value: _is_count(value) and value > 0),
    **dict.fromkeys(("subject", "path", "name", "op", "type", "dtype"), _TEXT),
    **dict.fromkeys(("parameters", "size", "peak_nbytes"), _COUNT),
    **dict.fromkeys(("nbytes", "training_peak_nbytes", "saved_for_backward_nbytes"), _NBYTES),
    **dict.fromkeys(("sizes", "measured"), _OBJECT),
    **dict.fromkeys(("modules", "rows"), _LIST),
    "kind": (f"one of {', '.join(get_args(Kind))}", lambda value: value in get_args(Kind)),
    "phase": (f"one of {', '.join(get_args(Phase))}", lambda value: value in get_args(Phase)),
    "shape": ("a list of whole numbers from 0 on, or null", _or_null(_list_of(_is_count))),
    "axes": ("a list of texts, or null", _or_null(_list_of(_is_text))),
    "own": ("an object of texts", _is_texts_by_name),
    "settings": ("an object of numbers, texts, true, false and lists of these", _are_settings),
    "repeat": ("a whole number from 2 on", lambda value: _is_number(value) and value > 1),
    "step": ("a whole number", _is_number),
    "of": ("a list of one or more", lambda value: isinstance(value, list) and bool(value)),
}
_TUPLES = ("shape", "axes")
