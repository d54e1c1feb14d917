"""Number formats: operands that are not of one, ids that are no integers, masks that are no bools."""

from __future__ import annotations

from collections.abc import Callable

from attntrace.analysis.diagnosis.call import Explained, FailedCall, Given, Key, Proposal
from attntrace.analysis.diagnosis.kinds import dtype_rules as rules
from attntrace.analysis.diagnosis.kinds.dtype_mixed import mixed, stored, unholdable
from attntrace.analysis.diagnosis.kinds.dtype_rules import bare, is_float, is_whole
from attntrace.analysis.diagnosis.text import listed, names_of, ticked
from attntrace.analysis.diagnosis.writing import changed, written


def explain(call: FailedCall) -> Explained | None:
    """Return which tensor is of a format that the op does not take."""
    return next((found for check in CHECKS if (found := check(call)) is not None), None)


def _cast(call: FailedCall, key: Key, tensor: Given, method: str, said: str) -> Proposal:
    cast = tensor.then(method)
    return changed(call, f"{said}: `{written(cast)}`", {key: cast})


def _indices(call: FailedCall) -> Explained | None:
    op = bare(call.op)
    slot = rules.INDICES.get(op)
    one = call.argument(*slot) if slot else None
    allowed = {"int64"} if op in rules.LONG_ONLY else {"int64", "int32"}
    if slot is None or not isinstance(one, Given) or one.dtype in allowed:
        return None
    rule = f"`{call.op}` takes {' or '.join(sorted(allowed))}, and {one.name} is {one.dtype}."
    fix = _cast(call, call.key(*slot), one, "long", "cast to int64")
    return Explained(rule=rule, proposals=(fix,))


def _wholes(call: FailedCall) -> Explained | None:
    """Return that an op takes floats alone."""
    value = call.argument(0, "input")
    op = bare(call.op)
    if op not in rules.FLOATS or not isinstance(value, Given) or not is_whole(value.dtype):
        return None
    wholes = {
        key: one for key, one in call.tensors() if is_whole(one.dtype) and one.dtype != "bool"
    }
    wholes[call.key(0, "input")] = value
    rule = f"`{call.op}` takes floats, and {names_of(wholes.values())} "
    rule += f"{'are' if len({one.name for one in wholes.values()}) > 1 else 'is'} {value.dtype}."
    casts = {key: one.then("float") for key, one in wholes.items()}
    said = f"cast to float32 first: {ticked(map(written, casts.values()))}"
    return Explained(rule=rule, proposals=(changed(call, said, casts),))


def _narrow(call: FailedCall) -> Explained | None:
    """Return that an op takes no 16 bits."""
    short = [(key, one) for key, one in call.tensors() if one.dtype in {"float16", "bfloat16"}]
    if not call.op.startswith(rules.WIDE) or not short:
        return None
    rule = (
        f"`{call.op}` takes float32 or float64, and "
        f"{listed(dict.fromkeys(f'{one.name} is {one.dtype}' for _, one in short))}."
    )
    casts = {key: one.then("float") for key, one in short}
    said = f"cast to float32 for this step: {ticked(map(written, casts.values()))}"
    return Explained(rule=rule, proposals=(changed(call, said, casts),))


def _complex(call: FailedCall) -> Explained | None:
    numbers = [(key, one) for key, one in call.tensors() if one.dtype.startswith("complex")]
    if bare(call.op) not in rules.REAL or not numbers:
        return None
    key, one = numbers[0]
    rule = f"`{call.op}` is not defined for complex numbers, and {one.name} is {one.dtype}."
    said = "take the absolute value, or the .real part, first"
    return Explained(rule=rule, proposals=(_cast(call, key, one, "abs", said),))


def _overflow(call: FailedCall) -> Explained | None:
    """Return that a number to fill with is larger than the format holds."""
    x, place = call.argument(0, "input"), {"masked_fill": 2, "fill": 1}.get(bare(call.op))
    value = call.argument(place, "value") if place else None
    if place is None or not isinstance(x, Given) or not isinstance(value, (int, float)):
        return None
    most, key = rules.LARGEST.get(x.dtype), call.key(place, "value")
    if is_float(x.dtype) and (most is None or abs(value) <= most or abs(value) == float("inf")):
        return None
    if is_whole(x.dtype):
        if value not in {float("inf"), float("-inf")}:
            return None
        rule = f"`{call.op}` cannot write {value} into {x.name}, {x.dtype}: only floats have it."
        casts = {call.key(0, "input"): x.then("float")}
        said = f"cast it first: `{written(x.then('float'))}`"
        return Explained(rule=rule, proposals=(changed(call, said, casts),))
    rule = (
        f"`{call.op}` writes {value:g} into {x.name}, {x.dtype}, whose largest number is {most:g}."
    )
    text = f"torch.finfo({x.name}.dtype).{'min' if value < 0 else 'max'}"
    limit = -(most or 0.0) if value < 0 else most
    said = f"fill with what the format holds, {limit:g}: `{text}`"
    return Explained(rule=rule, proposals=(changed(call, said, {key: limit}, {key: text}),))


CHECKS: tuple[Callable[[FailedCall], Explained | None], ...] = (
    _indices,
    _wholes,
    _narrow,
    _complex,
    _overflow,
    stored,
    mixed,
    unholdable,
)
