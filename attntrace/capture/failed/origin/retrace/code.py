"""The source of a function as a syntax tree, and where it stands."""

from __future__ import annotations

import ast
import linecache
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from types import FunctionType
from typing import Any

from attntrace.capture.source import shown

Function = ast.FunctionDef | ast.Lambda
_MOST_FILES = 64
_PYTHON = str(Path(linecache.__file__).parent) + os.sep
_Tree = tuple[list[str], ast.Module | None, dict[int, list[Function]]]
"""The lines of a file, its tree, and its functions by their first line."""
_TREES: dict[str, _Tree] = {}


@dataclass(frozen=True, slots=True)
class Place:
    """A line of a file."""

    file: str
    line: int
    is_authors: bool = True
    """False for torch's own code."""

    @property
    def source(self) -> str:
        """`file:line`, as everywhere."""
        return f"{shown(self.file)}:{self.line}"

    @property
    def text(self) -> str | None:
        """The line itself."""
        return linecache.getline(self.file, self.line).strip() or None


@dataclass(frozen=True, slots=True)
class Code:
    """A file's names, and where in it something stands."""

    file: str
    names: dict[str, Any]
    """The globals of the module."""

    def at(self, node: ast.AST) -> Place:
        """Return where a part of its tree begins."""
        module = str(self.names.get("__name__", ""))
        return Place(self.file, getattr(node, "lineno", 0), not module.startswith("torch."))


def text_of(node: ast.expr) -> str:
    """Return an expression as it is written, on one line and with the quotes that most have."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
        return f"{node.value.id}.{node.attr}"
    text = ast.unparse(node)
    return text if '"' in text else text.replace("'", '"')


def is_pythons(function: FunctionType) -> bool:
    """Return whether a function is of Python's own library."""
    file = function.__code__.co_filename
    return file.startswith(_PYTHON) and "-packages" not in file


def code_of(function: FunctionType) -> Code:
    """Return where a function was written."""
    return Code(function.__code__.co_filename, function.__globals__)


def definition(function: FunctionType) -> Function | None:
    """Return the tree of a function; None without source, or if that has changed since."""
    code = function.__code__
    found = _of(code.co_filename)[2].get(code.co_firstlineno, ())
    named = [node for node in found if getattr(node, "name", "<lambda>") == code.co_name]
    return named[0] if len(named) == 1 else None


def tree_of(file: str) -> ast.Module | None:
    """Return the tree of a file as it is now; None if there is none, or it is no Python."""
    return _of(file)[1]


def _of(file: str) -> _Tree:
    linecache.checkcache(file)
    lines = linecache.getlines(file)
    known = _TREES.get(file)
    if known is None or known[0] is not lines:
        if len(_TREES) >= _MOST_FILES:
            _TREES.clear()
        tree = _parsed(lines)
        known = _TREES[file] = lines, tree, _functions(tree)
    return known


def _functions(tree: ast.Module | None) -> dict[int, list[Function]]:
    found: dict[int, list[Function]] = {}
    for node in ast.walk(tree) if tree else ():
        if isinstance(node, (ast.FunctionDef, ast.Lambda)):
            found.setdefault(_first_line(node), []).append(node)
    return found


def _parsed(lines: list[str]) -> ast.Module | None:
    try:
        return ast.parse("".join(lines)) if lines else None
    except (SyntaxError, ValueError):
        return None


def _first_line(node: Function) -> int:
    decorators: list[ast.expr] = getattr(node, "decorator_list", [])
    return min([node.lineno, *(one.lineno for one in decorators)])


def field_place(kind: type, name: str) -> Place | None:
    """Return where a class gives a field its default."""
    module = sys.modules.get(kind.__module__)
    file = getattr(module, "__file__", None) or ""
    for node in ast.walk(tree_of(file) or ast.Module([], [])):
        if isinstance(node, ast.ClassDef) and node.name == kind.__name__:
            for part in node.body:
                if any(getattr(one, "id", None) == name for one in targets_of(part)):
                    return Place(file, part.lineno)
    return None


def targets_of(statement: ast.stmt) -> list[ast.expr]:
    """Return what a statement assigns to."""
    if isinstance(statement, ast.AnnAssign):
        return [statement.target]
    return statement.targets if isinstance(statement, ast.Assign) else []
