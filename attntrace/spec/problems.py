"""What is wrong with a set of settings, all of it, in sentences that end in a fix."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from difflib import get_close_matches
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from attntrace.errors import Problem
from attntrace.spec.block import Spec
from attntrace.spec.document import Setting
from attntrace.spec.rules import rules


def check(given: Mapping[str, Setting]) -> tuple[Spec | None, list[Problem]]:
    """Return the spec, or None, and every problem: first of single fields, then between fields.

    A rule between fields is only judged where the fields it is about are each valid.
    """
    problems = list(_misplaced(given))
    spec = None
    while spec is None:
        valid = {path: s for path, s in given.items() if not _touches(path, problems)}
        try:
            spec = Spec.model_validate(_nested(valid))
        except ValidationError as error:
            problems += [_of_field(details, given) for details in _first_by_path(error)]
    known = set(field_paths())
    wrong = {p.path.rpartition(".")[2] for p in problems if p.path in known}
    between = [p for p in rules(spec) if not wrong & set(re.findall(r"\w+", p.message))]
    problems += [placed(problem, given) for problem in between]
    return (None if problems else spec), problems


def _misplaced(given: Mapping[str, Setting]) -> Iterator[Problem]:
    """Yield a problem for each section that was given a value, and each value given settings."""
    known = set(field_paths())
    sections = _sections()
    for path, setting in given.items():
        if path in sections and setting.value not in (None, {}):
            example = next(p for p in field_paths() if p.startswith(f"{path}."))
            yield Problem(
                path,
                f"{path} is a section; a setting such as {example} was expected, "
                f"got {_yaml(setting.value)}",
                setting.where,
            )
        above = path.partition(".")[0]
        if above != path and above in known:
            message = f"{above} is a single setting, with nothing below it; leave {path!r} out"
            yield Problem(path, message, setting.where)
        elif above != path and above not in sections:
            yield Problem(above, _unknown(above), setting.above or setting.where)


def _sections() -> set[str]:
    return {path.rpartition(".")[0] for path in field_paths()} - {""}


def field_paths(model: type[BaseModel] = Spec, above: str = "") -> Iterator[str]:
    """Yield the dotted path of every field of a spec, sections opened."""
    for name, info in model.model_fields.items():
        kind = info.annotation
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            yield from field_paths(kind, f"{above}{name}.")
        else:
            yield above + name


def _nested(given: Mapping[str, Setting]) -> dict[str, Any]:
    sections = _sections()
    document: dict[str, Any] = {}
    for path, setting in given.items():
        *above, last = path.split(".")
        section = document
        for name in above:
            section = section.setdefault(name, {})
        if path not in sections:  # `attention:` with nothing below it sets nothing
            section[last] = setting.value
    return document


def _first_by_path(error: ValidationError) -> list[ErrorDetails]:
    """Return one error a setting: a union of types reports each of its arms."""
    found: dict[str, ErrorDetails] = {}
    for details in error.errors():
        if details["type"] != "default_factory_not_called":
            found.setdefault(_path(details), details)
    return list(found.values())


def _path(details: ErrorDetails) -> str:
    """Return the dotted path of a setting, without the arms of a union that pydantic appends."""
    known = set(field_paths())
    parts = [str(part) for part in details["loc"]]
    whole = ".".join(parts)
    return next((p for p in known if whole == p or whole.startswith(f"{p}.")), whole)


def _touches(path: str, problems: list[Problem]) -> bool:
    return any(path == p.path or path.startswith(f"{p.path}.") for p in problems)


def _of_field(details: ErrorDetails, given: Mapping[str, Setting]) -> Problem:
    path = _path(details)
    return placed(Problem(path, _sentence(details, path)), given)


def placed(problem: Problem, given: Mapping[str, Setting]) -> Problem:
    """Return a problem with the words in which the user gave the setting that it is about."""
    setting = given.get(problem.path)
    if setting is None:  # a section, or a default that another setting made wrong
        setting = next((s for p, s in given.items() if p.startswith(f"{problem.path}.")), None)
    return replace(problem, where=setting.where) if setting else problem


def _sentence(details: ErrorDetails, path: str) -> str:
    name, value, context = path.rpartition(".")[2], details["input"], details.get("ctx", {})
    got = f"got {value!r}" if isinstance(value, str) else f"got {_yaml(value)}"
    match details["type"]:
        case "extra_forbidden":
            return _unknown(path)
        case "greater_than_equal" | "less_than_equal" | "less_than" as kind:
            sign = {"greater_than_equal": ">=", "less_than_equal": "<="}.get(kind, "<")
            (limit,) = context.values()
            return f"{name} must be a whole number {sign} {limit}, {got}"
        case "int_type" | "int_from_float":
            return f"{name} must be a whole number, {got}"
        case "bool_type":
            return f"{name} must be true or false, {got}"
        case _:
            return f"{_CHOICES.get(path) or _choices(name, context)}; {got}"


def _choices(name: str, context: Mapping[str, Any]) -> str:
    expected = str(context.get("expected", "")).replace("'", "").replace(" or ", ", ")
    return f"{name} must be one of {expected}"


def _yaml(value: object) -> str:
    if value is None:
        return "nothing"
    return str(value).lower() if isinstance(value, bool) else str(value)


# What Hugging Face, timm and torch call our sizes.
_ELSEWHERE = {
    "batch_size": "batch",
    "d_model": "chan",
    "embed_dim": "chan",
    "hidden_size": "chan",
    "n_embd": "chan",
    "n_head": "heads",
    "nhead": "heads",
    "num_attention_heads": "heads",
    "num_heads": "heads",
    "num_tokens": "tokens",
    "seq_len": "tokens",
}

_CHOICES = {
    "run.device": "device must be one of cpu, cuda, cuda:N, mps, meta",
    "attention.qk_scale": "qk_scale must be a finite number or one of head, none, embed, input",
}


def _unknown(path: str) -> str:
    known = [*field_paths(), *sorted(_sections())]
    by_name = {p.rpartition(".")[2]: p for p in known}
    name = path.rpartition(".")[2]
    same = by_name.get(name) or by_name.get(_ELSEWHERE.get(name, ""))
    near = [same] if same else get_close_matches(path, known, n=1, cutoff=0.75)
    near = near or [by_name[n] for n in get_close_matches(name, by_name, n=1, cutoff=0.7)]
    if near:
        return f"unknown key {path!r}; did you mean {near[0]!r}?"
    section = path.rpartition(".")[0]
    siblings = [p for p in known if p.rpartition(".")[0] == section] or known
    return f"unknown key {path!r}; there are {', '.join(siblings)}"
