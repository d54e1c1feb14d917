"""What the line of a call calls its operands, where that is not what they were called when made."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Sequence

from attntrace.record import TensorRecord

_SIGNS = {ast.Add: "add", ast.Sub: "sub", ast.Mult: "mul", ast.Div: "div", ast.MatMult: "matmul"}
_TENSORS = ("input", "other", "query", "key", "value", "src", "tgt", "memory")
"""Keywords of arguments that are tensors."""
_NAMES = (ast.Name, ast.Attribute, ast.Subscript)


def spoken(row: TensorRecord, operands: Sequence[TensorRecord]) -> dict[str, str]:
    """Return how the line of a row calls its operands, by the names that they have elsewhere.

    A function's parameters are other names for what it was handed. Empty where the line has not
    one call of that op with as many tensors.
    """
    found = [args for node in _nodes(row.line or "") if (args := _given(node, row)) is not None]
    if len(found) != 1:
        return {}
    texts = list(dict.fromkeys(ast.unparse(arg) for arg in found[0] if isinstance(arg, _NAMES)))
    order = list(operands)
    if all(one.index in row.inputs for one in operands):
        order.sort(key=lambda one: row.inputs.index(one.index))
    if len(texts) != len(found[0]) - _repeated(found[0]) or len(texts) != len(order):
        return {}
    pairs = zip(order, texts, strict=True)
    return {one.name: text for one, text in pairs if one.name != text}


def sentence(text: str, names: dict[str, str]) -> str:
    """Return a sentence with the tensors in it, which stand in backticks, called otherwise."""
    return re.sub(r"`([^`]*)`", lambda found: f"`{names.get(found[1], found[1])}`", text)


def code(text: str | None, names: dict[str, str]) -> str | None:
    """Return code that was written with other names; as it is where it is the line's own."""
    if not text or any(
        re.search(rf"(?<![\w.]){re.escape(new)}(?!\w)", text) for new in names.values()
    ):
        return text
    known = "|".join(map(re.escape, names)) or "(?!)"
    return re.sub(rf"(?<![\w.])(?:{known})(?!\w)", lambda found: names[found[0]], text)


def _nodes(line: str) -> Iterator[ast.AST]:
    text = line.strip().removesuffix(":")
    try:
        yield from ast.walk(ast.parse(text.removeprefix("return ")))
    except (SyntaxError, ValueError):
        return


def _given(node: ast.AST, row: TensorRecord) -> list[ast.expr] | None:
    """Return what a call or an operator of the row's op is given; None for other nodes."""
    if isinstance(node, ast.BinOp) and _SIGNS.get(type(node.op)) == row.op:
        return [node.left, node.right]
    if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
        return None
    args = [*node.args, *(word.value for word in node.keywords if word.arg in _TENSORS)]
    args = [arg for arg in args if not isinstance(arg, ast.Constant)]
    if row.path and node.func.attr == row.path.rpartition(".")[2]:
        return args
    if node.func.attr != row.op:
        return None
    is_function = isinstance(node.func.value, ast.Name) and node.func.value.id in ("torch", "F")
    return args if is_function else [node.func.value, *args]


def _repeated(args: list[ast.expr]) -> int:
    return len(args) - len({ast.unparse(arg) for arg in args})
