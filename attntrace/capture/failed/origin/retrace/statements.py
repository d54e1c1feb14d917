"""Going through the statements of a constructor, both branches of a test that nobody can tell."""

from __future__ import annotations

import ast
from collections.abc import Callable, Sequence
from typing import Any, Literal

from attntrace.capture.failed.origin.retrace.expressions import value_of
from attntrace.capture.failed.origin.retrace.items import items_of
from attntrace.capture.failed.origin.retrace.scope import Scope
from attntrace.capture.failed.origin.retrace.values import (
    HOLDERS,
    UNKNOWN,
    Built,
    Local,
    Value,
    either,
    truth,
)

Left = Literal["return", "raise", "break", "continue"] | None
"""How a block was left before its end."""


def run(body: Sequence[ast.stmt], scope: Scope) -> Left:
    """Go through statements in order."""
    for statement in body:
        scope.budget.spend()
        handle = _HANDLERS.get(type(statement))
        left = handle(statement, scope) if handle else None
        if left is not None:
            return left
    return None


def bind(target: ast.expr, value: Value, scope: Scope) -> None:
    """Assign a value to a name, an attribute, an item, or several of them."""
    if isinstance(target, ast.Name):
        scope.assign(target.id, value)
    elif isinstance(target, ast.Attribute):
        base = value_of(target.value, scope).what
        if isinstance(base, Built):
            base.attributes[target.attr] = value
    elif isinstance(target, ast.Subscript):
        base, key = value_of(target.value, scope).what, value_of(target.slice, scope).what
        if type(base) is dict and isinstance(key, (int, str)):
            base[key] = value
        elif isinstance(base, Built) and isinstance(key, (int, str)):
            base.attributes[str(key)] = value
    elif isinstance(target, (ast.Tuple, ast.List)):
        items = items_of(value)
        fits = items is not None and len(items) == len(target.elts)
        for at, one in enumerate(target.elts):
            bind(one, items[at] if items is not None and fits else Value(), scope)


def _assign(node: ast.Assign, scope: Scope) -> Left:
    value = value_of(node.value, scope)
    for target in node.targets:
        bind(target, value, scope)
    return None


def _annotated(node: ast.AnnAssign, scope: Scope) -> Left:
    if node.value is not None:
        bind(node.target, value_of(node.value, scope), scope)
    return None


def _augmented(node: ast.AugAssign, scope: Scope) -> Left:
    joined = ast.copy_location(ast.BinOp(_read(node.target), node.op, node.value), node)
    bind(node.target, value_of(joined, scope), scope)
    return None


def _read(target: ast.expr) -> ast.expr:
    """Return a target as an expression."""
    return ast.copy_location(ast.parse(ast.unparse(target), mode="eval").body, target)


def _expression(node: ast.Expr, scope: Scope) -> Left:
    value_of(node.value, scope)
    return None


def _if(node: ast.If, scope: Scope) -> Left:
    holds = truth(value_of(node.test, scope))
    if holds is not None:
        return run(node.body if holds else node.orelse, scope)
    before, ways = _kept(scope), []
    for body in (node.body, node.orelse):
        _put(scope, before)
        left = run(body, scope)
        if left != "raise":
            ways.append((_kept(scope), left))
    _put(scope, _merged([way for way, _ in ways]) if ways else before)
    return ways[0][1] if len({left for _, left in ways}) == 1 else None


Names = tuple[dict[str, Value], dict[str, Value]]


def _kept(scope: Scope) -> Names:
    me = scope.me.what if scope.me else None
    return dict(scope.names), dict(me.attributes) if isinstance(me, Built) else {}


def _put(scope: Scope, names: Names) -> None:
    scope.names = dict(names[0])
    if scope.me is not None and isinstance(scope.me.what, Built):
        scope.me.what.attributes = dict(names[1])


def _merged(ways: list[Names]) -> Names:
    return _joined([names for names, _ in ways]), _joined([attributes for _, attributes in ways])


def _joined(ways: list[dict[str, Value]]) -> dict[str, Value]:
    merged = dict[str, Value]()
    for name in dict.fromkeys(name for way in ways for name in way):
        values = [way[name] for way in ways if name in way]
        same = all(value is values[0] for value in values)
        merged[name] = values[0] if same else either(values, values[0])
    return merged


def _for(node: ast.For, scope: Scope) -> Left:
    items = items_of(value_of(node.iter, scope))
    for item in [Value()] if items is None else items:
        bind(node.target, item, scope)
        left = run(node.body, scope)
        if left in ("return", "raise"):
            return left
        if left == "break":
            return None
    return run(node.orelse, scope)


def _with(node: ast.With, scope: Scope) -> Left:
    for one in node.items:
        if one.optional_vars is not None:
            bind(one.optional_vars, Value(), scope)
    return run(node.body, scope)


def _try(node: ast.Try, scope: Scope) -> Left:
    return run(node.body, scope) or run(node.orelse, scope) or run(node.finalbody, scope)


def _return(node: ast.Return, scope: Scope) -> Left:
    if node.value is not None:
        scope.returned.append(value_of(node.value, scope))
    return "return"


def _function(node: ast.FunctionDef, scope: Scope) -> Left:
    what = UNKNOWN if node.decorator_list else Local(node, scope)
    scope.assign(node.name, Value(what, node.name, scope.code.at(node)))
    return None


def _while(node: ast.While, scope: Scope) -> Left:
    """Go through a loop whose end is known; forget what one changes whose end is not."""
    while (holds := truth(value_of(node.test, scope))) is True:
        if (left := run(node.body, scope)) is not None:
            return left if left in ("return", "raise") else None
    if holds is None:
        run(node.body, scope)
        for inner in ast.walk(node):
            if isinstance(inner, ast.Name) and isinstance(inner.ctx, ast.Store):
                known = scope.names.get(inner.id)
                if known is not None and type(known.what) not in HOLDERS:
                    scope.assign(inner.id, Value(UNKNOWN, inner.id))
    return None


def _left(how: Left) -> Callable[[Any, Scope], Left]:
    return lambda _node, _scope: how


_HANDLERS: dict[type[ast.stmt], Callable[[Any, Scope], Left]] = {
    ast.Assign: _assign, ast.AnnAssign: _annotated, ast.AugAssign: _augmented,
    ast.Expr: _expression, ast.If: _if, ast.For: _for, ast.While: _while, ast.With: _with,
    ast.Try: _try, ast.Return: _return, ast.FunctionDef: _function, ast.Raise: _left("raise"),
    ast.Break: _left("break"), ast.Continue: _left("continue"),
}  # fmt: skip
