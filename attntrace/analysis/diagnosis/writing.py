"""The code of a changed call: how tensors are written after some methods, and the proposal."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any

from attntrace.analysis.diagnosis.call import FailedCall, Given, Key, Proposal
from attntrace.analysis.diagnosis.text import listed

_CLOSED = (ast.Name, ast.Attribute, ast.Call, ast.Subscript)


def wrapped(text: str) -> str:
    """Return an expression as something that a method can be called on: "(a + b)", "f(x)[0]"."""
    try:
        body = ast.parse(text.strip(), mode="eval").body
    except (SyntaxError, ValueError):
        return f"({text})"
    return text if isinstance(body, _CLOSED) else f"({text})"


def method(name: str, *args: object) -> str:
    """Return the call of a method as code: '.transpose(1, 2)', '.to("cuda:0")'."""
    return f".{name}({', '.join(map(_argument, args))})"


def _argument(value: object) -> str:
    if isinstance(value, str):
        return value if value.startswith("torch.") else f'"{value}"'
    return str(value)


def written(tensor: Given) -> str:
    """Return the code of a tensor after its steps, as people write it: "x[:, :64]", "ids - 1"."""
    text = tensor.name
    for name, args in tensor.steps:
        idiom = _IDIOMS.get((name, len(args)))
        text = idiom(text, *args) if idiom else wrapped(text) + method(name, *args)
    return text


def _part(text: str, dim: int, begin: int, size: int) -> str:
    """Return a part of an axis as an index: "x[:, :64]"."""
    before = "..., " if dim < 0 else ":, " * dim
    return f"{wrapped(text)}[{before}{begin or ''}:{begin + size}]"


def _turned(text: str, one: int, other: int) -> str:
    """Return two axes swapped: where the author did that last, it is not done."""
    found = _SWAPPED.search(text) if wrapped(text) == text else None
    if found is None or {*map(int, (found[1] or "0", found[2] or "1"))} != {one, other}:
        return wrapped(text) + method("transpose", one, other)
    return text[: found.start()]


_SWAPPED = re.compile(r"(?:\.transpose\((-?\d), ?(-?\d)\)|\.t\(\)|\.T)$")
_IDIOMS: dict[tuple[str, int], Callable[..., str]] = {
    ("narrow", 3): _part,
    ("transpose", 2): _turned,
    ("add", 1): lambda text, number: f"{text} + {number}",
    ("sub", 1): lambda text, number: f"{text} - {number}",
    ("mean", 2): lambda text, dim, _: f"{wrapped(text)}.mean({dim}, keepdim=True)",
}
"""How some methods are written instead, by their number of arguments."""


def changed(
    call: FailedCall, said: str, changes: Mapping[Key, Any], texts: Mapping[Key, str] | None = None
) -> Proposal:
    """Propose the call with other arguments, and the author's expression that says so.

    A tensor that has no text of its own in `texts` is written with its steps.
    """
    code = call.code(_texts(changes, texts))
    return Proposal(said=said, code=code, call=call.at(changes))


def amended(
    call: FailedCall, said: str, changes: Mapping[Key, Any], texts: Mapping[Key, str] | None = None
) -> Proposal:
    """Propose the same with the code at the sentence's end: "swap the last two axes: `k.mT`"."""
    proposal = changed(call, said, changes, texts)
    code = proposal.code or listed(_texts(changes, texts).values())
    return replace(proposal, said=f"{said}: `{code}`")


def _texts(changes: Mapping[Key, Any], texts: Mapping[Key, str] | None) -> dict[Key, str]:
    tensors = {key: written(value) for key, value in changes.items() if isinstance(value, Given)}
    return {**tensors, **(texts or {})}


def with_keyword(call: FailedCall, keyword: str) -> str | None:
    """Return the author's expression with one more keyword: "f(x, enable_gqa=True)"."""
    text = call.text.rstrip()
    if not text.endswith(")"):
        return None
    return f"{text[:-1].rstrip().removesuffix(',')}, {keyword})"


def recast(call: FailedCall, said: str, changes: Iterable[tuple[Given, Given, str]]) -> Proposal:
    """Propose the call with tensors replaced wherever they are, in lists as well.

    Each change is the tensor, what takes its place, and how that is written.
    """
    changed_to = {id(old): (new, text) for old, new, text in changes}

    def made(value: Any) -> Any:
        if isinstance(value, Given):
            return changed_to.get(id(value), (value, ""))[0]
        return type(value)(map(made, value)) if type(value) in {tuple, list} else value

    def text(value: Any) -> str:
        if isinstance(value, Given):
            return changed_to.get(id(value), (value, value.name))[1]
        inner = ", ".join(map(text, value))
        return f"[{inner}]" if isinstance(value, list) else f"({inner})"

    named: list[tuple[Key, Any]] = [*enumerate(call.args), *call.kwargs.items()]
    texts = {key: text(value) for key, value in named if made(value) != value}
    args = tuple(map(made, call.args))
    kwargs = {key: made(value) for key, value in call.kwargs.items()}
    return Proposal(said=said, code=call.code(texts), call=replace(call, args=args, kwargs=kwargs))


def instead(call: FailedCall, op: str, args: tuple[Any, ...], said: str) -> Proposal:
    """Return another function of torch's in place of the one that failed."""
    return Proposal(said=said, call=replace(call, op=op, args=args, kwargs={}, module=None))
