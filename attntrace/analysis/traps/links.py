"""From the axes of a row to those of the rows that its call took: which are one and the same."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from attntrace.analysis.traps.products import MATMUL, product_of
from attntrace.analysis.traps.views import kept, permuted, picked
from attntrace.record import Shape, TensorRecord

Link = tuple[int, int, int]
"""An axis of the row, the number of a row that it took, and the axis of that."""
Rows = list[TensorRecord]

PERMUTING = ("transpose", "permute", "t", "T", "mT", "swapaxes", "swapdims", "movedim", "moveaxis")
RESHAPING = (
    "view",
    "reshape",
    "flatten",
    "unflatten",
    "view_as",
    "reshape_as",
    "squeeze",
    "unsqueeze",
)
PICKING = ("getitem", "select", "unbind")
REDUCING = ("mean", "sum", "amax", "amin", "logsumexp", "prod", "std", "var", "max", "min", "norm")
CONVOLVING = ("conv1d", "conv2d", "conv3d", "conv_transpose1d", "conv_transpose2d")
POOLING = (
    "avg_pool1d", "avg_pool2d", "max_pool1d", "max_pool2d", "adaptive_avg_pool1d",
    "adaptive_avg_pool2d", "adaptive_max_pool1d", "adaptive_max_pool2d",
)  # fmt: skip
RECURRENT = ("lstm", "gru", "rnn_tanh", "rnn_relu", "LSTM", "GRU", "RNN")
ATTENDING = (
    "multi_head_attention_forward", "MultiheadAttention", "TransformerEncoder",
    "TransformerEncoderLayer", "TransformerDecoder", "TransformerDecoderLayer", "Transformer",
    "scaled_dot_product_attention",
)  # fmt: skip
PLACED = (
    "cat",
    "concat",
    "concatenate",
    "chunk",
    "split",
    "narrow",
    "pad",
    "interpolate",
    "roll",
    *POOLING,
)


def links(row: TensorRecord, inputs: Rows) -> Iterator[Link]:
    """Yield the axes of a row with those that they come from, as far as that can be told."""
    if row.shape is not None and all(one.shape is not None for one in inputs):
        yield from _LINKS.get(row.op, _broadcast)(row, inputs)


def shape(row: TensorRecord) -> Shape:
    """Return a row's shape; () of a nested tensor, which has none."""
    return row.shape or ()


def reduced(row: TensorRecord, source: TensorRecord) -> list[int] | None:
    """Return the axes that a reduction is over; None where that cannot be told."""
    dims = (row.arguments or {}).get("dim")
    rank = len(shape(source))
    if isinstance(dims, int):
        dims = (dims,)
    if isinstance(dims, tuple) and dims:
        return [dim % rank for dim in dims if isinstance(dim, int)]
    if len(shape(row)) == rank - 1:
        found = [n for n in range(rank) if _without(shape(source), n) == shape(row)]
        return found if len(found) == 1 else None
    return list(range(rank)) if shape(row) == () else None


def _without(sizes: Shape, axis: int) -> Shape:
    return sizes[:axis] + sizes[axis + 1 :]


def _broadcast(row: TensorRecord, inputs: Rows) -> Iterator[Link]:
    """Link what stands at the same place from the right, as operators broadcast."""
    out = shape(row)
    for one in inputs:
        offset = len(out) - len(shape(one))
        if offset >= 0:
            for axis, size in enumerate(shape(one)):
                if out[axis + offset] == size:
                    yield axis + offset, one.index, axis


def _placed(row: TensorRecord, inputs: Rows) -> Iterator[Link]:
    """Link what stands at the same place, however its size changed."""
    for one in inputs:
        if len(shape(one)) == len(shape(row)):
            yield from ((axis, one.index, axis) for axis in range(len(shape(row))))


def _linear(row: TensorRecord, inputs: Rows) -> Iterator[Link]:
    """Link all axes but the last, of the first input."""
    one = inputs[0] if inputs else row
    if inputs and shape(one)[:-1] == shape(row)[:-1]:
        yield from ((axis, one.index, axis) for axis in range(len(shape(row)) - 1))


def _embedding(row: TensorRecord, inputs: Rows) -> Iterator[Link]:
    for one in inputs:
        if shape(one) == shape(row)[:-1]:
            yield from ((axis, one.index, axis) for axis in range(len(shape(one))))


def _reshaped(row: TensorRecord, inputs: Rows) -> Iterator[Link]:
    for one in inputs[:1]:
        yield from ((new, one.index, old) for new, old in kept(shape(one), shape(row)))


def _permuted(row: TensorRecord, inputs: Rows) -> Iterator[Link]:
    for one in inputs[:1]:
        yield from ((new, one.index, old) for new, old in permuted(row, one))


def _picked(row: TensorRecord, inputs: Rows) -> Iterator[Link]:
    if row.origin not in ("view", "same"):
        yield from _broadcast(row, inputs[:1]) if _same_rank(row, inputs) else ()
        return
    for one in inputs[:1]:
        yield from ((new, one.index, old) for new, old in picked(row, one))


def _same_rank(row: TensorRecord, inputs: Rows) -> bool:
    return bool(inputs) and len(shape(inputs[0])) == len(shape(row))


def _reduced(row: TensorRecord, inputs: Rows) -> Iterator[Link]:
    for one in inputs[:1]:
        over = reduced(row, one)
        if len(shape(row)) == len(shape(one)):
            yield from _broadcast(row, [one])
        elif over is not None:
            left = [axis for axis in range(len(shape(one))) if axis not in over]
            yield from ((new, one.index, old) for new, old in enumerate(left))


def _convolved(row: TensorRecord, inputs: Rows) -> Iterator[Link]:
    for one in inputs[:1]:
        if len(shape(one)) == len(shape(row)):
            axes = [axis for axis in range(len(shape(row))) if axis != 1]
            yield from ((axis, one.index, axis) for axis in axes)


def _multiplied(row: TensorRecord, inputs: Rows) -> Iterator[Link]:
    found = product_of(row, inputs)
    if found is None:
        yield from _linear(row, inputs) if len(inputs) == 1 else ()
        return
    *factors, out = found.labels
    for one, labels in zip((found.left, found.right), factors, strict=True):
        for axis, label in enumerate(labels):
            if label in out:
                new = out.index(label)
                if shape(row)[new] == shape(one)[axis]:
                    yield new, one.index, axis


_LINKS: dict[str, Callable[[TensorRecord, Rows], Iterator[Link]]] = {
    "linear": _linear,
    "embedding": _embedding,
    "einsum": _multiplied,
    **dict.fromkeys(MATMUL, _multiplied),
    **dict.fromkeys(PERMUTING, _permuted),
    **dict.fromkeys(RESHAPING, _reshaped),
    **dict.fromkeys(PICKING, _picked),
    **dict.fromkeys(REDUCING, _reduced),
    **dict.fromkeys(CONVOLVING, _convolved),
    **dict.fromkeys((*RECURRENT, *ATTENDING), _linear),
    **dict.fromkeys(PLACED, _placed),
}
