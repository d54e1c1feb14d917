"""What calls tell of the axes that they were given: this one is the batch, that one the positions.

A convolution has its batch on axis 0, pooling leaves the batch, learned positions are the same for
every sample, and so on. Nobody calls a function for its axes' sake, so none of it is proof: what is
told of one axis by several calls must agree before anything is said.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal, NamedTuple

from attntrace.analysis.traps.axes import Axis
from attntrace.analysis.traps.flow import Flow
from attntrace.analysis.traps.links import (
    CONVOLVING,
    PICKING,
    POOLING,
    RECURRENT,
    REDUCING,
    reduced,
    shape,
)
from attntrace.analysis.traps.products import product_of
from attntrace.analysis.traps.views import blocks, picked
from attntrace.record import ModuleRecord, TensorRecord

Role = Literal["batch", "positions"]
ADDING = ("add", "iadd", "radd", "cat", "concat")
SPREADING = ("expand", "repeat", "expand_as", "broadcast_to", "tile")
FLATTENING = ("flatten", "reshape", "view")
SPATIAL = {
    **{name: int(name[-2]) for name in (*CONVOLVING, *POOLING)},
    "batch_norm": 0,
}  # fmt: skip
"""How many axes behind batch and channels these calls work on; `batch_norm` takes any number."""
MOSTLY = 3
"""Of tensors with so many axes, (batch, positions, features) or (positions, batch, features)."""


class Evidence(NamedTuple):
    """What one call tells of one axis."""

    axis: Axis
    role: Role
    row: TensorRecord
    said: str
    """What the call does with the axis."""


def evidence(flow: Flow) -> Iterator[Evidence]:
    """Yield what every call of a forward tells, in order."""
    for row in flow.rows:
        inputs = flow.inputs(row)
        yield from _spatial(row, inputs)
        yield from _reduced(row, inputs)
        yield from _picked(row, inputs)
        yield from _added(flow, row, inputs)
        yield from _spread(flow, row)
        yield from _flattened(row, inputs)
        yield from _attended(row, inputs)
    for module in flow.trace.modules:
        yield from _declared(flow, module)


def _spatial(row: TensorRecord, inputs: list[TensorRecord]) -> Iterator[Evidence]:
    """A convolution's input is (batch, channels, positions ...)."""
    behind = SPATIAL.get(row.op)
    if behind is None or not inputs or (behind and len(shape(row)) != behind + 2):
        return
    said = f"`{row.op}` has its batch on axis 0"
    yield Evidence((inputs[0].index, 0), "batch", row, said)
    for axis in range(2, len(shape(row))):
        yield Evidence((inputs[0].index, axis), "positions", row, said)


def _reduced(row: TensorRecord, inputs: list[TensorRecord]) -> Iterator[Evidence]:
    """What is pooled over is not the batch."""
    if row.op not in REDUCING or not inputs or len(shape(inputs[0])) != MOSTLY:
        return
    over = reduced(row, inputs[0])
    if over is not None and len(over) == 1 and over[0] < MOSTLY - 1:
        said = f"`{row.name}` pools over axis {over[0]}"
        yield Evidence((inputs[0].index, over[0]), "positions", row, said)


def _picked(row: TensorRecord, inputs: list[TensorRecord]) -> Iterator[Evidence]:
    """One position is picked out of all; who picks sample 0 or -1 mostly means a position, too."""
    if row.op not in PICKING or row.origin != "view" or not inputs:
        return
    before = len(shape(inputs[0]))
    pairs = [old for _, old in picked(row, inputs[0])]
    gone = [axis for axis in range(before) if axis not in pairs]
    if before == MOSTLY and len(shape(row)) == len(pairs) == before - 1 and gone[0] < before - 1:
        said = f"`{row.name}` picks from axis {gone[0]}"
        yield Evidence((inputs[0].index, gone[0]), "positions", row, said)


def _added(flow: Flow, row: TensorRecord, inputs: list[TensorRecord]) -> Iterator[Evidence]:
    """What comes from parameters alone is the same for every sample: positions, a class token."""
    own = [one for one in inputs if one.index in flow.dependent]
    if row.op not in ADDING or len(own) != 1 or len(shape(row)) != MOSTLY:
        return
    given = [one for op in flow.ops.get(row.index, [])[:1] for one in op.inputs if one is not None]
    others = [one for one in given if one != own[0].shape]
    if row.op in ("cat", "concat"):
        longer = [n for n in (0, 1) if shape(row)[n] != shape(own[0])[n]]
        if longer == [1] and len(others) == 1:
            said = f"`{row.name}` adds a token along axis 1"
            yield Evidence((own[0].index, 1), "positions", row, said)
        return
    for other in others:
        full = (1,) * (MOSTLY - len(other)) + other
        shared = [n for n in (0, 1) if full[n] == shape(row)[n] != 1]
        spread = [n for n in (0, 1) if full[n] == 1]
        if len(shared) == len(spread) == 1 and full[-1] == shape(row)[-1]:
            said = f"the positions in `{row.name}` lie along axis {shared[0]}"
            yield Evidence((own[0].index, spread[0]), "batch", row, said)
            yield Evidence((own[0].index, shared[0]), "positions", row, said)


def _spread(flow: Flow, row: TensorRecord) -> Iterator[Evidence]:
    """A parameter is repeated for every sample."""
    if row.op not in SPREADING or row.index in flow.dependent or len(shape(row)) != MOSTLY:
        return
    before = next((op.inputs[0] for op in flow.ops.get(row.index, []) if op.inputs), None) or ()
    before = (1,) * (MOSTLY - len(before)) + before
    wider = [axis for axis in range(MOSTLY) if before[axis] == 1 != shape(row)[axis]]
    if len(wider) == 1 and wider[0] < MOSTLY - 1:
        said = f"`{row.name}` repeats along axis {wider[0]}"
        yield Evidence((row.index, wider[0]), "batch", row, said)


def _flattened(row: TensorRecord, inputs: list[TensorRecord]) -> Iterator[Evidence]:
    """Who makes one vector of each sample leaves the batch as it is."""
    if row.op not in FLATTENING or not inputs or len(shape(inputs[0])) != MOSTLY:
        return
    if list(blocks(shape(inputs[0]), shape(row))) == [([0], [0]), ([1, 2], [1])]:
        said = f"`{row.name}` makes one vector of each index of axis 0"
        yield Evidence((inputs[0].index, 0), "batch", row, said)
        yield Evidence((inputs[0].index, 1), "positions", row, said)


def _attended(row: TensorRecord, inputs: list[TensorRecord]) -> Iterator[Evidence]:
    """Attention with heads is (batch, heads, positions, features); products of three axes likewise."""
    said = f"`{row.op}` has its batch on axis 0"
    found = product_of(row, inputs) if row.op in ("bmm", "matmul") else None
    if row.op == "scaled_dot_product_attention":
        factors = inputs[:3]
    else:
        factors = [found.left, found.right] if found else []
    for one in factors:
        if len(shape(one)) >= MOSTLY and len(shape(row)) == len(shape(one)):
            yield Evidence((one.index, 0), "batch", row, said)


def _declared(flow: Flow, module: ModuleRecord) -> Iterator[Evidence]:
    """What was made with batch_first=True was told so; False is what nobody may have thought of."""
    if not module.batch_first:
        return
    said = f"`{module.path or module.type}` was made with batch_first=True"
    for index in module.inputs:
        row = flow.row(index)
        if len(shape(row)) == MOSTLY and (
            module.type not in RECURRENT or index == module.inputs[0]
        ):
            yield Evidence((index, 0), "batch", row, said)
            yield Evidence((index, 1), "positions", row, said)
