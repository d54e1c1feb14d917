"""Objects that a module is made with, such as a config: from the mappings that YAML has for them."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from types import UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

from attntrace.errors import Problem, SettingsError
from attntrace.subjects.faults import blamed
from attntrace.subjects.signatures import required, signature_of, unknown_names

_LOOSE = ("builtins", "typing", "collections.abc")
"""Where the classes are that say nothing of what a value is made with."""


def filled(
    made_by: Callable[..., Any], given: Mapping[str, Any], at: str = "init"
) -> dict[str, Any]:
    """Return arguments for a call, with a mapping made into the class that the annotation names.

    `config={n_layer: 2}` and `config.n_layer=2` are `config=Config(n_layer=2)`, where the parameter
    says `config: Config`. Where it says nothing, a mapping stays one.

    Raises:
        SettingsError: the class takes no such name, or needs more.
        BuildError: its constructor raised.

    """
    found = {}
    for name, value in nested(given).items():
        kind = kind_of(made_by, name)
        if kind is not None and isinstance(value, Mapping):
            found[name] = _made(kind, value, f"{at}.{name}")
        else:
            found[name] = value
    return found


def nested(given: Mapping[str, Any]) -> dict[str, Any]:
    """Return dotted names as nested dicts; what comes later wins."""
    found: dict[str, Any] = {}
    for name, value in given.items():
        *above, last = name.split(".")
        here = found
        for part in above:
            before = here.get(part)
            here[part] = dict(before) if isinstance(before, Mapping) else {}
            here = here[part]
        here[last] = value
    return found


def kind_of(made_by: Callable[..., Any], name: str) -> type | None:
    """Return the class that a parameter's annotation names, None for a plain value or a mapping."""
    function = made_by.__init__ if isinstance(made_by, type) else made_by  # type: ignore[misc]
    try:
        hint = get_type_hints(function).get(name)
    except (NameError, TypeError, AttributeError, SyntaxError):
        return None
    hints = get_args(hint) if get_origin(hint) in (Union, UnionType) else (hint,)
    kinds = [kind for kind in hints if inspect.isclass(kind) and get_origin(kind) is None]
    own = (k for k in kinds if k.__module__ not in _LOOSE and not issubclass(k, Mapping))
    return next(own, None)


def needs(kind: type) -> list[inspect.Parameter]:
    """Return the parameters of a class that have no default."""
    signature = signature_of(kind)
    return required(signature) if signature else []


def _made(kind: type, value: Mapping[str, Any], at: str) -> Any:
    signature = signature_of(kind)
    unknown = unknown_names(value, kind.__name__, signature) if signature else ()
    problems = [Problem(f"{at}.{name}", message) for name, message in unknown]
    missing = [p.name for p in needs(kind) if p.name not in value]
    if missing:
        such_as = f"--{at.replace('.', ' ', 1)}.{missing[0]}=VALUE"
        message = f"{kind.__name__} needs {', '.join(missing)}; such as {such_as}"
        problems.append(Problem(at, message))
    if problems:
        raise SettingsError(problems)
    arguments = filled(kind, value, at)
    with blamed(f"{kind.__name__} could not be built"):
        return kind(**arguments)
