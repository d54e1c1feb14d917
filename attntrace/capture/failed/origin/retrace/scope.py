"""The names of one function while it is gone through, and how much longer to go on."""

from __future__ import annotations

import ast
import builtins
from collections.abc import Sequence
from dataclasses import dataclass, field

from attntrace.capture.failed.origin.retrace.code import Code, targets_of, tree_of
from attntrace.capture.failed.origin.retrace.values import HOLDERS, UNKNOWN, Value, of_live, plain

MOST_NODES = 50_000
MOST_DEEP = 40


class EnoughError(Exception):
    """The constructors are longer than is worth going through."""


@dataclass(slots=True)
class Budget:
    """What is left of the nodes to go through, for one question."""

    nodes: int = MOST_NODES
    depth: int = 0

    def spend(self) -> None:
        """Count one node. Raises EnoughError at the end."""
        self.nodes -= 1
        if self.nodes < 0:
            raise EnoughError


@dataclass(slots=True)
class Scope:
    """What the names of one call of a function stand for."""

    code: Code
    budget: Budget
    names: dict[str, Value] = field(default_factory=dict)
    me: Value | None = None
    """The first argument of a method."""
    owner: type | None = None
    """The class that defines the method, for `super()`."""
    outer: Scope | None = None
    returned: list[Value] = field(default_factory=list)
    is_module: bool = False
    """Whether its names are those of a file, looked up for the place of their values."""

    def name(self, name: str) -> Value:
        """Return what a name stands for."""
        if name in self.names:
            return self.names[name]
        if self.outer is not None:
            return self.outer.name(name)
        if name in self.code.names:
            return self._of_file(name)
        return Value(getattr(builtins, name, UNKNOWN), name)

    def _of_file(self, name: str) -> Value:
        """Return a global, with the place where it was assigned if that says the same."""
        live = self.code.names[name]
        tree = None if self.is_module else tree_of(self.code.file)
        found = _assigned(tree.body if tree else (), name)
        if len(found) == 1:
            from attntrace.capture.failed.origin.retrace.expressions import value_of

            file = Scope(self.code, self.budget, is_module=True)
            value = value_of(found[0], file)
            if same(value, live):
                return value
        return Value(of_live(live), name)

    def assign(self, name: str, value: Value) -> None:
        """Let a name stand for a value."""
        self.names[name] = value


def same(value: Value, live: object) -> bool:
    """Return whether a value is known to be a live number, text, or holder of such."""
    if isinstance(live, dict) and isinstance(value.what, dict):
        return value.what.keys() == live.keys() and all(
            same(one, live[key]) for key, one in value.what.items()
        )
    if type(live) not in (*HOLDERS, int, float, str, bool):
        return False
    known = plain(value)
    return known is not UNKNOWN and known == plain(live)


def _assigned(body: Sequence[ast.stmt], name: str) -> list[ast.expr]:
    """Return what a file assigns to a name, outside of its functions."""
    return [
        statement.value
        for statement in body
        if isinstance(statement, (ast.Assign, ast.AnnAssign)) and statement.value is not None
        if any(isinstance(one, ast.Name) and one.id == name for one in targets_of(statement))
    ]
