"""Words that explainers share: names of ops, shapes, lists, and expressions."""

from __future__ import annotations

import ast
from collections.abc import Iterable

_CLOSED = (ast.Name, ast.Attribute, ast.Call, ast.Subscript)


def plain(op: str) -> str:
    """Return an op's own name: "bmm" of "aten.bmm.default", "matmul" of "__rmatmul__"."""
    name = op.split(".")[1] if op.startswith("aten.") else op
    name = name.removeprefix("__").removesuffix("__")
    return "matmul" if name in ("rmatmul", "imatmul") else name.removesuffix("_")


def sizes(shape: Iterable[int] | None) -> str:
    """Return a shape as it is written: "(2, 4, 10)"."""
    return str(tuple(shape or ()))


def listed(items: Iterable[object], last: str = "and") -> str:
    """Return items as a sentence lists them: "q, k and v"."""
    *most, end = [str(item) for item in items]
    return f"{', '.join(most)} {last} {end}" if most else end


def counted(number: int, noun: str) -> str:
    """Return a number with its noun: "1 axis", "3 axes", "2 sizes"."""
    plural = noun[:-2] + "es" if noun.endswith("is") else noun + "s"
    return f"{number} {noun if number == 1 else plural}"


def wrapped(text: str) -> str:
    """Return an expression as something that a method can be called on: "(a + b)"."""
    try:
        body = ast.parse(text.strip(), mode="eval").body
    except (SyntaxError, ValueError):
        return f"({text})"
    return text if isinstance(body, _CLOSED) else f"({text})"


atom = wrapped


def method(name: str, *args: object) -> str:
    """Return the call of a method as code: ".transpose(1, 2)"."""
    return f".{name}({', '.join(map(str, args))})"
