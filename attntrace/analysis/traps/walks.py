"""From a tensor on to what is made of it, each of its axes followed through."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from attntrace.analysis.traps.flow import Flow
from attntrace.analysis.traps.links import REDUCING, links, reduced, shape
from attntrace.analysis.traps.products import Product, product_of
from attntrace.record import TensorRecord

Places = dict[int, int]
"""Which axis of a row is which axis of the tensor that a walk began with."""
_MOST = 64


@dataclass(frozen=True, slots=True)
class Use:
    """One call that sums over axes of a tensor, or of what was made of it."""

    row: TensorRecord
    product: Product | None
    summed: frozenset[int]
    """The axes of the tensor, as it was, that are summed over."""
    shared: frozenset[int]
    """The axes that the other factor and the result have, too."""
    weighted: bool
    """Whether another tensor was multiplied with it."""


def uses(flow: Flow, start: TensorRecord) -> Iterator[Use]:
    """Yield the sums over axes of a tensor, directly or after calls that leave its axes alone."""
    left: list[tuple[TensorRecord, Places, bool]] = [
        (start, {axis: axis for axis in range(len(shape(start)))}, False)
    ]
    seen = {start.index}
    while left and len(seen) < _MOST:
        one, places, weighted = left.pop(0)
        for user in flow.users.get(one.index, []):
            product = product_of(user, flow.inputs(user))
            if product is not None:
                yield _product_use(product, one, places)
            elif user.op in REDUCING:
                over = reduced(user, one) or []
                summed = frozenset(places[axis] for axis in over if axis in places)
                yield Use(user, None, summed, frozenset(places.values()) - summed, weighted)
            elif user.index not in seen:
                seen.add(user.index)
                other = any(index != one.index for index in user.inputs)
                times = user.op in ("mul", "imul") and other
                left.append((user, _places(flow, user, one, places), weighted or times))


def _places(flow: Flow, user: TensorRecord, one: TensorRecord, places: Places) -> Places:
    found = links(user, flow.inputs(user))
    return {new: places[old] for new, index, old in found if index == one.index and old in places}


def _product_use(product: Product, one: TensorRecord, places: Places) -> Use:
    side = 0 if product.left.index == one.index else 1
    labels = product.labels[side]
    known = {labels[axis]: place for axis, place in places.items() if axis < len(labels)}
    return Use(
        product.row,
        product,
        frozenset(known[label] for label in product.summed if label in known),
        frozenset(known[label] for label in product.batched if label in known),
        weighted=True,
    )
