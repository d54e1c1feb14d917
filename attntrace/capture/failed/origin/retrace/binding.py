"""Which parameter of a function an argument goes to, and what the others are by default."""

from __future__ import annotations

import ast
import inspect
from types import FunctionType

from attntrace.capture.failed.origin.retrace.code import Function, code_of, definition, field_place
from attntrace.capture.failed.origin.retrace.expressions import value_of
from attntrace.capture.failed.origin.retrace.scope import Scope
from attntrace.capture.failed.origin.retrace.values import UNKNOWN, Value, of_live
from attntrace.capture.failed.values.settings import NAMED

Args = tuple[list[Value], dict[str, Value]]


def initialiser(kind: type) -> FunctionType | None:
    """Return the constructor of a class, if it was written in Python."""
    found = next((vars(one)["__init__"] for one in kind.__mro__ if "__init__" in vars(one)), None)
    return found if isinstance(found, FunctionType) else None


def bound_to_class(kind: type, args: Args, call: Value, scope: Scope) -> dict[str, Value]:
    """Return the arguments of a class by the names of its constructor's parameters, without self."""
    if kind.__name__ in NAMED and kind.__module__.startswith("torch."):
        given = dict(zip(NAMED[kind.__name__], args[0], strict=False)) | args[1]
        return {name: passed(value, name, call) for name, value in given.items()}
    function = initialiser(kind)
    if function is None:
        return {}
    tree, me = definition(function), ([Value(None), *args[0]], args[1])
    if not isinstance(tree, ast.FunctionDef):
        return _by_signature(kind, function, args, call)
    inner = Scope(code_of(function), scope.budget)
    taken = bound(tree, me, call, inner, kind.__name__)
    return dict(list(taken.items())[1:])


def bound(
    node: Function, args: Args, call: Value, scope: Scope, named: str = ""
) -> dict[str, Value]:
    """Return what the parameters of a function hold; `scope` is where it was written."""
    parameters, taken = node.args, dict[str, Value]()
    places = [one.arg for one in (*parameters.posonlyargs, *parameters.args)]
    defaults = dict(zip(reversed(places), reversed(parameters.defaults), strict=False))
    keywords = [one.arg for one in parameters.kwonlyargs]
    defaults |= {
        k: v for k, v in zip(keywords, parameters.kw_defaults, strict=True) if v is not None
    }
    given = dict(zip(places, args[0], strict=False)) | args[1]
    named = named or getattr(node, "name", "lambda")
    for name in (*places, *keywords):
        if name in given:
            taken[name] = passed(given[name], name, call)
        elif name in defaults:
            value = value_of(defaults[name], scope)
            taken[name] = Value(
                value.what, value.written, value.place, value.of, "default", name, named
            )
        else:
            taken[name] = Value(UNKNOWN, name, scope.code.at(node), (), "argument", name, named)
    if parameters.vararg is not None:
        rest = [passed(one, parameters.vararg.arg, call) for one in args[0][len(places) :]]
        taken[parameters.vararg.arg] = Value(tuple(rest))
    if parameters.kwarg is not None:
        others = {name: value for name, value in args[1].items() if name not in taken}
        taken[parameters.kwarg.arg] = Value(others)
    return taken


def passed(value: Value, name: str, call: Value) -> Value:
    """Return an argument as the parameter that it went to."""
    place = value.place or call.place
    return Value(value.what, value.written, place, ((name, value),), "passed", name, call)


def _by_signature(kind: type, function: FunctionType, args: Args, call: Value) -> dict[str, Value]:
    """Return the arguments of a constructor that was generated, as that of a dataclass."""
    parameters = [*inspect.signature(function).parameters.values()][1:]
    given = dict(zip([one.name for one in parameters], args[0], strict=False)) | args[1]
    taken = dict[str, Value]()
    for one in parameters:
        if one.name in given:
            taken[one.name] = passed(given[one.name], one.name, call)
        elif one.default is not one.empty:
            place = field_place(kind, one.name)
            text = str(one.default) if isinstance(one.default, (int, float, str)) else ""
            taken[one.name] = Value(
                of_live(one.default), text, place, (), "default", one.name, kind.__name__
            )
    return taken
