"""A softmax whose axis is not the one that the probabilities are summed over."""

from __future__ import annotations

import re
from collections.abc import Iterator

from attntrace.analysis.traps.flow import Flow
from attntrace.analysis.traps.links import PERMUTING, PICKING, RESHAPING, shape
from attntrace.analysis.traps.products import Product, product_of
from attntrace.analysis.traps.said import called, trap
from attntrace.analysis.traps.walks import Use, uses
from attntrace.record import Fix, TensorRecord, Trap

NAME = "softmax-axis"
_MOST = 16
_THROUGH = (*PERMUTING, *RESHAPING, *PICKING)


def softmax_axis(flow: Flow) -> Iterator[Trap]:
    """Yield the softmaxes of scores that are not over the keys, and those over one number alone."""
    for row in flow.rows:
        rank = len(shape(row))
        if row.op != "softmax" or rank < 2 or row.arguments is None or not row.inputs:
            continue
        dim = row.arguments.get("dim")
        if dim is None:  # what torch takes then, with a warning of its own
            dim = 0 if rank == 3 else 1
        if not isinstance(dim, int):
            continue
        found = _against(flow, row, dim % rank)
        if found is not None:
            yield _trap(flow, row, dim % rank, found)


def _against(flow: Flow, row: TensorRecord, dim: int) -> Use | None:
    """Return the sum that shows that a softmax is over the wrong axis."""
    found = list(uses(flow, row))
    sums = [use for use in found if use.summed and use.weighted]
    if any(dim in use.summed for use in sums):
        return None
    if any(use.row.op == "sum" and not use.weighted for use in found):
        return None  # what divides by its own sum is made to add up to 1 there
    scores = _scores(flow, row)
    for use in sums:
        if scores is not None and use.product is not None:
            return use
        if shape(row)[dim] == 1 and any(shape(row)[axis] > 1 for axis in use.summed):
            return use
        if dim == 0 and dim in use.shared and shape(row)[dim] > 1:
            return use
    return None


def _scores(flow: Flow, row: TensorRecord) -> Product | None:
    """Return the product of two tensors that a softmax is of, scaled and masked or not."""
    rank = len(shape(row))
    for _ in range(_MOST):
        inputs = flow.inputs(row)
        product = product_of(row, inputs)
        if product is not None:
            both = {product.left.index, product.right.index} <= flow.dependent
            return product if both and len(shape(row)) >= min(rank, 2) else None
        if row.op in _THROUGH or len(inputs) == 1:
            same = inputs[:1]
        else:
            same = [one for one in inputs if one.shape == row.shape]
        if not same:
            return None
        row = same[0]
    return None


def _trap(flow: Flow, row: TensorRecord, dim: int, use: Use) -> Trap:
    scores = flow.inputs(row)[0]
    wanted = max(use.summed, key=lambda axis: shape(row)[axis])
    rank = len(shape(row))
    place = -1 if wanted == rank - 1 else wanted
    unsaid = (row.arguments or {}).get("dim") is None
    why = f"no dim is given, and torch takes {dim} of {rank} axes; " if unsaid else ""
    rule = (
        f"{why}softmax over dim {dim} of {called(scores)} makes the {shape(row)[dim]} numbers along "
        f"{_what(flow, row, dim)} add up to 1, but `{use.row.name}` sums over dim {wanted}, the "
        f"{shape(row)[wanted]} keys"
    )
    if shape(row)[dim] == 1:
        rule = (
            f"{why}softmax over dim {dim} of {called(scores)}, of size 1, makes every weight 1.0, and "
            f"`{use.row.name}` sums over dim {wanted}, the {shape(row)[wanted]} keys"
        )
    code = _with_dim(row.line or "", place) or f"{scores.name}.softmax(dim={place})"
    said = f"take the softmax over the keys: dim={place}"
    if place == -1:
        said += f", which is dim={wanted} here"
    return trap(NAME, row, [scores], rule, [Fix(said=said, code=code)])


def _what(flow: Flow, row: TensorRecord, dim: int) -> str:
    """Return what an axis of scores is, as far as the product tells."""
    product, rank = _scores(flow, row), len(shape(row))
    if product is None or len(product.labels[2]) != rank or len(shape(product.row)) != rank:
        return "the batch" if dim == 0 else f"dim {dim}"
    label = product.labels[2][dim]
    if label in product.batched:
        return "the batch" if dim == 0 else "the heads"
    return "the queries" if label in product.labels[0] else "the keys"


def _with_dim(line: str, place: int) -> str | None:
    """Return the line with another dim, where it says one in the usual way."""
    changed, count = re.subn(r"(softmax\([^()]*\bdim\s*=\s*)-?\d+", rf"\g<1>{place}", line)
    if not count:
        changed, count = re.subn(
            r"(\.softmax\(\s*|softmax\([^(),]+,\s*)-?\d+(?=\s*[,)])", rf"\g<1>{place}", line
        )
    return changed if count == 1 else None
