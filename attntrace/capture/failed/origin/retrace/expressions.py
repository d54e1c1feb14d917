"""What an expression of a constructor is: arithmetic on what is known, and a call gone through.

Numbers, texts and their holders only: an operator of the author's never runs.
"""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable, Iterator
from typing import Any

from attntrace.capture.failed.origin.retrace.code import text_of
from attntrace.capture.failed.origin.retrace.items import items_of, wrapped
from attntrace.capture.failed.origin.retrace.scope import Scope
from attntrace.capture.failed.origin.retrace.values import (
    HOLDERS,
    MOST_ITEMS,
    NUMBERS,
    PLAIN,
    UNKNOWN,
    Local,
    Sizes,
    Value,
    either,
    plain,
    truth,
)
from attntrace.capture.failed.values.operators import BINARY, COMPARED, UNARY

MOST_BITS = 256
_COMPARED: dict[type[ast.cmpop], Callable[[Any, Any], Any]] = {
    **COMPARED, ast.In: lambda a, b: a in b, ast.NotIn: lambda a, b: a not in b,
}  # fmt: skip


def value_of(node: ast.expr, scope: Scope) -> Value:
    """Return what an expression is; what cannot be told is a `Value` of UNKNOWN."""
    scope.budget.spend()
    handle = _HANDLERS.get(type(node))
    found = handle(node, scope) if handle else Value()
    if found.what is UNKNOWN or found.place is None or found.kind != "written":
        return Value(found.what, node, scope.code.at(node), found.of)
    return found


def _written(what: Any, node: ast.expr, scope: Scope, *of: tuple[str, Value]) -> Value:
    return Value(what, node, scope.code.at(node), of)


def _constant(node: ast.Constant, scope: Scope) -> Value:
    return _written(node.value if type(node.value) in PLAIN else UNKNOWN, node, scope)


def _name(node: ast.Name, scope: Scope) -> Value:
    found = scope.name(node.id)
    return _written(found.what, node, scope, (node.id, found))


def _attribute(node: ast.Attribute, scope: Scope) -> Value:
    from attntrace.capture.failed.origin.retrace.objects import attribute

    base = value_of(node.value, scope)
    found = attribute(base, node.attr)
    of = base.of if found.what is UNKNOWN else ((text_of(node), found),)
    return _written(found.what, node, scope, *of)


def _binary(node: ast.BinOp, scope: Scope) -> Value:
    left, right = value_of(node.left, scope), value_of(node.right, scope)
    for one, other in ((left.what, right.what), (right.what, left.what)):
        if isinstance(one, Sizes) and (type(other) in NUMBERS or isinstance(other, Sizes)):
            longer = (
                other if isinstance(other, Sizes) and len(other.sizes) > len(one.sizes) else one
            )
            return _written(longer, node, scope)
    what = _worked(BINARY[type(node.op)], left.what, right.what)
    return _written(what, node, scope, *left.of, *right.of)


def _worked(function: Callable[[Any, Any], Any], left: Any, right: Any) -> Any:
    """Return the result of an operator on plain values; UNKNOWN if it raises or would take long."""
    if type(left) not in (*PLAIN, *HOLDERS) or type(right) not in (*PLAIN, *HOLDERS):
        return UNKNOWN
    many = [one for one in (left, right) if type(one) in (str, tuple, list)]
    if many and len(many[0]) * (right if type(right) is int else 1) > MOST_ITEMS:
        return UNKNOWN
    if function in (operator.pow, operator.lshift) and (
        abs(right) > MOST_BITS or (type(left) is int and left.bit_length() * abs(right) > MOST_BITS)
    ):
        return UNKNOWN
    try:
        return function(left, right)
    except (ArithmeticError, TypeError, ValueError):
        return UNKNOWN


def _unary(node: ast.UnaryOp, scope: Scope) -> Value:
    value = value_of(node.operand, scope)
    if isinstance(value.what, Sizes):
        return _written(value.what, node, scope)
    if isinstance(node.op, ast.Not):
        holds = truth(value)
        return _written(UNKNOWN if holds is None else not holds, node, scope, *value.of)
    known = type(value.what) in NUMBERS and not isinstance(node.op, ast.Invert)
    result = UNARY[type(node.op)](value.what) if known else UNKNOWN
    return _written(result, node, scope, *value.of)


def _compare(node: ast.Compare, scope: Scope) -> Value:
    values = [value_of(one, scope) for one in (node.left, *node.comparators)]
    of = [pair for value in values for pair in value.of]
    result = True
    for op, left, right in zip(node.ops, values, values[1:], strict=False):
        holds = _compared(op, left.what, right.what)
        if holds is UNKNOWN:
            return _written(UNKNOWN, node, scope, *of)
        result = result and bool(holds)
    return _written(result, node, scope, *of)


def _compared(op: ast.cmpop, left: Any, right: Any) -> Any:
    if left is UNKNOWN or right is UNKNOWN:
        return UNKNOWN
    if isinstance(op, (ast.Is, ast.IsNot)):
        return (left is right) is isinstance(op, ast.Is)
    one, other = plain(left), plain([*right] if type(right) is dict else right)
    if one is UNKNOWN or other is UNKNOWN:
        return UNKNOWN
    try:
        return _COMPARED[type(op)](one, other)
    except TypeError:
        return UNKNOWN


def _boolean(node: ast.BoolOp, scope: Scope) -> Value:
    """Return the first that decides; of those of which nobody knows, whichever there may be."""
    stops, seen = isinstance(node.op, ast.Or), list[Value]()
    for one in node.values:
        value = value_of(one, scope)
        holds = truth(value)
        if holds is None or holds is stops or one is node.values[-1]:
            seen.append(value)
        if holds is stops:
            break
    return either(seen, _written(UNKNOWN, node, scope))


def _conditional(node: ast.IfExp, scope: Scope) -> Value:
    holds = truth(value_of(node.test, scope))
    if holds is not None:
        return value_of(node.body if holds else node.orelse, scope)
    branches = [value_of(node.body, scope), value_of(node.orelse, scope)]
    return either(branches, _written(UNKNOWN, node, scope))


def _sequence(node: ast.Tuple | ast.List | ast.Set, scope: Scope) -> Value:
    items = unpacked(node.elts, scope)
    if items is None:
        return _written(UNKNOWN, node, scope)
    holder = list(items) if isinstance(node, ast.List) else tuple(items)
    return _written(holder, node, scope, *(pair for item in items for pair in item.of))


def unpacked(nodes: list[ast.expr], scope: Scope) -> list[Value] | None:
    """Return the values of arguments or items, those behind a star in their place."""
    items = list[Value]()
    for node in nodes:
        if not isinstance(node, ast.Starred):
            items.append(value_of(node, scope))
            continue
        several = items_of(value_of(node.value, scope))
        if several is None:
            return None
        items += several
    return items


def _dict(node: ast.Dict, scope: Scope) -> Value:
    made = dict[Any, Value]()
    for key, one in zip(node.keys, node.values, strict=True):
        value = value_of(one, scope)
        if key is None:
            if type(value.what) is not dict:
                return _written(UNKNOWN, node, scope)
            made |= {k: wrapped(v, value) for k, v in value.what.items()}
            continue
        name = plain(value_of(key, scope))
        if name is UNKNOWN:
            return _written(UNKNOWN, node, scope)
        made[name] = value
    return _written(made, node, scope)


def _subscript(node: ast.Subscript, scope: Scope) -> Value:
    base = value_of(node.value, scope)
    if isinstance(node.slice, ast.Slice):
        return _written(_sliced(base.what, node.slice, scope), node, scope, *base.of)
    key = plain(value_of(node.slice, scope))
    if type(base.what) not in (tuple, list, dict, str) or key is UNKNOWN:
        from attntrace.capture.failed.origin.retrace.objects import picked

        return picked(base, key) or _written(UNKNOWN, node, scope)
    try:
        item = base.what[key]
    except (LookupError, TypeError):
        return _written(UNKNOWN, node, scope)
    found = item if isinstance(item, Value) else Value(item)
    of = () if found.place else base.of
    return _written(found.what, node, scope, (text_of(node), found), *of)


def _sliced(what: Any, part: ast.Slice, scope: Scope) -> Any:
    bounds = [
        None if one is None else plain(value_of(one, scope))
        for one in (part.lower, part.upper, part.step)
    ]
    if type(what) not in (tuple, list, str) or any(
        type(b) not in (int, type(None)) for b in bounds
    ):
        return UNKNOWN
    return what[slice(*bounds)] if bounds[2] != 0 else UNKNOWN


def _comprehension(node: ast.ListComp | ast.GeneratorExp, scope: Scope) -> Value:
    items = [value_of(node.elt, inner) for inner in _turns(node.generators, scope)]
    return _written(items, node, scope, *(pair for item in items[:1] for pair in item.of))


def _dict_comprehension(node: ast.DictComp, scope: Scope) -> Value:
    made = {
        plain(value_of(node.key, inner)): value_of(node.value, inner)
        for inner in _turns(node.generators, scope)
    }
    return _written(UNKNOWN if UNKNOWN in made else made, node, scope)


def _turns(loops: list[ast.comprehension], scope: Scope) -> Iterator[Scope]:
    """Yield the names of each turn of a comprehension; once with unknown ones if nobody can count."""
    from attntrace.capture.failed.origin.retrace.statements import bind

    if not loops:
        yield scope
        return
    items = items_of(value_of(loops[0].iter, scope))
    for item in [Value()] if items is None else items:
        inner = Scope(scope.code, scope.budget, {}, scope.me, scope.owner, scope)
        bind(loops[0].target, item, inner)
        if all(truth(value_of(test, inner)) is not False for test in loops[0].ifs):
            yield from _turns(loops[1:], inner)


def _text(node: ast.JoinedStr, scope: Scope) -> Value:
    parts = []
    for part in node.values:
        inside = part.value if isinstance(part, ast.FormattedValue) else part
        parts.append(plain(value_of(inside, scope)))
    return _written(UNKNOWN if UNKNOWN in parts else "".join(map(str, parts)), node, scope)


def _call(node: ast.Call, scope: Scope) -> Value:
    from attntrace.capture.failed.origin.retrace.calls import called

    return called(node, scope)


def _lambda(node: ast.Lambda, scope: Scope) -> Value:
    return _written(Local(node, scope), node, scope)


_HANDLERS: dict[type[ast.expr], Callable[[Any, Scope], Value]] = {
    ast.Constant: _constant, ast.Name: _name, ast.Attribute: _attribute, ast.BinOp: _binary,
    ast.UnaryOp: _unary, ast.Compare: _compare, ast.BoolOp: _boolean, ast.IfExp: _conditional,
    ast.Tuple: _sequence, ast.List: _sequence, ast.Set: _sequence, ast.Dict: _dict,
    ast.Subscript: _subscript, ast.ListComp: _comprehension, ast.GeneratorExp: _comprehension,
    ast.DictComp: _dict_comprehension, ast.JoinedStr: _text, ast.Call: _call, ast.Lambda: _lambda,
}  # fmt: skip
