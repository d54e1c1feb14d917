"""The outermost module as it was built: what its constructor was given is worked out from inside.

Nobody knows the call that built it. What stands tells: a module of torch's in it whose argument is
the constructor's own, by name, has its value; so has an attribute. Then the call in its file, if
there is one, and the default.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from typing import Any

from torch import Tensor, nn

from attntrace.capture.failed.origin.retrace import UNKNOWN, Built, Value, attributes, child, plain
from attntrace.capture.failed.origin.retrace.binding import bound_to_class, initialiser
from attntrace.capture.failed.origin.retrace.code import Code, tree_of
from attntrace.capture.failed.origin.retrace.expressions import value_of
from attntrace.capture.failed.origin.retrace.scope import Budget, Scope
from attntrace.capture.failed.origin.retrace.statements import run
from attntrace.capture.failed.origin.retrace.values import PLAIN, of_live
from attntrace.capture.failed.values.settings import constructor_settings, held

MOST_MODULES = 300
_ABSENT = (type(None), Tensor, nn.Module)
"""What an attribute holds that says nothing of a parameter."""


def outermost(root: nn.Module) -> Built:
    """Return how the outermost module was built, as far as can be told."""
    defaults = _taken(root)
    blank = _as_built(root, {name: _unknown(one) for name, one in defaults.items()})
    known = dict(_told_by(blank, root, defaults))
    called = _called(root, known)
    args = {
        name: called.get(name) or (_argument(one, known[name]) if name in known else one)
        for name, one in defaults.items()
    }
    return _as_built(root, args)


def _taken(root: nn.Module) -> dict[str, Value]:
    function = initialiser(type(root))
    if function is None:
        return {}
    scope = Scope(Code("", {}), Budget())
    return bound_to_class(type(root), ([], {}), Value(), scope)


def _as_built(root: nn.Module, args: dict[str, Value]) -> Built:
    return Built(type(root), args, Value(), Budget(), root)


def _unknown(default: Value) -> Value:
    """Return a parameter as one of which nothing is known; what is no number is as it is."""
    what = plain(default)
    is_number = default.what is UNKNOWN or (isinstance(what, (int, float)) and what is not UNKNOWN)
    return _argument(default, UNKNOWN) if is_number else default


def _argument(parameter: Value, what: Any) -> Value:
    """Return a parameter with a value; its default, where that is the value."""
    if parameter.kind == "default" and type(what) in PLAIN and plain(parameter) == what:
        return parameter
    return Value(
        of_live(what),
        parameter.name,
        parameter.place,
        (),
        "argument",
        parameter.name,
        parameter.call,
    )


def _told_by(
    blank: Built, root: nn.Module, parameters: dict[str, Value]
) -> Iterator[tuple[str, Any]]:
    """Yield parameters of the constructor with the value that something in the module has."""
    known = set[str]()
    for value, live in _pairs(blank, root):
        name = _bare(value)
        if name in parameters and name not in known and not isinstance(live, _ABSENT):
            known.add(name)
            yield name, live


def _pairs(blank: Built, root: nn.Module) -> Iterator[tuple[Value, Any]]:
    """Yield what is written for a number of a module, and the number that it has."""
    waiting: list[tuple[Built, nn.Module]] = [(blank, root)]
    for _ in range(MOST_MODULES):
        if not waiting:
            return
        built, live = waiting.pop(0)
        settings = constructor_settings(live)
        args = built.args
        if settings and built.kind is not type(live):
            continue
        numbers = {name: one for name, one in settings.items() if isinstance(one, (int, float))}
        yield from ((args[name], value) for name, value in numbers.items() if name in args)
        if settings:
            continue
        for name, value in attributes(built).items():
            part = _held(live, name)
            if isinstance(part, nn.Module):
                found = child(built, name, part)
                waiting += [(found, part)] if found is not None else []
            else:
                yield value, part


def _held(live: nn.Module, name: str) -> Any:
    try:
        return held(live, name)
    except KeyError:
        return None


def _bare(value: Value) -> str | None:
    """Return the name of the outermost parameter that a value is, untouched."""
    for _ in range(MOST_MODULES):
        if value.kind == "argument":
            return value.name
        is_alias = value.kind == "passed" or (value.of and value.text == value.of[0][0])
        if not is_alias or not value.of:
            return None
        value = value.of[0][1]
    return None


def _called(root: nn.Module, known: dict[str, Any]) -> dict[str, Value]:
    """Return the arguments of the only call of the class in its file, if they agree with it."""
    module = sys.modules.get(type(root).__module__)
    file = getattr(module, "__file__", None) or ""
    tree = tree_of(file) or ast.Module([], [])
    name = type(root).__name__
    places = [place for place in _statements(tree) for _ in _calls(place, name)]
    if len(places) != 1 or module is None:
        return {}
    scope = Scope(Code(file, vars(module)), Budget(), is_module=False)
    call = next(_calls(places[0], name))
    if isinstance(places[0], ast.FunctionDef):
        for statement in places[0].body:
            if any(one is call for one in ast.walk(statement)):
                break
            run([statement], scope)
    here = Value(UNKNOWN, call, scope.code.at(call))
    args = [value_of(one, scope) for one in call.args]
    kwargs = {one.arg: value_of(one.value, scope) for one in call.keywords if one.arg}
    taken = bound_to_class(type(root), (args, kwargs), here, scope)
    agrees = all(
        plain(taken[key]) == value
        for key, value in known.items()
        if key in taken and type(value) in PLAIN
    )
    told = {key: one for key, one in taken.items() if one.kind == "passed"} if agrees else {}
    return {key: one for key, one in told.items() if one.what is not UNKNOWN}


def _statements(tree: ast.Module) -> Iterator[ast.stmt]:
    """Yield the statements of a file but for its classes."""
    return (one for one in tree.body if not isinstance(one, ast.ClassDef))


def _calls(place: ast.AST, name: str) -> Iterator[ast.Call]:
    for node in ast.walk(place):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == name:
            yield node
