"""The arithmetic of axes: what a formula such as `heads*(past+tokens)` is worth."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import lru_cache

_TOKEN = re.compile(r"\s*(?:(\d+)|(ceil\()|([A-Za-z_][\w.]*(?:\[[^\]]*\][\w.]*)*)|(//|[-+*/()]))")
_BINARY: dict[str, Callable[[int, int], int]] = {
    "+": lambda a, b: a + b,
    "-": lambda a, b: a - b,
    "*": lambda a, b: a * b,
    "//": lambda a, b: a // b,
    "/": lambda a, b: -(-a // b),
}
"""`/` stands in `ceil(a/b)` alone."""
_Node = int | str | tuple["_Node", str, "_Node"]


def evaluate(formula: str, sizes: Mapping[str, int]) -> int | None:
    """Return what a formula of names, whole numbers, + - * //, ceil(a/b) and brackets is worth.

    None where it has a name that `sizes` lacks, divides by zero, or is no such formula.
    """
    size = sizes.get(formula)
    if size is not None:
        return size
    if formula.isdecimal():
        return int(formula)
    tree = _parsed(formula)
    try:
        return None if tree is None else _worth(tree, sizes)
    except (KeyError, ZeroDivisionError):
        return None


def names_in(formula: str) -> tuple[str, ...]:
    """Return the names that a formula has, each once, in order."""
    return tuple(dict.fromkeys(found[3] for found in _TOKEN.finditer(formula) if found[3]))


def _worth(node: _Node, sizes: Mapping[str, int]) -> int:
    if isinstance(node, tuple):
        return _BINARY[node[1]](_worth(node[0], sizes), _worth(node[2], sizes))
    return sizes[node] if isinstance(node, str) else node


@lru_cache(maxsize=4096)
def _parsed(formula: str) -> _Node | None:
    try:
        return _Parser(formula).whole()
    except ValueError:
        return None


class _Parser:
    """Recursive descent over a formula's tokens."""

    def __init__(self, formula: str) -> None:
        self.tokens: list[str] = []
        at, text = 0, formula.rstrip()
        while at < len(text):
            found = _TOKEN.match(text, at)
            if found is None:
                raise ValueError(formula)
            self.tokens.append(found[0].strip())
            at = found.end()
        self.tokens.append("")

    def whole(self) -> _Node:
        node = self.sum()
        self.take("")
        return node

    def take(self, token: str) -> None:
        if self.tokens.pop(0) != token:
            raise ValueError(token)

    def sum(self, operators: tuple[str, ...] = ("+", "-")) -> _Node:
        """Read terms, or with the operators of a product its factors, from the left."""
        lower = self.product if "+" in operators else self.factor
        node = lower()
        while self.tokens[0] in operators:
            node = (node, self.tokens.pop(0), lower())
        return node

    def product(self) -> _Node:
        return self.sum(("*", "//"))

    def factor(self) -> _Node:
        token = self.tokens.pop(0)
        if token in ("(", "ceil("):
            node = self.sum()
            if token == "ceil(":  # noqa: S105 - no password
                self.take("/")
                node = (node, "/", self.sum())
            self.take(")")
            return node
        if token.isdecimal():
            return int(token)
        if not token or token in _BINARY or token == ")":  # noqa: S105 - no password
            raise ValueError(token)
        return token
