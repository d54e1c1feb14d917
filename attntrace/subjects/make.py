"""From what a target's name stands for to what is called: a module, or a function over tensors."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, NoReturn, get_args, get_type_hints

from torch import Tensor, nn

from attntrace.errors import Problem, SettingsError
from attntrace.spec import Subject
from attntrace.subjects.configs import filled, nested
from attntrace.subjects.faults import blamed
from attntrace.subjects.signatures import (
    name_of,
    required,
    signature_of,
    takes_more,
    unknown_names,
    written,
)
from attntrace.subjects.suggest import start_for

_EXPECTED = "a module, (module, args) or (module, args, kwargs) was expected"


@dataclass(frozen=True, slots=True)
class Made:
    """What is to be called, with what it brings along."""

    call: Callable[..., Any]
    args: tuple[Any, ...] = ()
    kwargs: dict[str, Any] = field(default_factory=dict)
    is_new: bool = True
    """Whether nobody else holds it."""
    keeps_mode: bool = False
    """Whether train or eval is as its author left it."""


def make(value: Any, subject: Subject) -> Made:
    """Return what to call for a name's value: an instance as it is, a class or a factory called.

    Raises:
        SettingsError: it is nothing that can be called, or its arguments do not fit.
        BuildError: the constructor raised.

    """
    if isinstance(value, type):
        return _of_class(value, subject)
    if callable(value) and not isinstance(value, nn.Module):
        return _of_function(value, subject)
    if subject.init:
        _refuse(f"{subject.target} is an instance already, which takes no --init")
    if isinstance(value, nn.Module):
        return Made(value, is_new=False, keeps_mode=True)
    recipe = _recipe(value)
    if recipe is None:
        _refuse(f"it is {_a(value)}; an nn.Module class or instance, or a function, was expected")
    return recipe


def _of_class(kind: type, subject: Subject) -> Made:
    init = _arguments(kind, subject)
    with blamed(f"{kind.__name__} could not be built"):
        instance = kind(**init)
    if not callable(instance):
        _refuse(f"{kind.__name__} is a class whose instances cannot be called")
    return Made(instance)


def _of_function(function: Callable[..., Any], subject: Subject) -> Made:
    if not _makes(function, subject):
        return Made(function)
    init = _arguments(function, subject)
    with blamed(f"{name_of(function)} could not build it"):
        result = function(**init)
    if callable(result) and not isinstance(result, type):
        return Made(result)
    recipe = _recipe(result)
    if recipe is None and (subject.init or _says_module(function)):
        hint = "; what goes into a plain function is --input" if subject.init else ""
        _refuse(f"{name_of(function)} returned {_a(result)}; {_EXPECTED}{hint}")
    return recipe or Made(function)


def _makes(function: Callable[..., Any], subject: Subject) -> bool:
    """Whether a function is to be called for a module, rather than with tensors."""
    if subject.init or _says_module(function):
        return True
    signature = signature_of(function)
    if signature is None or required(signature):
        return False
    many = takes_more(signature, inspect.Parameter.VAR_POSITIONAL)
    return not any(name in signature.parameters or many for name in subject.inputs)


def _says_module(function: Callable[..., Any]) -> bool:
    """Whether a function's annotation says that it returns a module, or a tuple with one."""
    try:
        hint = get_type_hints(function).get("return")
    except (NameError, TypeError, AttributeError, SyntaxError):
        return False
    return any(isinstance(t, type) and issubclass(t, nn.Module) for t in (hint, *get_args(hint)))


def _recipe(value: Any) -> Made | None:
    """Return what a (module, args, kwargs) says, None where it is no such thing."""
    if not isinstance(value, tuple | list) or len(value) not in (2, 3):
        return None
    call, args, kwargs = (*value, {})[:3]
    if isinstance(args, Mapping) and not kwargs:
        args, kwargs = (), args
    fits = isinstance(args, tuple | list | Tensor) and isinstance(kwargs, Mapping)
    if not fits or not callable(call) or isinstance(call, type):
        return None
    args = (args,) if isinstance(args, Tensor) else tuple(args)
    return Made(call, args, dict(kwargs), keeps_mode=True)


def _arguments(made_by: Callable[..., Any], subject: Subject) -> dict[str, Any]:
    """Return what a constructor is given; refuse what it does not take, ask for what it needs."""
    signature, name = signature_of(made_by), name_of(made_by)
    if signature is None:
        return subject.init
    init = nested(subject.init)
    unknown = unknown_names(init, name, signature)
    problems = [Problem(f"init.{given}", message) for given, message in unknown]
    missing = [p for p in required(signature) if p.name not in init]
    if missing and not problems:
        what = f"{written(name, signature)} needs {', '.join(p.name for p in missing)}"
        problems.append(Problem("target", f"{what}; {start_for(made_by, missing, subject)}"))
    if problems:
        raise SettingsError(problems)
    return filled(made_by, init)


def _refuse(message: str) -> NoReturn:
    raise SettingsError([Problem("target", message)])


def _a(value: Any) -> str:
    """Return what a value is: "a Tensor"."""
    name = "None" if value is None else type(value).__name__
    return name if value is None else f"{'an' if name[0] in 'aeiouAEIOU' else 'a'} {name}"
