"""A check of the author's own that refused: what its sides are, and what would pass it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from attntrace.analysis.diagnosis.call import Culprit, Explained, FailedCall, Given, Proposal
from attntrace.analysis.diagnosis.python.facts import Checked, Side
from attntrace.analysis.diagnosis.text import divided, listed, sizes
from attntrace.analysis.diagnosis.writing import wrapped, written

_MOST_SIDES = 5
_PLAIN = (int, float, str, bool, type(None))


def explain(call: FailedCall) -> Explained | None:
    """Return what the sides of a check came to; None for other calls."""
    about = call.about
    if not isinstance(about, Checked):
        return None
    sides = [text for side in about.sides if (text := _said(side)) is not None][:_MOST_SIDES]
    shown = f": {listed(sides)}" if sides else ""
    if about.is_wanted:
        rule = f"The code itself asks for `{about.text}`, which does not hold{_rest(call)}{shown}."
    else:
        rule = f"The code itself refuses `{about.text}`, which holds{_rest(call)}{shown}."
    tensor, dim = call[0], call[1]
    culprits = []
    if isinstance(tensor, Given) and isinstance(dim, int) and tensor.rank:
        culprits.append(Culprit(tensor=tensor, dim=dim))
    return Explained(rule=rule, culprits=tuple(culprits), proposals=tuple(_ways(call)))


def _said(side: Side) -> str | None:
    """Return what a side of a check came to; None where that says nothing."""
    value = side.value
    if isinstance(value, Given):
        return f"{side.text} has shape {sizes(value.shape)}" if value.shape is not None else None
    if isinstance(value, str) and value.startswith("torch."):
        return None if side.text.startswith("torch.") else f"{side.text} is {value}"
    if type(value) in _PLAIN:
        return f"{side.text} is {value!r}"
    if isinstance(value, (tuple, list)) and all(type(one) in _PLAIN for one in value):
        return f"{side.text} is {value!r}"
    return f"{side.text} is a {value.strip('<>')}" if isinstance(value, str) else None


def _size(call: FailedCall) -> tuple[Given, int | None, str, int] | None:
    """Return the tensor, the dim, None for its rank, the sign and the number that are compared."""
    if len(call.args) != 4 or not isinstance(call.args[0], Given):
        return None
    tensor, dim, sign, number = call.args
    return tensor, dim, sign, number


def _rest(call: FailedCall) -> str:
    """Return how a number divides where that is what is checked: ", 8 = 3*2 + 2"."""
    found = _size(call)
    tensor, dim, sign, number = found or (None, None, "", 0)
    if tensor is None or dim is None or sign != "%" or not number:
        return ""
    return f", {divided((tensor.shape or ())[dim], number)}"


def _ways(call: FailedCall) -> Iterator[Proposal]:
    found = _size(call)
    if found is None:
        return
    tensor, dim, sign, number = found
    if dim is None:
        yield from _ranked(call, tensor, number)
        return
    size = (tensor.shape or ())[dim]
    if sign == "==":
        yield from _turned(call, tensor, (dim, number))
    if sign in ("<=", "<"):
        most = number if sign == "<=" else number - 1
        if 0 < most < size:
            cut = tensor.then("narrow", dim, 0, most)
            yield Proposal(
                said=f"cut {tensor.name} to {most} before: `{written(cut)}`",
                code=f"{tensor.name} = {written(cut)}",
                call=call.at({0: cut}),
            )
    yield from _set(call, (size, sign, number))


def _turned(call: FailedCall, tensor: Given, wanted: tuple[int, int]) -> Iterator[Proposal]:
    """Bring the axis of the wanted size to where it is asked for."""
    dim, number = wanted
    for other, size in enumerate(tensor.shape or ()):
        if size == number and other != dim:
            low, high = sorted((other, dim))
            text = f"{wrapped(tensor.name)}.transpose({low}, {high})"
            yield Proposal(
                said=f"the size {number} is at axis {other}, swap it with axis {dim}: `{text}`",
                code=f"{tensor.name} = {text}",
                call=call.at({0: tensor.then("transpose", low, high)}),
            )
            return


def _ranked(call: FailedCall, tensor: Given, number: int) -> Iterator[Proposal]:
    text = wrapped(tensor.name)
    if tensor.rank + 1 == number:
        shape = sizes((1, *(tensor.shape or ())))
        yield Proposal(
            said=f"add the axis that it lacks: `{text}.unsqueeze(0)` has shape {shape}",
            code=f"{tensor.name} = {text}.unsqueeze(0)",
            call=call.at({0: tensor.then("unsqueeze", 0)}),
        )
    elif tensor.rank == number + 1:
        yield Proposal(
            said=f"fold two axes into one: `{text}.flatten(0, 1)`",
            code=f"{tensor.name} = {text}.flatten(0, 1)",
            call=call.at({0: tensor.then("flatten", 0, 1)}),
        )


def _set(call: FailedCall, compared: tuple[int, str, int]) -> Iterator[Proposal]:
    """Give the module the number that fits, or the tensor the size that is asked for."""
    size, sign, number = compared
    span = call.spans.get(3)
    text = call.text[slice(*span)] if span else ""
    needed: Any = size
    if sign == "%":
        fits = [n for n in range(1, size + 1) if size % n == 0]
        needed = min(fits, key=lambda n: (abs(n - number), n))
    if text.startswith("self.") and text.count(".") == 1 and sign in ("==", "<=", "%"):
        name = text.removeprefix("self.")
        yield Proposal(said=f"build the module with {name}={needed}", call=call.at({3: needed}))
    tensor: Given = call[0]
    asked = {"==": f"{number}", "<=": f"at most {number}", ">=": f"at least {number}",
             "<": f"less than {number}", ">": f"more than {number}",
             "%": f"a multiple of {number}"}.get(sign)  # fmt: skip
    if asked is not None:
        dim = call[1]
        yield Proposal(
            said=f"hand over {tensor.name} with {asked} at axis {dim}, where it has {size}"
        )
