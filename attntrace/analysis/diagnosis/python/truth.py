"""`if`, `while`, `and`, `not`, `in` and `max` of a tensor: one true or false is asked of many."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from math import prod

from attntrace.analysis.diagnosis.call import Explained, FailedCall, Given, Proposal
from attntrace.analysis.diagnosis.text import shaped, times
from attntrace.analysis.diagnosis.writing import wrapped

_LARGER = {"max": ("maximum", "min"), "min": ("minimum", "max")}
"""What compares tensors as the function of Python's does, and the bound of `clamp` for a number."""


def explain(call: FailedCall) -> Explained | None:
    """Return why a tensor is no condition; None for other calls, and for a tensor of one element."""
    tensor = call[0]
    if call.op not in ("bool", "is_nonzero") or not isinstance(tensor, Given):
        return None
    if tensor.shape is None or prod(tensor.shape) == 1:
        return None
    node = _parsed(call.text)
    ways = [*_combined(node), *_written_otherwise(node)] or [*_reduced(call, tensor)]
    return Explained(
        rule=f"A condition is one true or false, and {shaped(tensor)} has {_count(tensor)}.",
        proposals=tuple(ways),
    )


def _count(tensor: Given) -> str:
    shape = tensor.shape or ()
    product = f", {times(shape)}" if len(shape) > 1 else ""
    return f"{prod(shape)} elements{product}"


def _parsed(text: str) -> ast.expr | None:
    try:
        return ast.parse(text.strip(), mode="eval").body
    except SyntaxError:
        return None


def _combined(node: ast.expr | None) -> Iterator[Proposal]:
    """`a > 0 and a < 2`, and what stands beside a test for None."""
    if isinstance(node, ast.BoolOp):
        sign, word = ("&", "and") if isinstance(node.op, ast.And) else ("|", "or")
        parts = [f"({ast.unparse(part)})" for part in node.values]
        code = f" {sign} ".join(parts)
        yield Proposal(
            said=f"combine them element by element, with {sign} for `{word}` and parentheses: "
            f"`{code}` (.any() or .all() of it for an `if`)",
            code=code,
        )


def _written_otherwise(node: ast.expr | None) -> Iterator[Proposal]:
    match node:
        case ast.UnaryOp(op=ast.Not(), operand=part):
            text = wrapped(ast.unparse(part))
            yield Proposal(
                said=f"`not` each element: `~{text}` of a mask, `{text} == 0` of numbers",
                code=f"{text} == 0",
            )
        case ast.Compare(left=left, ops=[ast.In()], comparators=[right]):
            code = f"torch.isin({ast.unparse(left)}, torch.tensor({ast.unparse(right)}))"
            yield Proposal(said=f"look each element up with torch.isin: `{code}`", code=code)
        case ast.Call(func=ast.Name(id="max" | "min" as name), args=[first, second]):
            function, bound = _LARGER[name]
            one, other = ast.unparse(first), ast.unparse(second)
            code = f"torch.{function}({one}, {other})"
            if isinstance(second, (ast.Constant, ast.UnaryOp)):
                code = f"{wrapped(one)}.clamp({bound}={other})"
            yield Proposal(said=f"take the {name} element by element: `{code}`", code=code)
        case ast.Call(func=ast.Name(id="max" | "min" as name), args=[only]):
            code = f"{wrapped(ast.unparse(only))}.{name}()"
            yield Proposal(said=f"ask the tensor for its {name}: `{code}`", code=code)
        case ast.Name(id=name):
            yield Proposal(
                said=f"if the question is whether {name} was given: `{name} is not None`",
                code=f"{name} is not None",
            )
            yield Proposal(said=f"if it is about its values: `{name}.any()` or `{name}.all()`")


def _reduced(call: FailedCall, tensor: Given) -> Iterator[Proposal]:
    text = wrapped(tensor.name)
    for method, meant in (("all", "every element"), ("any", "one element at least")):
        code = f"{text}.{method}()"
        changed = call.at({0: tensor.then(method)})
        yield Proposal(said=f"for {meant}: `{code}`", code=code, call=changed)
    if " " in tensor.name:
        yield Proposal(said="for a choice per element: `torch.where(condition, a, b)`")
