"""What is wrong with a subject's settings, all of it, in sentences that end in a fix."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from difflib import get_close_matches
from typing import Any

from pydantic import ValidationError

from attntrace.errors import Problem
from attntrace.spec.component import MOST
from attntrace.spec.document import EXPECT, Setting
from attntrace.spec.fields import fields, members
from attntrace.spec.problems import as_yaml, placed, refusal
from attntrace.spec.run import RunSpec, run_rules
from attntrace.spec.subject.model import Subject
from attntrace.spec.subject.tensors import tensors_of, wanted
from attntrace.spec.target import missing_part

_CHECKPOINT = (
    "attntrace recomputes the layers of its own blocks alone; in code of your own, call "
    "torch.utils.checkpoint"
)
_SUCH_AS = {"init": "init.dim", "inputs": "inputs.x", "sizes": "sizes.batch", "run": "run.device"}
_KEYS = ("target", *_SUCH_AS, EXPECT)
_SIZES = ("batch", "tokens", "dim", "chan", "heads", "kv_heads", "head_dim", "layers")


def check_subject(given: Mapping[str, Setting]) -> tuple[Subject | None, list[Problem]]:
    """Return the subject, or None, and every problem: of single settings, then between them."""
    problems = [placed(problem, given) for problem in _of_each(given)]
    if "target" not in given:
        problems.append(Problem("target", "a target is needed, such as file.py:Name"))
    wrong = {problem.path for problem in problems}
    valid = {path: setting.value for path, setting in given.items() if path not in wrong}
    parts = {part: _below(valid, part) for part in ("init", "inputs", "sizes", "run")}
    spec = Subject.model_validate({"target": str(valid.get("target", "")), **parts})
    judges_run = not any(path.startswith("run.") for path in wrong)
    between = [*_sizes_rules(spec, given, wrong), *(run_rules(spec) if judges_run else ())]
    problems += [placed(problem, given) for problem in between]
    return (None if problems else spec), problems


def sizes_named(given: Mapping[str, Setting]) -> set[str]:
    """Return the names of sizes in the inputs that can be read."""
    names: set[str] = set()
    for path, setting in given.items():
        if path.startswith("inputs."):
            names |= _names(setting.value)
    return names


def _names(value: Any) -> set[str]:
    try:
        asked = wanted(value)
    except ValueError:
        return set()
    named = {name for tensor in tensors_of(asked) for name in tensor.names}
    return named | ({asked} if isinstance(asked, str) else set())


def _below(valid: Mapping[str, Any], part: str) -> dict[str, Any]:
    start = f"{part}."
    return {p.removeprefix(start): value for p, value in valid.items() if p.startswith(start)}


def _of_each(given: Mapping[str, Setting]) -> Iterator[Problem]:
    for path, setting in given.items():
        part, dot, name = path.partition(".")
        if path in _SUCH_AS:
            if setting.value not in (None, {}, [], ()):
                yield Problem(path, _section(path, setting.value))
        elif setting.origin == "flag" and part not in (*_SUCH_AS, "target"):
            yield Problem(path, _of_a_block(setting))
        elif part not in _CHECKS or bool(dot) == (part == "target"):
            yield Problem(path, _unknown(path if part in _CHECKS else part, _KEYS))
        elif message := _CHECKS[part](name, setting.value):
            yield Problem(path, message)


def _section(path: str, value: Any) -> str:
    return f"{path} is a section; a setting such as {_SUCH_AS[path]} was expected, got {as_yaml(value)}"


def _of_a_block(setting: Setting) -> str:
    """Say what to do with a flag that describes a block of ours."""
    name, value = setting.path.rpartition(".")[2], as_yaml(setting.value)
    flag = setting.where.partition(" ")[0]
    message = f"{flag} describes a block of attntrace's own; give yours --init {name}={value}"
    sized = f", or name the size in an input, such as --input x=2,{name}"
    return message + (sized if setting.path in _SIZES else "")


def _unknown(path: str, there: Sequence[str]) -> str:
    near = get_close_matches(path, there, n=1, cutoff=0.6)
    end = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(there)}"
    return f"unknown key {path!r}; {end}"


def _target(_name: str, value: Any) -> str | None:
    if not isinstance(value, str):
        return f"target must be text such as file.py:Name, got {as_yaml(value)}"
    return missing_part(value)


def _input(_name: str, value: Any) -> str | None:
    try:
        wanted(value)
    except ValueError as error:
        return str(error)
    return None


def _size(name: str, value: Any) -> str | None:
    if isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= MOST:
        return None
    return f"{name} must be a whole number >= 1, got {as_yaml(value)}"


def _run(name: str, value: Any) -> str | None:
    path = f"run.{name}"
    if name == "checkpoint":
        return _CHECKPOINT if value else None
    if path not in fields():
        there = [field.path for field in members("run") if field.name != "checkpoint"]
        return _unknown(path, there)
    try:
        RunSpec.model_validate({name: value})
    except ValidationError:
        return refusal(fields()[path], value)
    return None


_CHECKS: dict[str, Callable[[str, Any], str | None]] = {
    "target": _target,
    "init": lambda _name, _value: None,
    "inputs": _input,
    "sizes": _size,
    "run": _run,
}


def _sizes_rules(spec: Subject, given: Mapping[str, Setting], wrong: set[str]) -> Iterator[Problem]:
    """Yield the sizes that an input names and nobody gives, and those that no input names."""
    for name, value in spec.inputs.items():
        tensors = tensors_of(wanted(value))
        for size in dict.fromkeys(name for tensor in tensors for name in tensor.names):
            if size not in spec.sizes and f"sizes.{size}" not in wrong:
                message = (
                    f"no size {size!r}; add --size {size}=N, or write {{value: ...}} for a text"
                )
                yield Problem(f"inputs.{name}", message)
    used = sorted(sizes_named(given))
    for size in spec.sizes:
        if size not in used and given[f"sizes.{size}"].origin == "flag":
            there = f"inputs name {', '.join(used)}" if used else "no input names a size"
            yield Problem(f"sizes.{size}", f"no input has a size {size!r}; {there}")
