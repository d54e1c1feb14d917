"""An error at a line of the author's, and what the code around it says of the names in it."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from types import CodeType
from typing import Any

from attntrace.capture.expressions import Expressions
from attntrace.capture.failed.stack.frames import Level
from attntrace.capture.failed.values.evaluate import Values
from attntrace.capture.failed.values.reading import Unknown
from attntrace.capture.source import Site, node_at, place
from attntrace.record import Step

LOST = object()
"""The value of an expression that only running the author's code would tell."""
_Function = ast.FunctionDef | ast.AsyncFunctionDef
_MOST_CODE = 2048
"""Instructions of a function in which its definition is looked for."""


@dataclass(frozen=True, slots=True)
class Raised:
    """An error, the frame that it came up in, and the expression that failed there."""

    error: BaseException
    level: Level
    source: Expressions
    node: ast.expr | ast.AugAssign
    values: Values
    describe: Callable[[Any, str], Any]
    """Returns a value as `FailedCall` has it, its tensors under a name."""
    below: tuple[Level, ...]
    """What the line called: functions of torch's."""
    above: Level | None
    """Who called the function that it is in."""

    def value(self, node: ast.expr) -> Any:
        """Return what an expression stands for, else `LOST`."""
        try:
            return self.values.of(node)
        except Unknown:
            return LOST

    def text(self, node: ast.expr | ast.stmt) -> str:
        """Return an expression as the author wrote it."""
        return self.source.text(node)

    def step_at(self, said: str, node: ast.AST) -> Step:
        """Return a line of the same file as a step on the way to the error."""
        return step_in(self.source, self.level.site.code, said, node)

    def function(self) -> _Function | None:
        """Return the definition of the function that the error came up in."""
        return enclosing(self.source, self.node)


def step_in(source: Expressions, code: CodeType, said: str, node: ast.AST) -> Step:
    """Return a line of a file as a step on the way to an error."""
    line = getattr(node, "lineno", 0)
    text = source.lines[line - 1].strip() if 0 < line <= len(source.lines) else None
    return Step(said=said, source=place(Site(code, 0, line)), line=text)


def enclosing(source: Expressions, node: ast.AST) -> _Function | None:
    """Return the definition of the function that an expression is in."""
    above = source.above(node)
    while above is not None and not isinstance(above, _Function):
        above = source.above(above)
    return above


def definition(code: CodeType) -> tuple[Expressions, _Function] | None:
    """Return how a function is defined, with the text that it stands in; None without source."""
    for at in range(0, min(len(code.co_code), _MOST_CODE), 2):
        found = node_at(Site(code, at, code.co_firstlineno))
        if found is not None:
            function = enclosing(*found)
            return (found[0], function) if function is not None else None
    return None


@dataclass(frozen=True, slots=True)
class Assigned:
    """The assignment that a name has its value of."""

    statement: ast.stmt
    value: ast.expr
    is_part: bool
    """Whether the name is one of several: `out, weights = ...`."""


def assigned(function: ast.AST, target: str, before: int) -> Assigned | None:
    """Return the last assignment to a name or to `self.name` before a line; None if there is none.

    Where only later lines assign it, in a loop, the last of those.
    """
    found = sorted(_assignments(function, target), key=lambda one: one.statement.lineno)
    earlier = [one for one in found if one.statement.lineno < before]
    return next(reversed(earlier or found), None)


def _assignments(function: ast.AST, target: str) -> Iterator[Assigned]:
    for statement in ast.walk(function):
        if not isinstance(statement, (ast.Assign, ast.AnnAssign)) or statement.value is None:
            continue
        targets = [statement.target] if isinstance(statement, ast.AnnAssign) else statement.targets
        for one in targets:
            parts = one.elts if isinstance(one, (ast.Tuple, ast.List)) else []
            if ast.unparse(one) == target:
                yield Assigned(statement, statement.value, is_part=False)
            elif any(ast.unparse(part) == target for part in parts):
                yield Assigned(statement, statement.value, is_part=True)
