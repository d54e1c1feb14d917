"""What becomes of the value of an expression: the targets that the tree has around it.

Nothing here has to do with torch or with a run.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence
from typing import NamedTuple


class Part(NamedTuple):
    """One of the tensors that a call returned, or one element of a tuple."""

    number: int = 0
    of: int | None = 0
    """0 where a call returned a tensor alone, None where that is not known."""


ALONE = Part()


class Item(ast.expr):
    """An element of what an expression comes to, where the author wrote no expression for it."""

    def __init__(self, value: ast.expr, number: int) -> None:
        super().__init__()
        self.value, self.number = value, number


def assigned(above: ast.AST, value: ast.AST) -> ast.expr | None:
    """Return the first target of the statement that a value is the whole right side of."""
    match above:
        case ast.Assign(targets=[target, *_]):
            pass
        case ast.AnnAssign(target=target) | ast.NamedExpr(target=target):
            pass
        case _:
            return None
    return target if above.value is value else None


def picks(above: ast.AST, node: ast.AST, part: Part) -> bool:
    """Return whether an expression takes just this part of a call's results, as `f(x)[0]` does."""
    match above:
        case ast.Subscript(value=value, slice=ast.Constant(value=index)) if value is node:
            return index == part.number and bool(part.of)
    return False


def hands_on(above: ast.AST, node: ast.AST) -> bool:
    """Return whether the value of `node` is that of the expression around it, or an element."""
    match above:
        case ast.Tuple(elts=among) | ast.List(elts=among):
            return not any(isinstance(e, ast.Starred) for e in among)
        case ast.IfExp(test=test):
            return node is not test
        case ast.BoolOp(op=op, values=[*_, last]):
            return isinstance(op, ast.Or) or node is last
    return False


def calls(node: ast.AST, *names: str) -> bool:
    """Return whether an expression calls one of these by its bare name."""
    match node:
        case ast.Call(func=ast.Name(id=name)):
            return name in names
    return False


def reached(target: ast.expr, steps: list[Part]) -> ast.expr | None:
    """Return the target of one element, of an element, and so on, the innermost step first."""
    for step in reversed(steps):
        if not isinstance(target, (ast.Tuple, ast.List)):
            return None
        target = share(target.elts, step)
    return target


def leaf(target: ast.expr, part: Part) -> ast.expr | None:
    """Return the target of one of a call's results, which come without their nesting."""
    if part == ALONE:  # which a tuple of targets would take apart
        return None if isinstance(target, (ast.Tuple, ast.List)) else target
    targets = list(leaves(target))
    return share(targets, part) if targets else None


def place(node: ast.AST, among: Sequence[ast.AST]) -> Part:
    """Return which of several elements a node is."""
    return Part(next(i for i, other in enumerate(among) if other is node), len(among))


def share(targets: list[ast.expr], part: Part) -> ast.expr:
    """Return what element `part` goes to, as in `q, *rest = ...`.

    A last target without a star takes what is left, too: it may be a tuple itself.
    """
    number, of = part
    star = next((i for i, t in enumerate(targets) if isinstance(t, ast.Starred)), len(targets))
    after = len(targets) - star - 1
    if of and number >= max(star, of - after):
        return targets[number - of]
    last = min(star, len(targets) - 1)
    if number < last or (number == last < star and of in (None, 0, len(targets))):
        return targets[number]
    return item(targets[last], number - last)


def leaves(target: ast.expr) -> Iterator[ast.expr]:
    """Yield the names of nested targets in order, as in `out, (h, c) = ...`."""
    if isinstance(target, (ast.Tuple, ast.List)):
        for item in target.elts:
            yield from leaves(item)
    else:
        yield target


def element(node: ast.expr, part: Part) -> ast.expr:
    """Return the expression of one of a call's results."""
    return item(node, part.number) if part.of or part.number else node


def item(node: ast.expr, number: int) -> Item:
    """Return an element of an expression, also of one behind a star."""
    return Item(node.value if isinstance(node, ast.Starred) else node, number)
