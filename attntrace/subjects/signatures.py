"""What may be given to a callable, and what is missing: the user's own words in each message."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Iterator
from difflib import get_close_matches
from inspect import Parameter, Signature
from typing import Any

from torch import nn

_VARIABLE = (Parameter.VAR_POSITIONAL, Parameter.VAR_KEYWORD)
_IN_ORDER = (Parameter.POSITIONAL_ONLY, Parameter.POSITIONAL_OR_KEYWORD)


def signature_of(call: Callable[..., Any]) -> Signature | None:
    """Return what a call takes, a module's forward for a module; None where Python cannot tell."""
    try:
        return inspect.signature(call.forward if isinstance(call, nn.Module) else call)
    except (ValueError, TypeError, AttributeError):
        return None


def in_order(signature: Signature) -> list[str]:
    """Return the names of the parameters that may be given in order."""
    return [name for name, p in signature.parameters.items() if p.kind in _IN_ORDER]


def required(signature: Signature) -> list[Parameter]:
    """Return the parameters that have no default."""
    every = signature.parameters.values()
    return [p for p in every if p.default is p.empty and p.kind not in _VARIABLE]


def takes_more(signature: Signature, kind: Any) -> bool:
    """Whether there is an `*args` or a `**kwargs`."""
    return any(p.kind is kind for p in signature.parameters.values())


def written(name: str, signature: Signature) -> str:
    """Return a signature without annotations: "forward(x, mask=None)"."""
    bare = [p.replace(annotation=Parameter.empty) for p in signature.parameters.values()]
    return f"{name}{Signature(bare)}"


def unknown_names(
    names: Iterable[str], name: str, signature: Signature
) -> Iterator[tuple[str, str]]:
    """Yield each name that is no parameter, with what to say of it."""
    if takes_more(signature, Parameter.VAR_KEYWORD):
        return
    there = [n for n, p in signature.parameters.items() if p.kind not in _VARIABLE]
    for given in names:
        if given not in there:
            near = get_close_matches(given, there, n=1, cutoff=0.6)
            end = f"; did you mean {near[0]!r}?" if near else ""
            yield given, f"{written(name, signature)} takes no {given!r}{end}"


def name_of(call: Any) -> str:
    """Return what a callable is called where it is defined."""
    return str(getattr(call, "__name__", type(call).__name__))
