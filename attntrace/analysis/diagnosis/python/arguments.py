"""Too few arguments for a forward, too many, or others than it takes."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from difflib import get_close_matches

from attntrace.analysis.diagnosis.call import Explained, FailedCall, Proposal
from attntrace.analysis.diagnosis.python.facts import Parameter, Takes
from attntrace.analysis.diagnosis.text import counted, listed, quoted

_ALIKE = 0.5
_OF_NUMPY = {"axis": "dim", "keepdims": "keepdim"}


def explain(call: FailedCall) -> Explained | None:
    """Return which arguments do not fit what a function takes; None for other calls."""
    about = call.about
    if not isinstance(about, Takes):
        return None
    for part in (_unknown, _surplus, _missing):
        found = part(call, about)
        if found is not None:
            return found
    return None


def _signature(about: Takes) -> str:
    return f"{about.name}({', '.join(map(_shown, about.parameters))})"


def _shown(one: Parameter) -> str:
    star = one.kind if one.kind in ("*", "**") else ""
    return f"{star}{one.name}" + (f"={one.default}" if one.default is not None else "")


def _in_order(about: Takes) -> list[Parameter]:
    return [one for one in about.parameters if one.kind == "plain"]


def _unknown(call: FailedCall, about: Takes) -> Explained | None:
    """A keyword that the function has no parameter for."""
    names = [one.name for one in about.parameters if one.kind in ("plain", "keyword")]
    odd = [name for name in about.named if name not in names]
    if not odd or any(one.kind == "**" for one in about.parameters):
        return None
    free = [name for name in names[about.placed :] if name not in about.named]
    meant = get_close_matches(_OF_NUMPY.get(odd[0], odd[0]), free, 1, _ALIKE)
    ways = []
    if meant:
        code = _renamed(call.text, odd[0], meant[0])
        said = f"the parameter is called {meant[0]}"
        ways.append(Proposal(said=f"{said}: `{code}`" if code else said, code=code))
    else:
        code = _renamed(call.text, odd[0], None)
        ways.append(Proposal(said=f"leave {odd[0]} out: `{code}`", code=code))
        if not about.is_torchs:
            ways.append(Proposal(said=f"or add it to {about.name}"))
    return Explained(
        rule=f"{quoted(call)} gives {odd[0]}, and {_signature(about)} takes no {odd[0]}.",
        proposals=tuple(ways),
    )


def _surplus(call: FailedCall, about: Takes) -> Explained | None:
    """More arguments in order than parameters."""
    taken = _in_order(about)
    if any(one.kind == "*" for one in about.parameters) or about.placed <= len(taken):
        return None
    given = counted(about.placed, "argument")
    return Explained(
        rule=f"{quoted(call)} gives {given} in order, and {_signature(about)} takes {len(taken)}.",
        proposals=tuple(_for_surplus(call, about, len(taken))),
    )


def _for_surplus(call: FailedCall, about: Takes, most: int) -> Iterator[Proposal]:
    code = _cut(call.text, most)
    if about.type == "Sequential":
        handed = _arguments(call.text)
        rest = ", ".join(handed[1:]) or "..."
        yield Proposal(
            said="nn.Sequential hands one input on: keep the layers in an nn.ModuleList, and call "
            f"them one by one, `for layer in {about.called}: x = layer(x, {rest})`",
            code=f"for layer in {about.called}: x = layer(x, {rest})",
        )
    yield Proposal(
        said=f"hand over {most} alone: `{code}`" if code else f"hand over {most} alone", code=code
    )
    if not about.is_torchs:
        yield Proposal(said=f"or add a parameter to {about.name}")


def _missing(call: FailedCall, about: Takes) -> Explained | None:
    """Parameters without a default that were not given."""
    in_order = _in_order(about)
    given = {*(one.name for one in in_order[: about.placed]), *about.named}
    lacks = [
        one.name
        for one in about.parameters
        if one.kind in ("plain", "keyword") and one.default is None and one.name not in given
    ]
    if not lacks:
        return None
    verb = "is" if len(lacks) == 1 else "are"
    return Explained(
        rule=f"{_signature(about)} needs {listed(lacks)}, which {verb} not given in "
        f"{quoted(call)}.",
        proposals=tuple(_for_missing(call, about, lacks)),
    )


def _for_missing(call: FailedCall, about: Takes, lacks: list[str]) -> Iterator[Proposal]:
    keywords = ", ".join(f"{name}={name}" for name in lacks)
    if all(name in about.known for name in lacks):
        code = _appended(call.text, keywords)
        yield Proposal(said=f"hand over {listed(lacks)}: `{code or keywords}`", code=code)
        return
    code = _appended(call.text, ", ".join(f"{name}=..." for name in lacks))
    yield Proposal(said=f"hand over {listed(lacks)}: `{code}`" if code else f"add {listed(lacks)}")
    if not about.is_torchs:
        optional = ", ".join(f"{name}=None" for name in lacks)
        yield Proposal(said=f"or make it optional in {about.name}: `{optional}`")


def _called(text: str) -> ast.Call | None:
    try:
        node = ast.parse(text.strip(), mode="eval").body
    except SyntaxError:
        return None
    return node if isinstance(node, ast.Call) else None


def _arguments(text: str) -> list[str]:
    node = _called(text)
    return [ast.unparse(arg) for arg in node.args] if node else []


def _appended(text: str, more: str) -> str | None:
    node = _called(text)
    if node is None:
        return None
    return f"{text.rstrip()[:-1].rstrip().removesuffix(',')}{', ' if node.args or node.keywords else ''}{more})"


def _cut(text: str, most: int) -> str | None:
    """Return a call with so many of its arguments in order."""
    node = _called(text)
    if node is None or any(isinstance(arg, ast.Starred) for arg in node.args):
        return None
    del node.args[most:]
    return ast.unparse(node)


def _renamed(text: str, name: str, new: str | None) -> str | None:
    """Return a call with a keyword called otherwise; without it for None."""
    node = _called(text)
    if node is None:
        return None
    for word in node.keywords:
        if word.arg == name:
            word.arg = new or ""
    node.keywords = [word for word in node.keywords if word.arg != ""]
    return ast.unparse(node)
