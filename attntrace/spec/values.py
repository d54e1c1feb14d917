"""What a setting may be: in words for messages and tables, and as JSON Schema."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated, Any, Literal, get_args, get_origin

from pydantic.fields import FieldInfo

Schema = dict[str, Any]

DEVICE = r"^(cpu|cuda|cuda:(0|[1-9][0-9]{0,2})|mps|meta)$"
_DEVICES = ("cpu", "cuda", "cuda:N", "mps", "meta")


@dataclass(frozen=True)
class Kind:
    """What values a setting takes."""

    type: str
    """In the words of `attntrace fields`."""
    expected: str
    """What a message asks for, up to "got"."""
    schema: Schema
    """What is accepted in YAML."""
    choices: tuple[object, ...] = ()
    """Its words, none where it has no list of them."""

    def refusal(self, value: object) -> str:  # noqa: ARG002 - numbers say more of some values
        """Return what was expected instead of a value, up to "got"."""
        return self.expected


@dataclass(frozen=True)
class Whole(Kind):
    """A whole number: where a value is one, its bounds are what is wrong."""

    def refusal(self, value: object) -> str:
        """Return the bound that a whole number is beyond, and that a whole number was expected."""
        if not isinstance(value, int) or isinstance(value, bool):
            return self.expected
        least = self.schema.get("minimum", -math.inf)
        sign = f">= {least}" if value < least else f"<= {self.schema.get('maximum')}"
        return f"a whole number {sign},"


@dataclass(frozen=True)
class Share(Kind):
    """A number in an interval: to say so to one who gave a number is to say the interval."""

    def refusal(self, value: object) -> str:
        """Return the interval, and to other values that a number was expected."""
        number = isinstance(value, int | float) and not isinstance(value, bool)
        return self.expected.removeprefix("a number ") if number else self.expected


def is_finite(value: object) -> bool:
    """Whether a value is a number that can be computed with."""
    if isinstance(value, bool):
        return False
    return isinstance(value, int) or (isinstance(value, float) and math.isfinite(value))


def kind_of(info: FieldInfo) -> tuple[Kind, bool]:
    """Return what a field of a model may be, and whether it may be nothing at all."""
    arms, notes, nullable = _arms(info.annotation, list(info.metadata))
    return _kind(arms, _bounds(notes)), nullable


def _arms(annotation: Any, notes: list[Any]) -> tuple[list[Any], list[Any], bool]:
    """Return the bare types of an annotation, all that is noted on them, and whether None is one."""
    if get_origin(annotation) is Annotated:
        inner, *more = get_args(annotation)
        opened = (note.metadata if isinstance(note, FieldInfo) else [note] for note in more)
        return _arms(inner, [*notes, *(note for group in opened for note in group)])
    if get_origin(annotation) in (tuple, Literal) or not get_args(annotation):
        return [annotation], notes, False
    arms: list[Any] = []
    for part in get_args(annotation):
        found, notes, _ = _arms(part, notes)
        arms += found
    return [arm for arm in arms if arm is not type(None)], notes, type(None) in arms


def _bounds(notes: list[Any]) -> dict[str, Any]:
    return {
        key: getattr(note, key)
        for note in notes
        for key in ("ge", "gt", "le", "lt")
        if hasattr(note, key)
    }


def _kind(arms: list[Any], bounds: dict[str, Any]) -> Kind:
    lists = [arm for arm in arms if get_origin(arm) is tuple]
    words = tuple(word for arm in arms if get_origin(arm) is Literal for word in get_args(arm))
    if lists:
        return _list(get_args(lists[0]))
    if words:
        return _words(words, or_number=float in arms)
    if bool in arms:
        return Kind("true or false", "true or false,", {"type": "boolean"})
    if int in arms:
        return _whole(bounds)
    if float in arms:
        return _number(bounds)
    schema = {"type": "string", "pattern": DEVICE}
    return Kind("device", f"one of {', '.join(_DEVICES)};", schema, _DEVICES)


def _words(words: tuple[object, ...], *, or_number: bool) -> Kind:
    listed = f"one of {', '.join(map(str, words))};"
    schema: Schema = {"enum": list(words)}
    if not or_number:
        return Kind("choice", listed, schema, words)
    either = {"anyOf": [schema, {"type": "number"}]}
    return Kind("choice or number", f"a finite number or {listed}", either, words)


def _whole(bounds: dict[str, int]) -> Kind:
    schema: Schema = {"type": "integer"}
    if "ge" in bounds:
        schema["minimum"] = bounds["ge"]
    if "le" in bounds or "lt" in bounds:
        schema["maximum"] = bounds["lt"] - 1 if "lt" in bounds else bounds["le"]
    words = f"whole number >= {bounds['ge']}" if "ge" in bounds else "whole number"
    return Whole(words, "a whole number,", schema)


def _number(bounds: dict[str, float]) -> Kind:
    names = {"ge": "minimum", "gt": "exclusiveMinimum", "le": "maximum", "lt": "exclusiveMaximum"}
    schema = {"type": "number"} | {names[key]: bound for key, bound in bounds.items()}
    low = bounds.get("ge", bounds.get("gt"))
    high = bounds.get("le", bounds.get("lt"))
    if high is None:
        return Kind(f"number above {low:g}", f"a finite number above {low:g},", schema)
    left, right = "[" if "ge" in bounds else "(", "]" if "le" in bounds else ")"
    interval = f"in {left}{low:g}, {high:g}{right}"
    return Share(f"number {interval}", f"a number {interval},", schema)


def _list(items: tuple[Any, ...]) -> Kind:
    (arm, *_), notes, _ = _arms(items[0], [])
    if get_origin(arm) is Literal:
        return _several(get_args(arm))
    least = _bounds(notes)["ge"]
    schema: Schema = {"type": "array", "items": {"type": "integer", "minimum": least}}
    if items[-1] is Ellipsis:
        expected = f"a list of whole numbers >= {least} such as [7, 3, 3];"
        return Kind(f"list of whole numbers >= {least}", expected, {**schema, "minItems": 1})
    text = {"type": "string", "pattern": "^0*[1-9][0-9]*x0*[1-9][0-9]*$"}
    both = {**schema, "minItems": 2, "maxItems": 2}
    pair = {"anyOf": [text, both, {"type": "integer", "minimum": least}]}
    return Kind("ROWSxCOLUMNS", "two whole numbers such as 224x224;", pair)


def _several(words: tuple[str, ...]) -> Kind:
    word = f"\\s*({'|'.join(words)})\\s*"
    schema = {
        "anyOf": [
            {"enum": ["auto", "none", *words]},
            {"type": "string", "pattern": f"^{word}(,{word})*$"},
            {"type": "array", "items": {"enum": list(words)}},
        ]
    }
    return Kind("list of choices", f"none, or any of {', '.join(words)};", schema, words)
