"""Masks whose numbers do not fit the format or hide nothing, and masks the wrong way round."""

from __future__ import annotations

import math
from collections.abc import Iterator

from attntrace.analysis.traps.flow import Flow
from attntrace.analysis.traps.links import PERMUTING, PICKING, RESHAPING, shape
from attntrace.analysis.traps.said import called, trap
from attntrace.record import LATER, Fix, TensorRecord, Trap

NAME, INVERTED = "mask-fill", "mask-inverted"
LARGEST = {"float16": 65504.0, "bfloat16": 3.3895313892515355e38, "float32": 3.4028234663852886e38}
"""`torch.finfo(dtype).max`."""
FILLING = {
    "masked_fill": "value", "masked_fill_": "value", "where": "other", "mul": "other",
    "full": "fill_value", "full_like": "fill_value",
}  # fmt: skip
"""The calls by which masks are made, and which argument the number is."""
CASTING = ("to", "half", "type", "type_as")
MOVING = (
    *PERMUTING,
    *RESHAPING,
    *PICKING,
    "triu",
    "tril",
    "expand",
    "repeat",
    "masked_fill",
    "add",
)
WEAKEST = -5.0
"""Where a masked score stands beside others near 0, exp(-5) = 0.7 % of the weight is left to it."""


def mask_fill(flow: Flow) -> Iterator[Trap]:
    """Yield the masks whose number overflows to -inf, and those before a softmax that let through."""
    for row in flow.rows:
        argument = FILLING.get(row.op)
        if argument is None or row.arguments is None:
            continue
        value = row.arguments.get(argument)
        if row.op == "where" and value is None:
            value = row.arguments.get("input")
        if isinstance(value, bool) or not isinstance(value, int | float) or math.isinf(value):
            continue
        narrow = _narrowest(flow, row, value)
        if narrow is not None:
            yield _overflow(flow, narrow, value)
        elif row.op.startswith("masked_fill") and value > WEAKEST and _into_softmax(flow, row):
            yield _weak(flow, row, value)


def mask_inverted(flow: Flow) -> Iterator[Trap]:
    """Yield the attention whose mask of bool, True for what takes part, has only later keys."""
    for row in flow.rows:
        if (row.arguments or {}).get("attn_mask") == LATER:
            inputs = flow.inputs(row)
            masks = [one for one in inputs if one.dtype == "bool"][-1:]
            name = masks[0].name if masks else "attn_mask"
            what = called(masks[0]) if masks else "attn_mask"
            rule = (
                f"{what} is True above the diagonal alone, and True says which keys take part: each "
                f"query of {called(inputs[0])} sees only the keys behind it, and the last sees none"
            )
            fixes = [
                Fix(said=f"turn it round, ~{name}: logical_not", code=f"attn_mask=~{name}"),
                Fix(said="or build it with tril, or leave it out and pass is_causal=True"),
            ]
            yield trap(INVERTED, row, [*inputs[:1], *masks], rule, fixes)


def _narrowest(flow: Flow, row: TensorRecord, value: float) -> TensorRecord | None:
    """Return where a number no longer fits: in the row itself, or where it is cast further on."""
    left = [row]
    for one in left:
        if abs(value) > LARGEST.get(one.dtype, math.inf):
            return one
        users = flow.users.get(one.index, []) if abs(value) > LARGEST["float16"] else []
        left += [
            user
            for user in users
            if user not in left
            and (user.op in CASTING or (user.op in MOVING and user.dtype == one.dtype))
        ]
    return None


def _into_softmax(flow: Flow, row: TensorRecord) -> bool:
    """Return whether nothing but a softmax, right behind, takes it, and it hides some of the last axis."""
    users = flow.users.get(row.index, [])
    return bool(users) and all(user.op == "softmax" for user in users)


def _overflow(flow: Flow, row: TensorRecord, value: float) -> Trap:
    end = math.copysign(LARGEST[row.dtype], value)
    rule = (
        f"{value:g} does not fit {row.dtype}, whose numbers end at {end:g}: it becomes "
        f"{'-inf' if value < 0 else 'inf'} in `{row.name}` {shape(row)}, and a row that is masked "
        "whole becomes NaN in the softmax"
    )
    fixes = [
        Fix(
            said=f"fill with the smallest number of the format: torch.finfo({row.name}.dtype).min",
            code=f"torch.finfo({row.name}.dtype).min",
        ),
        Fix(said="or mask in float32, scores.float(), and go back to half precision behind it"),
    ]
    return trap(NAME, row, [*flow.inputs(row), row], rule, fixes)


def _weak(flow: Flow, row: TensorRecord, value: float) -> Trap:
    scores = flow.inputs(row)[0]
    rule = (
        f"a score of {value:g} is not hidden: beside scores near 0 its weight in the softmax is "
        f"exp({value:g}) = {math.exp(min(value, 700)):.3g}, in {called(scores)}"
    )
    fixes = [
        Fix(
            said='fill with float("-inf"), or with torch.finfo(scores.dtype).min where a row may be '
            "masked whole",
            code=f'{scores.name}.masked_fill(mask, float("-inf"))',
        )
    ]
    return trap(NAME, row, [scores], rule, fixes)
