"""Attention of several queries over one key, whose weight is 1 whatever the queries are."""

from __future__ import annotations

from collections.abc import Iterator

from attntrace.analysis.traps.evidence import MOSTLY
from attntrace.analysis.traps.flow import Flow
from attntrace.analysis.traps.lengths import calls_of, operands_of
from attntrace.analysis.traps.links import shape
from attntrace.analysis.traps.products import product_of
from attntrace.analysis.traps.said import called, trap
from attntrace.record import Fix, TensorRecord, Trap

NAME = "one-key"
_MODULE = "multi_head_attention_forward"
_MASKING = ("masked_fill", "masked_fill_", "where", "add", "div", "mul", "softmax")


def one_key(flow: Flow) -> Iterator[Trap]:
    """Yield the attention in which many queries all read the one key that there is."""
    yield from _of_modules(flow)
    for _, row, (q, k, v) in calls_of(flow):
        if k[-2] == v[-2] == 1 < q[-2] and row.op != _MODULE:
            yield _trap(row, operands_of(flow, row, (q, k)), q[-2])
    for row in flow.rows:
        dim = (row.arguments or {}).get("dim")
        if row.op == "softmax" and dim in (-1, len(shape(row)) - 1) and shape(row)[-1:] == (1,):
            pair = _factors(flow, row)
            if pair and shape(pair[0])[-2] > 1:
                yield _trap(row, pair, shape(pair[0])[-2])


def _of_modules(flow: Flow) -> Iterator[Trap]:
    """Yield the same of nn.MultiheadAttention, which was handed the two before it split heads."""
    for module in flow.trace.modules:
        given = [flow.row(index) for index in dict.fromkeys(module.inputs)][:2]
        if module.type != "MultiheadAttention" or len(given) < 2 or not module.outputs:
            continue
        steps = 1 if module.batch_first else 0
        if all(len(shape(one)) == MOSTLY for one in given):
            queries, keys = (shape(one)[steps] for one in given)
            if keys == 1 < queries:
                yield _trap(flow.row(module.outputs[0]), given, queries)


def _factors(flow: Flow, row: TensorRecord) -> list[TensorRecord]:
    """Return the two tensors that scores are the product of, scaled and masked or not."""
    while row.op in _MASKING:
        same = [one for one in flow.inputs(row) if one.shape == row.shape]
        if not same:
            return []
        row = same[0]
    product = product_of(row, flow.inputs(row))
    both = product is not None and {product.left.index, product.right.index} <= flow.dependent
    return [product.left, product.right] if product is not None and both else []


def _trap(row: TensorRecord, operands: list[TensorRecord], queries: int) -> Trap:
    names = " and ".join(map(called, operands))
    rule = (
        f"{queries} queries read 1 key, of {names}: the softmax over a single key gives it the "
        "weight 1, so every query gets the same value, whatever it asks"
    )
    swap = Fix(
        said=f"if the two are swapped, check the argument order (query, key, value): 1 query is to "
        f"read {queries} keys"
    )
    return trap(NAME, row, operands, rule, [swap])
