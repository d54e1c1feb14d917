"""From a traceback to the call that failed, with what it was given: no run was watched for it."""

from __future__ import annotations

import ast
import warnings
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from attntrace.analysis.diagnosis import Called, FailedCall, Given
from attntrace.analysis.diagnosis.call import Key
from attntrace.capture.describe import device_name
from attntrace.capture.failed.call.given import described, given
from attntrace.capture.failed.call.written import Written, instruction, written
from attntrace.capture.failed.python.converting import converted
from attntrace.capture.failed.python.raised import Raised
from attntrace.capture.failed.python.refused import with_about
from attntrace.capture.failed.stack.frames import Frames, Level
from attntrace.capture.failed.stack.inside import (
    Handed,
    calls_of,
    handed_on,
    inner,
    parameters,
    telling,
)
from attntrace.capture.failed.stack.running import modules
from attntrace.capture.failed.values.evaluate import Values
from attntrace.capture.failed.values.on_meta import is_function, is_torchs
from attntrace.capture.failed.values.operators import operator, shape_of, stored, taken_apart
from attntrace.capture.failed.values.reading import Bound, Unknown
from attntrace.capture.failed.values.settings import constructor_settings, torch_class
from attntrace.capture.fence import unwatched
from attntrace.capture.source import node_at
from attntrace.errors import said

_LOOKED: dict[str, Callable[..., Any]] = {"bool": bool, "iter": iter}
Describe = Callable[[Tensor, str], Given]
"""Describes a tensor under a name, as `given` does."""


@dataclass(frozen=True, slots=True)
class Crash:
    """All that a traceback tells of the call that failed."""

    frames: Frames
    call: FailedCall
    function: Callable[..., Any] | None
    source: Written
    root: nn.Module | None
    """The outermost module whose forward was running."""
    path: str
    """The innermost one's, from the root."""


def crashed(error: BaseException, describe: Describe = given) -> Crash | None:
    """Return what a traceback tells; None without a line of the author's or a module of torch's.

    Nothing of the author's is run, and no value of a tensor on a GPU is looked at.
    """
    frames = Frames.of(error)
    here = frames.innermost or next(iter(frames.levels if calls_of(frames.below) else ()), None)
    if here is None:
        return None
    try:
        root, path, paths = modules(frames)
        reading = _Reading(frames, here, describe, paths)
        with warnings.catch_warnings(), unwatched():
            warnings.simplefilter("ignore")
            call, function, source = reading.read()
            with suppress(Exception):
                call, function = reading.refused(error, call, function)
    except BaseException:
        frames.forget()  # nobody else will: there is no crash to be told of
        raise
    call = replace(call, error=type(error).__name__, message=said(error))
    return Crash(frames, call, function, source, root, path)


Told = tuple[FailedCall, Callable[..., Any] | None, Written]


class _Reading:
    """One failed call being read off its frames."""

    def __init__(
        self, frames: Frames, here: Level, describe: Describe, paths: dict[int, str]
    ) -> None:
        self._frames, self._here, self._describe, self._paths = frames, here, describe, paths
        self._values = Values(here.frame)
        self._is_ours = here is not frames.innermost  # and no line of the author's

    def read(self) -> Told:
        """Return the call, the function of torch's that it called, and how it is written."""
        site = self._here.site
        found, step = None if self._is_ours else node_at(site), instruction(site)
        node = found[1] if found else None
        modules = calls_of(self._frames.below)
        if modules and torch_class(modules[0].module) is not None:
            return self._of_module(modules, node)
        if isinstance(node, ast.Call) and step.startswith(("CALL", "PRECALL")):
            return self._of_call(node)
        source = written(site)
        if step.startswith("UNPACK_"):
            return self._unpacked(source), None, source
        call = self._of_operator(node, step, source)
        return call, _LOOKED.get(call.op), source

    def refused(
        self, error: BaseException, call: FailedCall, function: Callable[..., Any] | None
    ) -> tuple[FailedCall, Callable[..., Any] | None]:
        """Return a call with what is known of it where plain Python refused, and what to try."""
        found = None if self._is_ours else node_at(self._here.site)
        if found is None:
            return call, function
        raised = Raised(
            error, self._here, *found, self._values, self._value_as, self._frames.below,
            self._frames.above,
        )  # fmt: skip
        return with_about(raised, call, function)

    def _value_as(self, value: Any, name: str) -> Any:
        return self._described(value, Written(names={0: name}), 0)

    def _of_operator(
        self, node: ast.expr | ast.AugAssign | None, step: str, source: Written
    ) -> FailedCall:
        op, parts = operator(node, step) if node is not None else ("", [])
        if op == "setitem" and (value := stored(source.text)) is not None:
            parts = [*parts, value]
        values = [self._value(part) for part in parts]
        if op == "size":
            source = replace(source, names={0: ast.unparse(parts[0])})
        if not any(isinstance(value, Tensor) for value in values):
            op, values = "", []
        elif op == "getitem" and not isinstance(values[0], (Tensor, _Lost)):
            op, values, source = "index", values[1:], source.reflected()
        if isinstance(node, ast.BinOp) and values and not isinstance(values[0], (Tensor, _Lost)):
            op = f"r{op}" if op not in ("add", "mul") else op
        return self._call(op, dict(enumerate(values)), source)

    def _unpacked(self, source: Written) -> FailedCall:
        """Return `a, b = x.shape` as "unpack" of what it takes apart, and into how many."""
        found = taken_apart(source.text)
        if found is None:
            return self._call("", {}, source)
        names, value = found
        base = shape_of(value)
        apart = self._value(base) if base is not None else None
        if not isinstance(apart, Tensor):
            base, apart = None, self._value(value)
        elif base is not None:
            source = replace(source, names={0: ast.unparse(base)})
        call = self._call("unpack", {0: apart, 1: len(names)}, source)
        kwargs: dict[str, Any] = {"names": names, "of": "value" if base is None else "shape"}
        whole = shape_of(value.value) if isinstance(value, ast.Subscript) else None
        if whole is not None and isinstance(tensor := self._value(whole), Tensor):
            kwargs["whole"] = self._tensor(tensor, ast.unparse(whole))
        return replace(call, kwargs=kwargs)

    def _of_call(self, node: ast.Call) -> Told:
        try:
            function = self._values.of(node.func)
        except Unknown:
            function = None
        is_method = isinstance(function, Bound) and isinstance(function.owner, Tensor)
        if function is None and isinstance(node.func, ast.Attribute):
            is_method = hasattr(Tensor, node.func.attr) and not self._frames.below
        source = written(self._here.site, method=is_method)
        values = self._given(node, 1 if is_method else 0)
        if is_method:
            assert isinstance(node.func, ast.Attribute), "a method stands behind a point"
            values = {0: self._value(node.func.value), **values}
            plain = getattr(Tensor, node.func.attr)
            return self._call(node.func.attr, values, source), plain, source
        if (asked := converted(function, values)) is not None:
            return self._call(asked[0], asked[1], source), asked[2], source
        if not is_torchs(function) and not _is_from_torch(function):
            return self._call("", values, source), None, source
        return self._call(function.__name__, values, source), function, source

    def _given(self, node: ast.Call, first: int) -> dict[Key, Any]:
        """Return the arguments of a call; one that cannot be told as torch's own frame has it."""
        values: dict[Key, Any] = {}
        handed = self._handed(first)
        place = first
        for part in node.args:
            if isinstance(part, ast.Starred):
                more = self._value(part.value)
                more = [*more] if type(more) in (tuple, list, torch.Size) else [more]
            else:
                more = [self._value(part, handed.get(place))]
            values.update(enumerate(more, place))
            place += len(more)
        for keyword in node.keywords:
            if keyword.arg is not None:
                values[keyword.arg] = self._value(keyword.value, handed.get(keyword.arg))
            elif type(more := self._value(keyword.value)) is dict:
                values.update(more)
        return values

    def _handed(self, first: int) -> dict[Key, Any]:
        """Return what the function of torch's that was called has for its parameters."""
        if not self._frames.below or first:
            return {}
        level = self._frames.below[0]
        code, local = level.site.code, level.frame.f_locals
        names = code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]
        found: dict[Key, Any] = {name: local[name] for name in names if name in local}
        return found | {n: local[name] for n, name in enumerate(names) if name in local}

    def _value(self, node: ast.expr, handed: Any = None) -> Any:
        try:
            return self._values.of(node)
        except Unknown:
            if handed is not None:
                return handed
            return _Lost(ast.unparse(node))

    def _of_module(self, calls: list[Handed], node: ast.AST | None) -> Told:
        """Return what one of torch's modules that the author called did with what it was given."""
        site = self._here.site
        source = parameters(calls[0]) if self._is_ours else written(site, method=False)
        last = telling(calls)
        found = inner(last)
        text = ast.unparse(node.func) if isinstance(node, ast.Call) else ""
        path = self._paths.get(id(last.module), "")
        if last is not calls[0]:
            name = path.rpartition(".")[2]
            text = f"{text}[{name}]" if text and name.isdigit() else path or text
            source = replace(source, names=handed_on(calls[0], last, source), parts={})
        called = Called(
            type=type(last.module).__name__, text=text, path=path,
            settings=constructor_settings(last.module),
        )  # fmt: skip
        values: dict[Key, Any] = dict(enumerate(found.args))
        values.update(found.kwargs)
        call = self._call(found.op, values, source)
        args = [*call.args]
        for place, name in found.attributes.items():
            if isinstance(args[place], Given):
                args[place] = replace(args[place], name=f"{text}.{name}" if text else name)
        spans = {key: span for key, span in source.spans.items() if key not in found.attributes}
        spans = spans if last is calls[0] else {}
        return replace(call, args=tuple(args), module=called, spans=spans), found.function, source

    def _call(self, op: str, values: dict[Key, Any], source: Written) -> FailedCall:
        args = [value for key, value in values.items() if isinstance(key, int)]
        return FailedCall(
            op=op,
            args=tuple(self._described(arg, source, n) for n, arg in enumerate(args)),
            kwargs={
                key: self._described(value, source, key)
                for key, value in values.items()
                if isinstance(key, str)
            },
            text=source.text,
            spans=source.spans,
        )

    def _described(self, value: Any, source: Written, key: Key, *within: int | str) -> Any:
        """Return a value as `FailedCall` has it, its tensors by the author's expressions."""
        if isinstance(value, Tensor):
            return self._tensor(value, source.name(key, *within) or _name(source, key, within))
        if isinstance(value, _Lost):
            return f"<{value.text}>"
        if isinstance(value, (tuple, list)):
            parts = [self._described(part, source, key, *within, n) for n, part in enumerate(value)]
            return parts if isinstance(value, list) else tuple(parts)
        if isinstance(value, dict):
            items = dict.items(value)
            return {name: self._described(one, source, key, *within, name) for name, one in items}
        return described(value, lambda tensor: self._tensor(tensor, source.name(key) or ""))

    def _tensor(self, tensor: Tensor, name: str) -> Given:
        one = replace(self._describe(tensor, name), path=self._paths.get(id(tensor)))
        return replace(one, device=device_name(self._values.device(tensor)))


@dataclass(frozen=True, slots=True)
class _Lost:
    """An argument whose value nobody knows any more."""

    text: str


def _name(source: Written, key: Key, within: tuple[int | str, ...]) -> str:
    """Return what to call a part of an argument that is no name: "self.lstm(x)[0]"."""
    return (source.name(key) or f"argument {key}") + "".join(f"[{step!r}]" for step in within)


def _is_from_torch(function: Any) -> bool:
    return is_function(function) and str(getattr(function, "__module__", "")).startswith("torch.")
