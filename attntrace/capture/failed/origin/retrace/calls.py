"""A call in a constructor: of a class, whose object is built on paper, or of a function."""

from __future__ import annotations

import ast
import copy
import functools
from types import FunctionType
from typing import Any

from torch import nn

from attntrace.capture.failed.origin.retrace import objects
from attntrace.capture.failed.origin.retrace.binding import Args, bound, bound_to_class, passed
from attntrace.capture.failed.origin.retrace.code import (
    Function,
    code_of,
    definition,
    is_pythons,
    text_of,
)
from attntrace.capture.failed.origin.retrace.expressions import unpacked, value_of
from attntrace.capture.failed.origin.retrace.items import items_of
from attntrace.capture.failed.origin.retrace.known import known, of_holder
from attntrace.capture.failed.origin.retrace.scope import MOST_DEEP, Scope
from attntrace.capture.failed.origin.retrace.statements import run
from attntrace.capture.failed.origin.retrace.tensors import made, method_of_tensor
from attntrace.capture.failed.origin.retrace.values import (
    HOLDERS,
    UNKNOWN,
    Built,
    Either,
    Local,
    Method,
    Partial,
    Sizes,
    Value,
    either,
    of_live,
)

_RETURNED = (
    "to", "apply", "eval", "train", "cuda", "cpu", "float", "half", "bfloat16", "double",
    "requires_grad_", "type",
)  # fmt: skip
"""Methods of a module that return it."""
_REGISTERS = ("add_module", "register_module", "register_parameter", "register_buffer")


def called(node: ast.Call, scope: Scope) -> Value:
    """Return what a call gives."""
    here = Value(UNKNOWN, node, scope.code.at(node))
    args = _arguments(node, scope)
    if args is None or scope.budget.depth > MOST_DEEP:
        return here
    scope.budget.depth += 1
    try:
        if _is_super(node.func):
            _call_super(node.func, args, scope, here)
            return here
        found = apply(value_of(node.func, scope), args, scope, here)
    finally:
        scope.budget.depth -= 1
    of = tuple(pair for one in (*args[0], *args[1].values()) for pair in one.of)
    of = of or ((text_of(node), found),) if found.place else of
    return Value(found.what, node, here.place, of)


def apply(function: Value, args: Args, scope: Scope, call: Value) -> Value:
    """Return what a function, a class or a method gives for arguments."""
    what = function.what
    for kind, way in _WAYS:
        if isinstance(what, kind):
            found: Value = way(what, args, scope, call)
            return found
    return known(what, args) or made(getattr(what, "__name__", ""), args) or Value()


def _either(either_of: Either, args: Args, scope: Scope, call: Value) -> Value:
    return either([apply(one, args, scope, call) for one in either_of.values], call)


def _partial(what: Partial, args: Args, scope: Scope, call: Value) -> Value:
    joined = [*what.args, *args[0]], {**what.kwargs, **args[1]}
    return apply(what.function, joined, scope, call)


def _live_partial(what: functools.partial[Any], args: Args, scope: Scope, call: Value) -> Value:
    args = [Value(of_live(one)) for one in what.args] + args[0], args[1]
    kwargs = {name: Value(of_live(value)) for name, value in what.keywords.items()}
    return _partial(Partial(Value(what.func), (), kwargs), args, scope, call)


def _local(what: Local, args: Args, scope: Scope, call: Value) -> Value:
    of: Scope = what.scope
    inner = Scope(of.code, scope.budget, {}, of.me, of.owner, of)
    return _gone_through(what.node, inner, args, call)


def construct(built: Built, kind: type, args: dict[str, Value]) -> None:
    """Go through the constructor that a class has, for an object; torch's keeps what it is given."""
    owner = next((one for one in kind.__mro__ if "__init__" in vars(one)), object)
    function = vars(owner)["__init__"]
    if owner is nn.Module or not isinstance(function, FunctionType):
        return
    if objects.contains(owner):
        objects.contain(built, owner, args)
        return
    if owner.__module__.startswith("torch.nn.") and not built.kind.__module__.startswith("torch."):
        built.torch_args = args
    tree = definition(function)
    if isinstance(tree, ast.FunctionDef) and built.budget.depth <= MOST_DEEP:
        me = Value(built, "self")
        scope = Scope(code_of(function), built.budget, {_first(tree): me, **args}, me, owner)
        run(tree.body, scope)


def _first(tree: Function) -> str:
    return next((one.arg for one in (*tree.args.posonlyargs, *tree.args.args)), "self")


def _arguments(node: ast.Call, scope: Scope) -> Args | None:
    args, kwargs = unpacked(node.args, scope), dict[str, Value]()
    for keyword in node.keywords:
        value = value_of(keyword.value, scope)
        if keyword.arg is not None:
            kwargs[keyword.arg] = value
        elif type(value.what) is dict:
            pairs = value.what.items()
            kwargs |= {
                str(key): one if isinstance(one, Value) else Value(one) for key, one in pairs
            }
    return None if args is None else (args, kwargs)


def _is_super(function: ast.expr) -> bool:
    """Return whether a call is `super().something(...)`."""
    called = function.value if isinstance(function, ast.Attribute) else None
    name = called.func if isinstance(called, ast.Call) else None
    return isinstance(name, ast.Name) and name.id == "super"


def _call_super(function: ast.expr, args: Args, scope: Scope, call: Value) -> None:
    """Go through the constructor that the class after this one in the order has."""
    if scope.me is None or scope.owner is None or getattr(function, "attr", "") != "__init__":
        return
    built: Built = scope.me.what
    order = built.kind.__mro__
    after = order[order.index(scope.owner) + 1 :] if scope.owner in order else ()
    base = next((one for one in after if "__init__" in vars(one)), object)
    if base not in (object, nn.Module):
        construct(built, base, bound_to_class(base, args, call, scope))


def _class(kind: type, args: Args, scope: Scope, call: Value) -> Value:
    if issubclass(kind, nn.Parameter) or kind.__name__ == "Buffer":
        return args[0][0] if args[0] else Value()
    if kind is functools.partial and args[0]:
        return Value(Partial(args[0][0], tuple(args[0][1:]), args[1]))
    plainly = known(kind, args)
    if plainly is not None or kind.__module__ == "builtins":
        return plainly or Value()
    return Value(Built(kind, bound_to_class(kind, args, call, scope), call, scope.budget))


def _function(function: FunctionType, args: Args, scope: Scope, call: Value) -> Value:
    """Go through a function of the author's; torch's own take a tensor, or a module to return."""
    first = args[0][0] if args[0] else Value()
    if function in (copy.deepcopy, copy.copy):
        return first
    if function is nn.Module.__init__:
        return Value(None)
    file = function.__module__ or ""
    tree = None if is_pythons(function) else definition(function)
    if tree is None or (file.startswith("torch.") and not file.startswith("torch.nn.modules")):
        is_made = isinstance(first.what, (Built, Sizes))
        return made(function.__name__, args) or (first if is_made else Value())
    me = first if isinstance(first.what, Built) else None
    return _gone_through(tree, Scope(code_of(function), scope.budget, me=me), args, call)


def _gone_through(node: Function, scope: Scope, args: Args, call: Value) -> Value:
    """Go through the body of a function; return what it returns."""
    around = scope.outer or scope
    scope.names.update(bound(node, args, call, around))
    if isinstance(node, ast.Lambda):
        return value_of(node.body, scope)
    run(node.body, scope)
    return either(scope.returned, scope.returned[0]) if scope.returned else Value(None)


def _method(method: Method, args: Args, scope: Scope, call: Value) -> Value:
    what, name = method.of.what, method.name
    if isinstance(what, Sizes):
        return method_of_tensor(what, name, args)
    if isinstance(what, HOLDERS):
        return of_holder(what, name, args)
    owner = next((one for one in what.kind.__mro__ if name in vars(one)), object)
    function = vars(owner).get(name)
    if owner.__module__.startswith("torch.") or not isinstance(function, FunctionType):
        return _of_module(method, args, call)
    tree = definition(function)
    inner = Scope(code_of(function), scope.budget, {}, method.of, owner)
    everything = [method.of, *args[0]], args[1]
    return _gone_through(tree, inner, everything, call) if tree is not None else Value()


def _of_module(method: Method, args: Args, call: Value) -> Value:
    """Return what a method that every module has gives."""
    built, given = method.of.what, [*args[0], *args[1].values()]
    if method.name in _REGISTERS and len(given) >= 2 and isinstance(given[0].what, str):
        built.attributes[given[0].what] = passed(given[1], given[0].what, call)
    elif method.name == "append" and given:
        objects.grow(built, given[:1])
    elif method.name == "extend" and given:
        objects.grow(built, items_of(given[0]) or [])
    elif method.name not in _RETURNED:
        return Value()
    return method.of


_WAYS: tuple[tuple[type, Any], ...] = (
    (Either, _either),
    (Partial, _partial),
    (functools.partial, _live_partial),
    (Local, _local),
    (Method, _method),
    (type, _class),
    (FunctionType, _function),
)
