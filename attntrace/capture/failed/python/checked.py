"""A check of the author's own, an `assert` or a `raise` under an `if`: what its parts came to."""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from attntrace.analysis.diagnosis import FailedCall, Given
from attntrace.analysis.diagnosis.call import Key, Span
from attntrace.analysis.diagnosis.python.facts import Checked, Side
from attntrace.capture.failed.python.raised import LOST, Raised, assigned
from attntrace.capture.failed.values.operators import shape_of

SIGNS: dict[str, Callable[[Any, Any], Any]] = {
    "==": operator.eq, "!=": operator.ne, "<": operator.lt, "<=": operator.le, ">": operator.gt,
    ">=": operator.ge, "%": lambda size, number: size % number == 0,
}  # fmt: skip
_OPS: dict[type[ast.cmpop], str] = {
    ast.Eq: "==", ast.NotEq: "!=", ast.Lt: "<", ast.LtE: "<=", ast.Gt: ">", ast.GtE: ">=",
}  # fmt: skip
_NOT = {"==": "!=", "!=": "==", "<": ">=", ">=": "<", ">": "<=", "<=": ">"}
_TURNED = {"<": ">", ">": "<", "<=": ">=", ">=": "<="}


def holds(tensor: Tensor, dim: int | None, sign: str, number: int) -> None:
    """Check one size of a tensor, or with None its rank, as the author does. Raises ValueError."""
    size = tensor.dim() if dim is None else tensor.shape[dim]
    if not SIGNS[sign](size, number):
        raise ValueError(size)


@dataclass(frozen=True, slots=True)
class _Size:
    """A number of a condition that is a size of a tensor, or its rank."""

    tensor: Tensor
    name: str
    dim: int | None


def checked(raised: Raised) -> FailedCall | None:
    """Return a check as a call of its operands; None where the error is no check's."""
    found = _condition(raised)
    if found is None:
        return None
    op, condition, is_wanted = found
    condition, is_wanted = _decisive(raised, condition, is_wanted)
    text = _text(raised, condition)
    about = Checked(text=text, sides=tuple(_sides(raised, condition)), is_wanted=is_wanted)
    args, spans = _compared(raised, condition, is_wanted=is_wanted)
    known = {arg.name for arg in args if isinstance(arg, Given)}
    others = [one for one in _tensors(raised, condition) if one.name not in known]
    kwargs: dict[str, Any] = {"others": tuple(others)} if others else {}
    return FailedCall(op=op, args=args, kwargs=kwargs, text=text, spans=spans, about=about)


def _text(raised: Raised, condition: ast.expr) -> str:
    is_written = hasattr(condition, "lineno")
    return raised.text(condition) if is_written else ast.unparse(condition)


def _condition(raised: Raised) -> tuple[str, ast.expr, bool] | None:
    """Return how a check is written, what it asks, and whether that had to hold."""
    node: ast.AST | None = raised.node
    while node is not None and not isinstance(node, ast.stmt):
        node = raised.source.above(node)
    if isinstance(node, ast.Assert) and isinstance(raised.error, AssertionError):
        return "assert", node.test, True
    if not isinstance(node, ast.Raise):
        return None
    above = raised.source.above(node)
    if isinstance(above, ast.If):
        tests = [above.test]
        if node in above.body:
            return "raise", above.test, False
        while isinstance(outer := raised.source.above(above), ast.If) and above in outer.orelse:
            tests, above = [outer.test, *tests], outer
        chain = ast.BoolOp(op=ast.Or(), values=tests)  # one of them had to hold
        return "raise", tests[0] if len(tests) == 1 else chain, True
    return None


def _decisive(raised: Raised, condition: ast.expr, is_wanted: bool) -> tuple[ast.expr, bool]:
    """Return the part of a condition that decided it, and whether that had to hold."""
    match condition:
        case ast.UnaryOp(op=ast.Not(), operand=part):
            return _decisive(raised, part, not is_wanted)
        case ast.BoolOp(op=sign, values=parts):
            if isinstance(sign, ast.And) is is_wanted:
                for part in parts:
                    value = raised.value(part)
                    if type(value) is bool and value is not is_wanted:
                        return _decisive(raised, part, is_wanted)
        case ast.Compare(left=left, ops=[_, _, *_] as signs, comparators=rest):
            for one, right in zip(signs, rest, strict=True):
                pair = ast.copy_location(ast.Compare(left, [one], [right]), condition)
                if raised.value(pair) is not is_wanted:
                    return pair, is_wanted
                left = right
    return condition, is_wanted


def _sides(raised: Raised, condition: ast.expr) -> Iterator[Side]:
    """Yield what a condition compares, each once, and the numbers that those are made of."""
    seen = set[str]()
    for node in _parts(condition):
        text, value = ast.unparse(node), raised.value(node)
        if text not in seen and value is not LOST and not callable(value):
            seen.add(text)
            yield Side(text=text, value=raised.describe(value, text))


def _parts(node: ast.expr) -> Iterator[ast.expr]:
    match node:
        case ast.Constant():
            return
        case ast.Compare() | ast.BoolOp() | ast.Tuple() | ast.List() | ast.UnaryOp():
            for one in ast.iter_child_nodes(node):
                yield from _parts(one) if isinstance(one, ast.expr) else ()
        case ast.BinOp(left=left, right=right):
            yield node
            yield from _parts(left)
            yield from _parts(right)
        case ast.Call(func=ast.Name(id="list" | "tuple" | "isinstance"), args=[first, *_]):
            yield first
        case _:
            yield node


def _tensors(raised: Raised, condition: ast.expr) -> Iterator[Given]:
    """Yield the tensors that a condition names, each once."""
    seen = set[str]()
    for node in ast.walk(condition):
        if isinstance(node, (ast.Name, ast.Attribute, ast.Subscript)):
            size = _size(raised, node)
            value, name = (
                (size.tensor, size.name) if size else (raised.value(node), ast.unparse(node))
            )
            if isinstance(value, Tensor) and name not in seen:
                seen.add(name)
                yield raised.describe(value, name)


def _compared(
    raised: Raised, condition: ast.expr, *, is_wanted: bool
) -> tuple[tuple[Any, ...], dict[Key, Span]]:
    """Return (tensor, dim, sign, number) of a size that is compared with a number; else ()."""
    for left, sign, right in _pairs(condition, is_wanted=is_wanted):
        size, number = _size(raised, left), raised.value(right)
        if size is None or type(number) is not int:
            continue
        args = (raised.describe(size.tensor, size.name), size.dim, sign, number)
        text, other = _text(raised, condition), ast.unparse(right)
        at = text.find(other)
        return args, {3: (at, at + len(other))} if at >= 0 else {}
    return (), {}


def _pairs(condition: ast.expr, *, is_wanted: bool) -> Iterator[tuple[ast.expr, str, ast.expr]]:
    """Yield the two sides of a comparison, both ways round, and what had to hold of them."""
    match condition:
        case ast.Compare(left=left, ops=[sign], comparators=[right]) if type(sign) in _OPS:
            name = _OPS[type(sign)] if is_wanted else _NOT[_OPS[type(sign)]]
            match left:
                case ast.BinOp(left=size, op=ast.Mod(), right=by) if _is_zero(right):
                    if name == "==":
                        yield size, "%", by
            yield left, name, right
            yield right, _TURNED.get(name, name), left
        case ast.BinOp(left=size, op=ast.Mod(), right=by) if not is_wanted:
            yield size, "%", by


def _is_zero(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and node.value == 0


def _size(raised: Raised, node: ast.expr) -> _Size | None:
    """Return the tensor that a number is a size of: of `x.shape[1]`, or of a name for that."""
    function = raised.function()
    if isinstance(node, ast.Name) and function is not None:
        one = assigned(function, node.id, raised.node.lineno)
        if one is None:
            return None
        dim = _place(one.statement, node.id) if one.is_part else None
        base = shape_of(one.value) if one.is_part else None
        found = _sized(raised, base, dim) if base is not None else None
        found = found or (None if one.is_part else _written(raised, one.value))
        is_same = found is not None and _number(found) == raised.value(node)
        return found if is_same else None
    return _written(raised, node)


def _number(size: _Size) -> int:
    return size.tensor.dim() if size.dim is None else int(size.tensor.shape[size.dim])


def _place(statement: ast.stmt, name: str) -> int | None:
    """Return which of the names on the left of an assignment one is; None behind a star."""
    match statement:
        case ast.Assign(targets=[ast.Tuple(elts=parts) | ast.List(elts=parts)]):
            names = [ast.unparse(part) for part in parts]
            at = names.index(name)
            starred = [n for n, one in enumerate(names) if one.startswith("*")]
            return at if not starred or at < starred[0] else at - len(names)
    return None


def _written(raised: Raised, node: ast.expr) -> _Size | None:
    match node:
        case (
            ast.Subscript(value=ast.Attribute(value=base, attr="shape"), slice=dim)
            | ast.Call(func=ast.Attribute(value=base, attr="size"), args=[dim])
        ):
            place = raised.value(dim)
            return _sized(raised, base, place) if type(place) is int else None
        case (
            ast.Call(func=ast.Attribute(value=base, attr="dim"), args=[])
            | ast.Attribute(value=base, attr="ndim")
            | ast.Call(func=ast.Name(id="len"), args=[ast.Attribute(value=base, attr="shape")])
        ):
            return _sized(raised, base, None)
        case ast.Call(func=ast.Name(id="len"), args=[base]):
            return _sized(raised, base, 0)
    return None


def _sized(raised: Raised, base: ast.expr, dim: int | None) -> _Size | None:
    tensor = raised.value(base)
    if not isinstance(tensor, Tensor) or (
        dim is not None and not -tensor.dim() <= dim < tensor.dim()
    ):
        return None
    return _Size(tensor, ast.unparse(base), None if dim is None else dim % tensor.dim())
