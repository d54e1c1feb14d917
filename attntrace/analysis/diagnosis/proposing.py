"""How a call is written once its arguments have been changed."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from attntrace.analysis.diagnosis.call import FailedCall, Given, Key, Proposal

_POSTFIX = re.compile(r"[\w.]+(\[[^\[\]]*\]|\([^()]*\)|\.\w+)*")


def wrapped(text: str) -> str:
    """Return an expression as something that a method can be called on: "(a + b)", "f(x)[0]"."""
    return text if _POSTFIX.fullmatch(text) else f"({text})"


def listed(words: Iterable[str], last: str = "and") -> str:
    """Return words in a row, each once: "q, k and v"."""
    *most, end = dict.fromkeys(words)
    return f"{', '.join(most)} {last} {end}" if most else end


def ticked(codes: Iterable[str]) -> str:
    """Return pieces of code in a row: "`k.mT` and `v.mT`"."""
    return listed(f"`{code}`" for code in codes)


def sizes(shape: Iterable[int] | None) -> str:
    """Return a shape as Python writes it: "(2, 10, 64)"."""
    return str(tuple(shape or ()))


def shaped(tensor: Given) -> str:
    """Return a tensor's name beside its shape: "q (2, 6, 10, 16)"."""
    return f"{tensor.name} {sizes(tensor.shape)}"


def written(tensor: Given) -> str:
    """Return a tensor with its steps as code: 'x.to(torch.bfloat16)', 'x.to("cuda:0")'."""
    text = tensor.name
    for method, args in tensor.steps:
        text = f"{wrapped(text)}.{method}({', '.join(map(_argument, args))})"
    return text


def _argument(value: Any) -> str:
    if isinstance(value, str):
        return value if value.startswith("torch.") else f'"{value}"'
    return repr(value)


def changed(
    call: FailedCall, said: str, changes: Mapping[Key, Any], texts: Mapping[Key, str] | None = None
) -> Proposal:
    """Propose the call with other arguments, and the author's expression that says so.

    A tensor that has no text of its own in `texts` is written with its steps.
    """
    shown = {key: written(value) for key, value in changes.items() if isinstance(value, Given)}
    code = call.code({**shown, **(texts or {})})
    return Proposal(said=said, code=code, call=call.at(changes))


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
