"""Which call gave a value that is no tensor, and why a name is None."""

from __future__ import annotations

import ast
import dis
from collections.abc import Iterator
from itertools import pairwise
from types import CodeType, FunctionType
from typing import Any

from torch import nn

from attntrace.analysis.diagnosis.python.facts import Made
from attntrace.capture.expressions import Expressions
from attntrace.capture.failed.python.raised import (
    LOST,
    Assigned,
    Raised,
    assigned,
    definition,
    step_in,
)
from attntrace.capture.failed.python.signature import shown, signature_of
from attntrace.capture.failed.values.reading import Bound
from attntrace.capture.source import node_at
from attntrace.record import Step

_MOST_NAMES = 4
"""How often a name that is another's is followed."""


def made(raised: Raised, node: ast.expr) -> tuple[Made | None, list[Step]]:
    """Return the call that an expression is, or that its name was assigned, with the line of that."""
    if isinstance(node, ast.Call):
        found = _made(raised, node, "")
        return found, [*_returning(raised, node, found)]
    one = _assignment(raised, node)
    if one is None or not isinstance(one.value, ast.Call) or one.is_part:
        return None, []
    name = raised.text(node)
    found = _made(raised, one.value, name)
    first = raised.step_at(f"{name} is what `{_short(found.text)}` returned.", one.statement)
    return found, [first, *_returning(raised, one.value, found)]


def _short(text: str) -> str:
    return text if len(text) < 60 else text.partition("(")[0] + "(...)"


def _assignment(raised: Raised, node: ast.expr) -> Assigned | None:
    function = raised.function()
    before = raised.node.lineno
    for _ in range(_MOST_NAMES):
        if function is None or not isinstance(node, ast.Name):
            return None
        one = assigned(function, node.id, before)
        if one is None or not isinstance(one.value, ast.Name) or one.is_part:
            return one
        node, before = one.value, one.statement.lineno
    return None


def _made(raised: Raised, call: ast.Call, target: str) -> Made:
    function = raised.value(call.func)
    kind = type(function).__name__ if isinstance(function, nn.Module) else ""
    code = _code(function)
    return Made(
        text=raised.text(call),
        called=raised.text(call.func),
        type=kind,
        target=target,
        returns=_last_name(code) if code is not None and returns_nothing(code) else None,
    )


def _code(function: Any) -> CodeType | None:
    """Return the code of the author's that a call runs."""
    if isinstance(function, nn.Module):
        function = vars(type(function)).get("forward")
    if isinstance(function, Bound):
        function = function.function
    return function.__code__ if isinstance(function, FunctionType) else None


def returns_nothing(code: CodeType) -> bool:
    """Return whether a function has no `return` of a value."""
    steps = [step for step in dis.get_instructions(code) if step.opname != "NOP"]
    given = [before for before, step in pairwise(steps) if step.opname == "RETURN_VALUE"]
    given += [step for step in steps if step.opname == "RETURN_CONST"]
    is_generator = any(step.opname == "YIELD_VALUE" for step in steps)
    return not is_generator and all(_is_none(step) for step in given)


def _is_none(step: dis.Instruction) -> bool:
    return step.opname in ("LOAD_CONST", "RETURN_CONST") and step.argval is None


def _last_name(code: CodeType) -> str:
    """Return the name that the last line of a function assigns; "" where it assigns none."""
    found = definition(code)
    if found is not None:
        match found[1].body[-1]:
            case ast.Assign(targets=[ast.Name(id=name)]) | ast.AugAssign(target=ast.Name(id=name)):
                return name
    return ""


def _returning(raised: Raised, call: ast.Call, found: Made) -> Iterator[Step]:
    """Yield where a function is defined that returns nothing."""
    code = _code(raised.value(call.func))
    if found.returns is None or code is None:
        return
    known = definition(code)
    if known is not None:
        said = f"`{found.called}` returns nothing: {code.co_qualname} has no `return`."
        yield step_in(known[0], code, said, known[1])


def why_none(raised: Raised, node: ast.expr) -> tuple[str, list[Step]]:
    """Return the function that has a name as a parameter with its default, and the lines that say so.

    "" and the line that sets it where it is none.
    """
    text, function = raised.text(node), raised.function()
    if isinstance(node, ast.Attribute):
        return "", [*_set_to_none(raised, node)]
    if function is None or not isinstance(node, ast.Name):
        return "", []
    one = assigned(function, text, raised.node.lineno)
    if one is not None:
        is_none = isinstance(one.value, ast.Constant) and one.value.value is None
        return "", [raised.step_at(f"{text} is None.", one.statement)] if is_none else []
    taken = signature_of(function)
    if not any(parameter.name == text for parameter in taken):
        return "", []
    parameter = next(one for one in taken if one.name == text)
    name = f"{function.name}({', '.join(map(shown, taken))})"
    steps = []
    if parameter.default == "None":
        steps.append(raised.step_at(f"{text}=None is the default of {name}.", function))
    return name, [*steps, *_from_above(raised, text)]


def _from_above(raised: Raised, name: str) -> Iterator[Step]:
    """Yield the call that did not give it, or gave None."""
    above = raised.above
    found = node_at(above.site) if above is not None else None
    if above is None or found is None or not isinstance(found[1], ast.Call):
        return
    text = _short(found[0].text(found[1]))
    yield step_in(found[0], above.site.code, f"`{text}` gives it no {name}.", found[1])


def _set_to_none(raised: Raised, node: ast.Attribute) -> Iterator[Step]:
    """Yield the line of the class that sets an attribute to None."""
    found = set_in_class(raised, node)
    if found is not None:
        source, code, one = found
        said = f"{raised.text(node)} is set to {_short(source.text(one.value))}."
        yield step_in(source, code, said, one.statement)


def set_in_class(
    raised: Raised, node: ast.Attribute
) -> tuple[Expressions, CodeType, Assigned] | None:
    """Return the line of a constructor that sets an attribute, and in which source it is."""
    owner = raised.value(node.value)
    for kind in type(owner).__mro__ if owner is not LOST else ():
        init = vars(kind).get("__init__")
        known = definition(init.__code__) if isinstance(init, FunctionType) else None
        one = assigned(known[1], f"self.{node.attr}", 10**9) if known else None
        if known and one is not None and isinstance(init, FunctionType):
            return known[0], init.__code__, one
    return None
