"""Attention between the heads of each token: split off, and never transposed."""

from __future__ import annotations

from collections.abc import Iterator

from attntrace.analysis.traps.axes import Axis
from attntrace.analysis.traps.flow import Flow
from attntrace.analysis.traps.links import shape
from attntrace.analysis.traps.products import product_of
from attntrace.analysis.traps.said import called, trap
from attntrace.analysis.traps.views import blocks
from attntrace.record import Fix, TensorRecord, Trap

NAME = "heads-attention"
SPLITTING = ("view", "reshape", "unflatten", "view_as")
RANK = 4


def heads_attention(flow: Flow) -> Iterator[Trap]:
    """Yield the attention over (batch, tokens, heads, width), which is between heads."""
    pairs = [(row, pair) for row in flow.rows if (pair := _factors(flow, row)) is not None]
    split = list(_heads(flow)) if pairs else []
    counts = {shape(flow.row(row))[axis] for row, axis in split}
    likely = [(row, pair) for row, pair in pairs if all(shape(one)[-2] in counts for one in pair)]
    heads = {flow.axes.one(axis) for axis in split} if likely else set()
    for row, pair in likely:
        if all(flow.axes.one((one.index, RANK - 2)) in heads for one in pair):
            yield _trap(flow, row, pair)


def _factors(flow: Flow, row: TensorRecord) -> tuple[TensorRecord, TensorRecord] | None:
    """Return the queries and the keys of an attention with four axes, keys by rows."""
    inputs = flow.inputs(row)
    if row.op == "scaled_dot_product_attention" and inputs:
        pair = inputs[0], inputs[min(1, len(inputs) - 1)]
    elif (product := product_of(row, inputs)) is not None and row.op != "einsum":
        pair = product.left, _turned_back(flow, product.right)
    else:
        return None
    return pair if all(len(shape(one)) == RANK for one in (*pair, row)) else None


def _turned_back(flow: Flow, row: TensorRecord) -> TensorRecord:
    """Return the keys that were transposed for a product."""
    sides = shape(row)[-2:]
    for one in flow.inputs(row)[:1]:
        if row.op in ("transpose", "mT", "swapaxes", "permute") and shape(one)[-2:] == sides[::-1]:
            return one
    return row


def _heads(flow: Flow) -> Iterator[Axis]:
    """Yield the axes that were split off features, but for those that hold a head's own."""
    for row in flow.rows:
        inputs = flow.inputs(row)
        if row.op in SPLITTING and inputs:
            last = len(shape(inputs[0])) - 1
            for old, new in blocks(shape(inputs[0]), shape(row)):
                if old == [last] and len(new) > 1:
                    yield from ((row.index, axis) for axis in new[:-1])


def _trap(flow: Flow, row: TensorRecord, pair: tuple[TensorRecord, TensorRecord]) -> Trap:
    q = pair[0]
    _, tokens, heads, width = shape(q)
    rule = (
        f"{called(q)} has its {heads} heads of {width} where the {tokens} tokens should be, so each "
        f"token attends between its own {heads} heads and to no other token"
    )
    fix = Fix(
        said=f"put the heads before the tokens: transpose(1, 2), giving (B, {heads}, {tokens}, "
        f"{width}), of q, k and v, and turn the result back",
        code=f"{q.name}.transpose(1, 2)",
    )
    return trap(NAME, row, [*pair, *flow.inputs(row)[2:3]], rule, [fix])
