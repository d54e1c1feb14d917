"""What the expressions around a failed call stood for, without running the author's code.

Names are looked up in the frame, attributes and items read as data; arithmetic on numbers is done,
and calls of torch's are worked out on meta, those of few numbers on copies. All else, and whatever
raises, is `Unknown`.
"""

from __future__ import annotations

import ast
import copy
import math
from collections.abc import Callable, Sequence
from types import FrameType
from typing import Any

import torch
from torch import Size, Tensor, nn

from attntrace.capture.failed.values.on_meta import OnMeta, is_torchs
from attntrace.capture.failed.values.operators import BINARY, COMPARED, UNARY
from attntrace.capture.failed.values.reading import (
    PLAIN_TENSORS,
    Bound,
    Unknown,
    attribute,
    item,
    named,
)
from attntrace.capture.failed.values.settings import torch_class
from attntrace.capture.fence import unwatched

_NUMBERS = (int, float, complex, bool)
_PLAIN = (*_NUMBERS, str, type(None), torch.dtype, torch.device, type(Ellipsis))
_SEQUENCES = (tuple, list, Size)
_GROWING = (ast.Pow, ast.LShift)
_MOST_GROWTH = 64
"""How large the second number of a power or a shift may be, and how often a list is repeated."""
_COUNTING = (
    abs, bool, float, int, len, list, max, min, range, round, slice, sum, tuple, math.ceil,
    math.floor, math.isqrt, math.log, math.log2, math.prod, math.sqrt, Size, torch.device,
    torch.finfo, torch.iinfo,
)  # fmt: skip
"""What is called on numbers, and on lists of them, as it stands."""


class Values:
    """The values of a frame's expressions."""

    def __init__(self, frame: FrameType) -> None:
        self._frame = frame
        self._meta = OnMeta()

    def device(self, tensor: Tensor) -> torch.device:
        """Return where a tensor is, or would be that is known on meta only."""
        return self._meta.device(tensor)

    def of(self, node: ast.expr) -> Any:
        """Return what an expression stands for; a lost tensor on meta. Raises Unknown."""
        try:
            with unwatched():
                return self._of(node)
        except Unknown:
            raise
        except Exception as error:
            raise Unknown(ast.dump(node)[:80]) from error

    def _of(self, node: ast.expr) -> Any:
        read: Callable[[Any], Any] | None = getattr(self, f"_{type(node).__name__.lower()}", None)
        if read is None:
            raise Unknown(type(node).__name__)
        return read(node)

    def _constant(self, node: ast.Constant) -> Any:
        return node.value

    def _name(self, node: ast.Name) -> Any:
        return named(self._frame, node.id)

    def _namedexpr(self, node: ast.NamedExpr) -> Any:
        return self._of(node.target)  # it was run before what failed

    def _attribute(self, node: ast.Attribute) -> Any:
        return attribute(self._of(node.value), node.attr)

    def _tuple(self, node: ast.Tuple) -> Any:
        return tuple(self._all(node.elts))

    def _list(self, node: ast.List) -> Any:
        return self._all(node.elts)

    def _slice(self, node: ast.Slice) -> Any:
        parts = (node.lower, node.upper, node.step)
        return slice(*(None if part is None else self._of(part) for part in parts))

    def _all(self, nodes: Sequence[ast.expr]) -> list[Any]:
        values: list[Any] = []
        for node in nodes:
            if isinstance(node, ast.Starred):
                found = self._of(node.value)
                if type(found) not in _SEQUENCES:
                    raise Unknown("*")
                values += found
            else:
                values.append(self._of(node))
        return values

    def _subscript(self, node: ast.Subscript) -> Any:
        owner, key = self._of(node.value), self._of(node.slice)
        if not isinstance(owner, Tensor):
            return item(owner, key)
        if type(owner) in PLAIN_TENSORS and _is_view(key):
            return self._meta.like(owner[key], owner)
        return self._meta.call(Tensor.__getitem__, [owner, key], {})

    def _ifexp(self, node: ast.IfExp) -> Any:
        return self._of(node.body if self._truth(node.test) else node.orelse)

    def _boolop(self, node: ast.BoolOp) -> Any:
        wanted = isinstance(node.op, ast.Or)
        for part in node.values[:-1]:
            if self._truth(part) is wanted:
                return self._of(part)
        return self._of(node.values[-1])

    def _truth(self, node: ast.expr) -> bool:
        value = self._of(node)
        if type(value) not in (*_NUMBERS, str, type(None), *_SEQUENCES, dict):
            raise Unknown("truth")
        return bool(value)

    def _unaryop(self, node: ast.UnaryOp) -> Any:
        if isinstance(node.op, ast.Not):
            return not self._truth(node.operand)
        return self._computed(UNARY[type(node.op)], self._of(node.operand))

    def _compare(self, node: ast.Compare) -> Any:
        if len(node.ops) > 1 or type(node.ops[0]) not in COMPARED:
            raise Unknown("comparison")
        left, right = self._of(node.left), self._of(node.comparators[0])
        if isinstance(node.ops[0], (ast.Is, ast.IsNot)):
            return COMPARED[type(node.ops[0])](left, right)
        return self._computed(COMPARED[type(node.ops[0])], left, right)

    def _binop(self, node: ast.BinOp) -> Any:
        left, right = self._of(node.left), self._of(node.right)
        if isinstance(node.op, _GROWING) and abs(right) > _MOST_GROWTH:
            raise Unknown("power")
        if type(left) in _SEQUENCES or type(right) in _SEQUENCES:
            return _joined(node.op, left, right)
        return self._computed(BINARY[type(node.op)], left, right)

    def _computed(self, function: Callable[..., Any], *values: Any) -> Any:
        if all(type(value) in _PLAIN for value in values):
            return function(*values)
        if any(isinstance(value, Tensor) for value in values):
            return self._meta.operator(function, list(values))
        raise Unknown(function.__name__)

    def _call(self, node: ast.Call) -> Any:
        function = self._of(node.func)
        args, kwargs = self.arguments(node)
        if isinstance(function, Bound):
            if isinstance(function.owner, Tensor):
                return self._meta.call(function.function, [function.owner, *args], kwargs)
            return _of_builtin(function, args)
        if isinstance(function, nn.Module):
            if torch_class(function) is not type(function):
                raise Unknown(type(function).__name__)
            return self._meta.module(function, args, kwargs)
        if is_torchs(function):
            return self._meta.call(function, args, kwargs)
        return _of_python(function, args, kwargs)

    def arguments(self, node: ast.Call) -> tuple[list[Any], dict[str, Any]]:
        """Return what a call was given. Raises Unknown where one argument cannot be told."""
        kwargs: dict[str, Any] = {}
        for keyword in node.keywords:
            value = self._of(keyword.value)
            if keyword.arg is not None:
                kwargs[keyword.arg] = value
            elif type(value) is dict:
                kwargs.update(value)
            else:
                raise Unknown("**")
        return self._all(node.args), kwargs


def _of_python(function: Any, args: list[Any], kwargs: dict[str, Any]) -> Any:
    """Return what a function of Python's comes to, which does nothing but count or copy."""
    if (function is copy.copy or function is copy.deepcopy) and type(args[0]) in PLAIN_TENSORS:
        return args[0]
    if function is len and isinstance(args[0], Tensor):
        return args[0].shape[0]
    if any(function is known for known in _COUNTING) and _is_data([*args, *kwargs.values()]):
        return function(*args, **kwargs)
    raise Unknown("call")


def _of_builtin(function: Bound, args: list[Any]) -> Any:
    """Return what `size.numel()` and `table.get(key)` come to."""
    if type(function.owner) is Size and function.name == "numel":
        return function.owner.numel()
    if type(function.owner) is dict and function.name == "get" and args:
        try:
            return item(function.owner, args[0])
        except Unknown:
            return args[1] if len(args) > 1 else None
    raise Unknown(function.name)


def _joined(op: ast.operator, left: Any, right: Any) -> Any:
    """Return lists and tuples put together, or repeated."""
    if isinstance(op, ast.Add) and type(left) in _SEQUENCES and type(right) in _SEQUENCES:
        return left + right
    counts = [value for value in (left, right) if type(value) is int]
    if isinstance(op, ast.Mult) and counts and abs(counts[0]) <= _MOST_GROWTH:
        return left * right
    raise Unknown("sequence")


def _is_view(key: Any) -> bool:
    """Return whether an index only moves a view along, so that no value is looked at."""
    parts = key if type(key) is tuple else (key,)
    return all(
        type(part) is int or part is None or part is Ellipsis or _is_plain_slice(part)
        for part in parts
    )


def _is_plain_slice(part: Any) -> bool:
    return type(part) is slice and all(
        value is None or type(value) is int for value in (part.start, part.stop, part.step)
    )


def _is_data(value: Any) -> bool:
    """Return whether a value is made of numbers and texts alone, to which calls do nothing."""
    if type(value) in _SEQUENCES:
        return all(_is_data(part) for part in value)
    return type(value) in (*_PLAIN, range)
