"""A value that is no tensor, where one is wanted: which it is, and which call gave it."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from contextlib import suppress
from types import ModuleType
from typing import Any

from torch import Tensor, nn

from attntrace.analysis.diagnosis import FailedCall, Given
from attntrace.analysis.diagnosis.call import Key
from attntrace.analysis.diagnosis.python.facts import Made, NoTensor
from attntrace.capture.failed.python.made import made, set_in_class, why_none
from attntrace.capture.failed.python.raised import LOST, Raised, assigned, step_in
from attntrace.capture.failed.stack.inside import Handed
from attntrace.capture.failed.values.reading import Bound
from attntrace.record import Step

_ASKED = re.compile(r"'([\w.]+)' object has no attribute '(\w+)'")
_UNSUBSCRIPTED = re.compile(r"'([\w.]+)' object is not (subscriptable|callable|iterable)")
_NOT_APART = re.compile(r"cannot unpack non-iterable (\w+) object")
_INDICES = re.compile(r"(tuple|list) indices must be")
_NUMBERS = (int, float, complex, bool)
_MOST_PARTS = 8

Found = tuple[NoTensor, list[Step]]


def no_tensor(raised: Raised, call: FailedCall, calls: list[Handed]) -> Found | None:
    """Return the value that is no tensor, with the lines that made it; None where all are."""
    if not isinstance(raised.error, (TypeError, AttributeError)):
        return None
    message, node = str(raised.error), raised.node
    found = _of_asked(raised, message)
    if found is not None or _is_of_asked(node, message):
        return found
    if call.module is not None and calls:
        return _handed(raised, call, calls)
    named: list[tuple[Key, Any, ast.expr]] = [*_operands(raised, call)]
    return _operand(raised, call, named)


def _is_of_asked(node: ast.AST, message: str) -> bool:
    """Return whether the error is of what was asked of one value, and not of a call's arguments."""
    is_index = isinstance(node, ast.Subscript) and bool(_INDICES.match(message))
    return isinstance(node, ast.Attribute) or is_index or bool(_unlike(message))


def _of_asked(raised: Raised, message: str) -> Found | None:
    """Return the value of which was asked what a tensor has: an attribute, an item, to be called."""
    node, asked = raised.node, _unlike(message)
    kind, what = (asked[1], asked[2]) if asked else ("", "")
    if isinstance(node, ast.Attribute) and (missing := _ASKED.search(message)):
        return _asked(raised, node.value, f".{node.attr}", missing[1])
    if isinstance(node, ast.Subscript) and (what == "subscriptable" or _INDICES.match(message)):
        return _asked(raised, node.value, f"[{raised.text(node.slice)}]", kind)
    if isinstance(node, ast.Call) and what == "callable":
        return _asked(raised, node.func, "()", kind)
    if isinstance(node, ast.expr) and what == "iterable":
        return _asked(raised, node, "for", kind)
    statement, apart = raised.source.statement(node), _NOT_APART.match(message)
    if apart is not None and isinstance(statement, ast.Assign):
        return _asked(raised, statement.value, raised.text(statement), apart[1])
    return None


def _unlike(message: str) -> re.Match[str] | None:
    return _UNSUBSCRIPTED.match(message)


def _asked(raised: Raised, node: ast.expr, asked: str, kind: str) -> Found | None:
    """Return the value of which something was asked that a tensor has."""
    value = raised.value(node)
    if isinstance(value, (ModuleType, nn.Module)) or (isinstance(value, Tensor) and asked != "()"):
        return None
    if asked.startswith(".") and not (hasattr(Tensor, asked[1:]) or kind == "NoneType"):
        return None
    return _told(raised, node, value, (kind, None, asked))


def _operands(raised: Raised, call: FailedCall) -> Iterator[tuple[Key, Any, ast.expr]]:
    """Yield the arguments of a call or the sides of an operator, with their places."""
    node = raised.node
    if isinstance(node, ast.BinOp):
        yield from (
            (key, raised.value(one), one) for key, one in enumerate((node.left, node.right))
        )
    elif isinstance(node, ast.AugAssign):
        yield 0, raised.value(node.target), node.target
        yield 1, raised.value(node.value), node.value
    elif isinstance(node, ast.Compare) and len(node.comparators) == 1:
        yield 0, raised.value(node.left), node.left
        yield 1, raised.value(node.comparators[0]), node.comparators[0]
    elif isinstance(node, ast.Call) and call.op:
        first = len(call.args) - len(node.args)
        for place, one in enumerate(node.args, first):
            if not isinstance(one, ast.Starred):
                yield place, raised.value(one), one
        for word in node.keywords:
            if word.arg is not None:
                yield word.arg, raised.value(word.value), word.value


def _operand(
    raised: Raised, call: FailedCall, named: list[tuple[Key, Any, ast.expr]]
) -> Found | None:
    """Return the first argument that torch refuses for what it is."""
    for key, value, node in named:
        if isinstance(value, (list, tuple)) and call.op in ("cat", "stack", "concat", "hstack"):
            found = _element(raised, value, node)
            if found is not None:
                return found
            continue
        if value is not LOST and _is_refused(raised, value):
            return _told(raised, node, value, ("", key, ""))
    kinds = _named(str(raised.error))
    lost = [(key, node) for key, value, node in named if value is LOST]
    odd = kinds & {"tuple", "NoneType", "dict", "list", "numpy.ndarray"}
    if len(lost) == 1 and odd and call.op:
        return _told(raised, lost[0][1], LOST, (min(odd).rpartition(".")[2], lost[0][0], ""))
    return None


def _named(message: str) -> set[str]:
    """Return the words of a message, the types among them."""
    return {*re.findall(r"[\w.]+", message)}


def _element(raised: Raised, values: Any, node: ast.expr) -> Found | None:
    """Return the part of a list that is no tensor: `torch.cat([x, None])`."""
    for place, value in enumerate(values):
        if isinstance(value, Tensor):
            continue
        if isinstance(node, (ast.List, ast.Tuple)) and place < len(node.elts):
            about, steps = _told(raised, node.elts[place], value, ("", None, ""))
            return about, steps
        name = f"{raised.text(node)}[{place}]"
        described = raised.describe(value, name)
        return NoTensor(name=name, type=type(value).__name__, value=described), []
    return None


def _is_refused(raised: Raised, value: Any) -> bool:
    """Return whether a message names the type of a value, as one that is no tensor."""
    kind, message = type(value).__name__, str(raised.error)
    if isinstance(value, Tensor) or (isinstance(value, str) and "must be Tensor" not in message):
        return False
    if isinstance(value, (list, tuple)) and value and all(type(one) in _NUMBERS for one in value):
        return False
    if isinstance(value, _NUMBERS) and "must be Tensor" not in message:
        return False
    return bool({kind, f"{type(value).__module__}.{kind}"} & _named(message))


def _handed(raised: Raised, call: FailedCall, calls: list[Handed]) -> Found | None:
    """Return what a module of torch's was handed that is no tensor."""
    last, node = calls[-1], raised.node
    named: list[tuple[Key, Any]] = [*enumerate(last.args), *last.kwargs.items()]
    for key, value in named:
        if not _is_refused(raised, value):
            continue
        kind = type(value).__name__
        if len(calls) > 1 and calls[0].module is not last.module:
            return _between(raised, call, calls, (key, value))
        arg = _written(node, key)
        if arg is not None:
            return _told(raised, arg, value, ("", key, ""))
        return NoTensor(name="its input", type=kind, value=raised.describe(value, "its input")), []
    return None


def _written(node: ast.AST, key: Key) -> ast.expr | None:
    if isinstance(node, ast.Call):
        if isinstance(key, int):
            return node.args[key] if key < len(node.args) else None
        return next((word.value for word in node.keywords if word.arg == key), None)
    return None


def _between(
    raised: Raised, call: FailedCall, calls: list[Handed], handed: tuple[Key, Any]
) -> Found:
    """Return what a module inside an nn.Sequential got of the one before it."""
    key, value = handed
    outer, inner = calls[-2], calls[-1]
    parts = [*vars(outer.module)["_modules"].items()]
    place = next((n for n, (_, one) in enumerate(parts) if one is inner.module), 0)
    text = raised.text(raised.node.func) if isinstance(raised.node, ast.Call) else "its module"
    maker = None
    name = f"the input of {call.module.text}" if call.module else "its input"
    if place and isinstance(outer.module, nn.Sequential):
        before = parts[place - 1]
        called = f"{text}[{before[0]}]" if before[0].isdigit() else f"{text}.{before[0]}"
        kind = type(before[1]).__name__
        maker = Made(text="", called=called, type=kind)
        name = f"the output of {called}"
    described = raised.describe(value, name)
    return NoTensor(name=name, type=type(value).__name__, value=described, key=key, made=maker), []


def _told(raised: Raised, node: ast.expr, value: Any, how: tuple[str, Key | None, str]) -> Found:
    """Return what is known of a value: `how` is its type if it is lost, its place, what was asked."""
    kind, key, asked = how
    name = raised.text(node)
    maker, steps = made(raised, node)
    parameter = ""
    if value is not LOST:
        kind = "method" if isinstance(value, Bound) else type(value).__name__
        if type(value).__module__ == "torch.return_types":
            kind = f"torch.return_types.{kind}"
    if kind == "NoneType" and maker is None:
        parameter, steps = why_none(raised, node)
    if kind == "list" and _is_modules(value):
        kind = "list of modules"
    known = None if value is LOST else _described(raised, value, name)
    parts = () if value is LOST or isinstance(value, Bound) else tuple(_parts(raised, value, name))
    about = NoTensor(
        name=name, type=kind, value=known, parts=parts, key=key, asked=asked, made=maker,
        parameter_of=parameter,
    )  # fmt: skip
    return about, steps


def _is_modules(value: Any) -> bool:
    return type(value) is list and bool(value) and all(isinstance(one, nn.Module) for one in value)


def _described(raised: Raised, value: Any, name: str) -> Any:
    if type(value).__module__ == "numpy" and type(value).__name__ == "ndarray":
        shape = tuple(int(size) for size in value.shape)
        return Given(name=name, shape=shape, dtype=str(value.dtype))
    if isinstance(value, (list, tuple)):
        return raised.describe(value[:_MOST_PARTS] if type(value) in (list, tuple) else value, name)
    return raised.describe(value, name)


def _parts(raised: Raised, value: Any, name: str) -> Iterator[tuple[str, Any]]:
    """Yield the tensors of a dict or an object, by what is written after its name."""
    if isinstance(value, (Tensor, nn.Module, tuple, list)):
        return
    own: dict[str, Any] = {}
    with suppress(AttributeError):  # it has slots
        own = object.__getattribute__(value, "__dict__")
    is_dict = type(value) is dict
    held = value if is_dict else own
    for key, one in [*held.items()][:64]:
        if isinstance(one, Tensor) and isinstance(key, str):
            text = f"[{key!r}]".replace("'", '"') if is_dict else f".{key}"
            yield text, raised.describe(one, f"{name}{text}")


def float_made(raised: Raised) -> Found | None:
    """Return the name of a float among sizes, with the division that it was assigned."""
    function, node = raised.function(), raised.node
    if function is None or not isinstance(node, (ast.Call, ast.Subscript)):
        return None
    for part in ast.walk(node):
        if isinstance(part, (ast.Name, ast.Attribute)) and type(raised.value(part)) is float:
            own = set_in_class(raised, part) if isinstance(part, ast.Attribute) else None
            one = own[2] if own else assigned(function, ast.unparse(part), node.lineno)
            source, code = own[:2] if own else (raised.source, raised.level.site.code)
            if one is not None and isinstance(one.value, ast.BinOp) and not one.is_part:
                text, name = source.text(one.value), ast.unparse(part)
                step = step_in(source, code, f"{name} is a float: `{text}`.", one.statement)
                maker = Made(text=text, called="", target=name)
                return NoTensor(name=name, type="float", made=maker), [step]
    return None
