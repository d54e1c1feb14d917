"""The author's own words for a tensor: the name it was assigned to, else the expression's text.

A call's place is kept as a code object and an instruction, never as a frame, which would keep the
author's tensors alive. Python 3.11 records the columns of each instruction, so that the expression
is found in the syntax tree by its position alone, and only once the run is over.
"""

from __future__ import annotations

import ast
import linecache
import os
import sys
from collections.abc import Iterator
from functools import lru_cache
from itertools import islice
from pathlib import Path
from types import CodeType, FrameType
from typing import NamedTuple

_INTERNAL = ("torch.", "attntrace.capture.")
_OUTERMOST = "attntrace.capture.observe"
Span = tuple[int | None, int | None, int | None, int | None]


class Site(NamedTuple):
    """One call in the author's source."""

    code: CodeType
    instruction: int
    line: int


def caller(skip: int = 1) -> Site | None:
    """Return the innermost place on the stack that is neither torch nor a function mode.

    `skip` frames are known to be ours. None where no code of the author's is on the stack.
    """
    frame: FrameType | None = sys._getframe(skip)
    while frame is not None:
        name, code = frame.f_globals.get("__name__", ""), frame.f_code
        if not name.startswith(_INTERNAL) and code.co_name != "__torch_function__":
            return Site(code, frame.f_lasti, frame.f_lineno)
        if name == _OUTERMOST:
            return None  # torch called itself: the root is a module of its own
        frame = frame.f_back
    return None


def place(site: Site) -> str:
    """Return `file:line`, the file relative to the working directory where it lies below it."""
    return f"{_shown(site.code.co_filename)}:{site.line}"


@lru_cache(maxsize=256)
def _shown(file: str) -> str:
    path, here = Path(file), Path.cwd()
    return str(path.relative_to(here)) if path.is_relative_to(here) else file


def line_of(site: Site) -> str | None:
    """Return the text of the source line, None where there is no source."""
    return linecache.getline(site.code.co_filename, site.line).strip() or None


def name_at(site: Site, output: int) -> str | None:
    """Return what the author calls output number `output` of a call; None without source."""
    file = site.code.co_filename
    return _name(file, _stamp(file), _span(site), output)


@lru_cache(maxsize=4096)
def _name(file: str, stamp: tuple[int, int], span: Span, output: int) -> str | None:
    expressions = _expressions(file, stamp)
    found = expressions.get(span) or expressions.get((None, span[1], None, span[3]))
    if found is None:
        return None
    node, parents = found
    if isinstance(node, ast.AugAssign):
        return ast.unparse(node.target)
    for parent in parents:
        name = _target(parent, node, output)
        if name is not None:
            return name
        if not isinstance(parent, (ast.Tuple, ast.Starred)):
            break
    try:
        return ast.unparse(node)
    except RecursionError:  # hundreds of terms: no name for a table
        return None


def _stamp(file: str) -> tuple[int, int]:
    """Return what changes when a file does: a notebook's cells have new names instead."""
    try:
        found = os.stat(file)  # noqa: PTH116 - for every row, and a Path costs more than the call
    except OSError:
        return len(linecache.getlines(file)), 0
    return found.st_mtime_ns, found.st_size


def _target(parent: ast.AST, node: ast.AST, output: int) -> str | None:
    """Return the text of what a statement assigns `node` to."""
    match parent:
        case ast.Assign(targets=[target, *_], value=value):
            pass
        case ast.AnnAssign(target=target, value=value) | ast.NamedExpr(target=target, value=value):
            pass
        case _:
            return None
    if isinstance(value, ast.Tuple) and isinstance(target, (ast.Tuple, ast.List)):
        pairs = zip(value.elts, target.elts, strict=False)
        return next((ast.unparse(t) for v, t in pairs if v is node), None)
    if value is not node:
        return None
    names = list(_leaves(target))
    return ast.unparse(names[output]) if output < len(names) else None


def _leaves(target: ast.expr) -> Iterator[ast.expr]:
    """Yield the names of nested targets in order, as in `out, (h, c) = ...`."""
    if isinstance(target, (ast.Tuple, ast.List)):
        for item in target.elts:
            yield from _leaves(item)
    else:
        yield target


def _span(site: Site) -> Span:
    return next(islice(site.code.co_positions(), site.instruction // 2, None))


@lru_cache(maxsize=64)
def _expressions(file: str, _stamp: tuple[int, int]) -> dict[Span, tuple[ast.AST, list[ast.AST]]]:
    """Return the expressions of a file by position, each with the nodes around it, nearest first."""
    linecache.checkcache(file)
    try:
        tree = ast.parse("".join(linecache.getlines(file)))
    except (SyntaxError, ValueError, RecursionError):
        return {}
    found: dict[Span, tuple[ast.AST, list[ast.AST]]] = {}

    def visit(node: ast.AST, above: list[ast.AST]) -> None:
        if isinstance(node, (ast.expr, ast.AugAssign)):
            span = (node.lineno, node.end_lineno, node.col_offset, node.end_col_offset)
            found[span] = (node, above)
            if isinstance(node, ast.Call):  # of a chain over lines, an instruction has only the end
                found[None, node.end_lineno, None, node.end_col_offset] = (node, above)
        for child in ast.iter_child_nodes(node):
            visit(child, [node, *above[:3]])

    try:
        visit(tree, [])
    except RecursionError:
        return {}
    return found
