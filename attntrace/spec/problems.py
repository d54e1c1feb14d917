"""What is wrong with a set of settings, all of it, in sentences that end in a fix."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from difflib import get_close_matches
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from attntrace.errors import Problem
from attntrace.spec.aliases import WORDS
from attntrace.spec.block import Spec
from attntrace.spec.document import Setting
from attntrace.spec.fields import Field, fields, sections
from attntrace.spec.rules import rules
from attntrace.spec.rules.belongs import belongs_rules
from attntrace.spec.unknown import unknown

_NO_KEYS = (
    "give each sequence 1 or more: a row whose keys are all hidden is a softmax of nothing, NaN in "
    "eager, zeros in sdpa"
)


def check(given: Mapping[str, Setting]) -> tuple[Spec | None, list[Problem]]:
    """Return the spec, or None, and every problem: first of single fields, then between fields.

    A rule between fields is only judged where the fields it is about are each valid.
    """
    spec, problems = _of_valid(given)
    problems.sort(key=lambda problem: _place(problem, given))
    wrong = [p.path for p in problems if p.path in fields()]
    between = [p for p in rules(spec) if not any(_is_about(p, path) for path in wrong)]
    problems += [placed(problem, given) for problem in between]
    return (None if problems else spec), problems


def meaningless(given: Mapping[str, Setting]) -> dict[str, str]:
    """Return why each setting means nothing that would change nothing, by its path."""
    spec, _ = _of_valid(given)
    return {problem.path: problem.message for problem in belongs_rules(spec)}


def _of_valid(given: Mapping[str, Setting]) -> tuple[Spec, list[Problem]]:
    """Return the spec of those settings that are each valid, and the problems of the others."""
    problems = list(_misplaced(given))
    while True:
        valid = {path: s for path, s in given.items() if not _touches(path, problems)}
        try:
            return Spec.model_validate(_nested(valid)), problems
        except ValidationError as error:
            problems += [_of_field(details, given) for details in _first_by_path(error)]


def _misplaced(given: Mapping[str, Setting]) -> Iterator[Problem]:
    """Yield a problem for each section that was given a value, and each value given settings."""
    for path, setting in given.items():
        if path in sections() and setting.value not in (None, {}):
            example = next(p for p in fields() if p.startswith(f"{path}."))
            yield Problem(
                path,
                f"{path} is a section; a setting such as {example} was expected, "
                f"got {as_yaml(setting.value)}",
                setting.where,
            )
        above = path.partition(".")[0]
        single = next((start for start in _starts(path) if start in fields()), path)
        if single != path:
            message = f"{single} is a single setting, with nothing below it; leave {path!r} out"
            yield Problem(path, message, setting.where)
        elif above != path and above not in sections():
            yield Problem(above, unknown(above), setting.above or setting.where)


def _nested(given: Mapping[str, Setting]) -> dict[str, Any]:
    document: dict[str, Any] = {}
    for path, setting in given.items():
        *above, last = path.split(".")
        section = document
        for name in above:
            section = section.setdefault(name, {})
        if path not in sections():  # `attention:` with nothing below it sets nothing
            section[last] = setting.value
    return document


def _first_by_path(error: ValidationError) -> list[ErrorDetails]:
    """Return one error a setting: a union of types reports each of its arms."""
    found: dict[str, ErrorDetails] = {}
    for details in error.errors(include_url=False):
        if details["type"] != "default_factory_not_called":
            found.setdefault(_path(details), details)
    return list(found.values())


def _path(details: ErrorDetails) -> str:
    """Return the dotted path of a setting, without the arms of a union that pydantic appends."""
    path = ".".join(str(part) for part in details["loc"])
    return next((start for start in _starts(path) if start in fields()), path)


def _starts(path: str) -> Iterator[str]:
    """Yield a path's first name, its first two, and so on, up to the whole."""
    parts = path.split(".")
    yield from (".".join(parts[:end]) for end in range(1, len(parts) + 1))


def _place(problem: Problem, given: Mapping[str, Setting]) -> int:
    """Return how many settings were given before the one that a problem is about."""
    return next((at for at, path in enumerate(given) if _touches(path, [problem])), len(given))


def _touches(path: str, problems: list[Problem]) -> bool:
    return any(path == p.path or path.startswith(f"{p.path}.") for p in problems)


def _is_about(problem: Problem, path: str) -> bool:
    """Whether a rule speaks of a field: by its path, or by its name beside its section."""
    section, _, name = path.rpartition(".")
    if problem.path == path or path in problem.message:
        return True
    near = not section or problem.path.startswith(f"{section}.")
    return near and name in re.findall(r"\w+", problem.message)


def _of_field(details: ErrorDetails, given: Mapping[str, Setting]) -> Problem:
    path = _path(details)
    field = fields().get(path)
    if field is None:
        return placed(Problem(path, unknown(path), alone=True), given)
    return placed(Problem(path, refusal(field, given[path].value), alone=True), given)


def placed(problem: Problem, given: Mapping[str, Setting]) -> Problem:
    """Return a problem with the words in which the user gave the setting that it is about."""
    setting = given.get(problem.path)
    if setting is None:  # a section, or a default that another setting made wrong
        setting = next((s for p, s in given.items() if p.startswith(f"{problem.path}.")), None)
    return replace(problem, where=setting.where) if setting else problem


def refusal(field: Field, value: object) -> str:
    """Say what a setting may be, what it is, and what may have been meant."""
    got = repr(value) if isinstance(value, str) else as_yaml(value)
    sentence = f"{field.name} must be {field.kind.refusal(value)} got {got}"
    if field.path == "mask.lengths" and isinstance(value, list | tuple) and 0 in value:
        return f"{sentence}; {_NO_KEYS}"
    near = _meant(field, value)
    return f"{sentence}; did you mean {near!r}?" if near is not None else sentence


def _meant(field: Field, value: object) -> object:
    """Return the choice that a value was probably meant to be, None where there is none."""
    if not isinstance(value, str):
        return None
    elsewhere = {str(word).lower(): ours for word, ours in WORDS.get(field.path, {}).items()}
    if value.lower() in elsewhere:
        return elsewhere[value.lower()]
    words = {str(word): word for word in field.kind.choices}
    least = 1.0 if field.path == "run.device" else 0.7  # cuda is no misspelt cpu
    near = get_close_matches(value.lower().replace("_", "-"), words, n=1, cutoff=least)
    return words[near[0]] if near else None


def as_yaml(value: object) -> str:
    """Return a value as a message has it: true for True."""
    if value is None:
        return "nothing"
    return str(value).lower() if isinstance(value, bool) else str(value)
