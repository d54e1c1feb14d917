"""Operators: what they do, what torch calls them, and the expressions that they work on."""

from __future__ import annotations

import ast
import operator as do
from collections.abc import Callable
from typing import Any

BINARY: dict[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: do.add, ast.Sub: do.sub, ast.Mult: do.mul, ast.Div: do.truediv,
    ast.FloorDiv: do.floordiv, ast.Mod: do.mod, ast.Pow: do.pow, ast.MatMult: do.matmul,
    ast.BitAnd: do.and_, ast.BitOr: do.or_, ast.BitXor: do.xor, ast.LShift: do.lshift,
    ast.RShift: do.rshift,
}  # fmt: skip
UNARY: dict[type[ast.unaryop], Callable[[Any], Any]] = {
    ast.USub: do.neg, ast.UAdd: do.pos, ast.Invert: do.invert, ast.Not: do.not_,
}  # fmt: skip
COMPARED: dict[type[ast.cmpop], Callable[[Any, Any], Any]] = {
    ast.Eq: do.eq, ast.NotEq: do.ne, ast.Lt: do.lt, ast.LtE: do.le, ast.Gt: do.gt, ast.GtE: do.ge,
    ast.Is: do.is_, ast.IsNot: do.is_not,
}  # fmt: skip
_NAMES: dict[type[ast.AST], str] = {
    ast.Add: "add", ast.Sub: "sub", ast.Mult: "mul", ast.Div: "div", ast.FloorDiv: "floordiv",
    ast.Mod: "remainder", ast.Pow: "pow", ast.MatMult: "matmul", ast.BitAnd: "and",
    ast.BitOr: "or", ast.BitXor: "xor", ast.LShift: "lshift", ast.RShift: "rshift",
    ast.Eq: "eq", ast.NotEq: "ne", ast.Lt: "lt", ast.LtE: "le", ast.Gt: "gt", ast.GtE: "ge",
    ast.USub: "neg", ast.UAdd: "positive", ast.Invert: "invert", ast.Not: "bool",
}  # fmt: skip
_PARTS: dict[type[ast.AST], tuple[str, ...]] = {
    ast.BinOp: ("left", "right"),
    ast.AugAssign: ("target", "value"),
    ast.Subscript: ("value", "slice"),
    ast.UnaryOp: ("operand",),
    ast.Attribute: ("value",),
    ast.FormattedValue: ("value",),
    ast.Assign: ("value",),
}
_LOOKS = ("POP_JUMP", "JUMP_IF", "TO_BOOL")


def operands(node: ast.expr | ast.stmt) -> list[ast.expr]:
    """Return what an operator works on, in the order of torch's arguments."""
    match node:
        case ast.Compare(left=left, comparators=[right]):
            return [left, right]
        case ast.Assign(targets=[ast.Subscript(value=base, slice=index)], value=value):
            return [base, index, value]
    parts = _PARTS.get(type(node))
    if parts is None:
        return [node] if isinstance(node, ast.expr) else []
    return [getattr(node, part) for part in parts]


def operator(node: ast.expr | ast.AugAssign, step: str) -> tuple[str, list[ast.expr]]:
    """Return the op of an operator and its operands; "" where there is none of torch's.

    `step` is the instruction, which tells `if a > b` from the comparison in it.
    """
    if isinstance(node, ast.expr) and step.startswith(_LOOKS):
        return "bool", [looked_at(node)]
    op = "iter" if step == "GET_ITER" else ""
    match node:
        case ast.Compare(left=left, ops=[ast.In() | ast.NotIn()]):
            return "bool", [left]
        case ast.BinOp(op=sign) | ast.UnaryOp(op=sign) | ast.Compare(ops=[sign]):
            op = _NAMES.get(type(sign), "")
        case ast.AugAssign(op=sign) if not step.startswith("STORE_"):
            op = f"{_NAMES[type(sign)]}_"
        case ast.Subscript(value=ast.Attribute(value=base, attr="shape"), slice=dim):
            return "size", [base, dim]
        case ast.Subscript():
            op = "setitem" if step.startswith("STORE_") else "getitem"
        case ast.Attribute(attr=name):
            op = name
    return op, operands(node) if op else []


def looked_at(node: ast.expr) -> ast.expr:
    """Return the part of a condition whose truth is asked, the first that a tensor can be."""
    match node:
        case ast.BoolOp(values=parts):
            told = (ast.Is, ast.IsNot)
            parts = [
                p for p in parts if not (isinstance(p, ast.Compare) and type(p.ops[0]) in told)
            ]
            return looked_at(parts[0]) if parts else node
        case (
            ast.UnaryOp(op=ast.Not(), operand=part)
            | ast.Compare(left=part, ops=[ast.In() | ast.NotIn()])
        ):
            return part
    return node


def shape_of(node: ast.expr) -> ast.expr | None:
    """Return `x` of `x.shape` and `x.size()`."""
    match node:
        case (
            ast.Attribute(value=base, attr="shape")
            | ast.Call(func=ast.Attribute(value=base, attr="size"), args=[])
        ):
            return base
    return None


def stored(text: str) -> ast.expr | None:
    """Return the right side of `x[i] = y`."""
    statement = _assignment(text)
    return None if statement is None else statement.value


def taken_apart(text: str) -> tuple[list[str], ast.expr] | None:
    """Return the names and the right side of `a, b = x`."""
    match _assignment(text):
        case ast.Assign(targets=[ast.Tuple(elts=parts) | ast.List(elts=parts), *_], value=value):
            return [ast.unparse(part) for part in parts], value
    return None


def _assignment(text: str) -> ast.Assign | None:
    try:
        body = ast.parse(text).body
    except SyntaxError:
        return None
    return body[0] if body and isinstance(body[0], ast.Assign) else None
