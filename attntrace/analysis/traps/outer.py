"""Two vectors that met as a row and a column: (B,) with (B, 1) is (B, B); losses of two shapes."""

from __future__ import annotations

from collections.abc import Iterator
from math import prod

from attntrace.analysis.traps.flow import Flow
from attntrace.analysis.traps.links import shape
from attntrace.analysis.traps.said import called, sizes, trap
from attntrace.record import Fix, Shape, TensorRecord, Trap

NAME = "outer-broadcast"
ELEMENTWISE = (
    "add", "sub", "mul", "div", "radd", "rsub", "rmul", "rdiv", "rtruediv", "truediv", "iadd",
    "isub", "imul", "pow", "maximum", "minimum", "subtract", "multiply", "divide", "true_divide",
)  # fmt: skip
LOSSES = ("mse_loss", "l1_loss", "smooth_l1_loss", "huber_loss", "soft_margin_loss")
EXPLICIT = (
    "unsqueeze",
    "view",
    "reshape",
    "expand",
    "view_as",
    "unflatten",
    "arange",
    "T",
    "t",
    "mT",
)
"""Calls by which an author makes an axis of size 1 on purpose, right before it is spread."""
SAME = (
    "relu", "sigmoid", "tanh", "softplus", "exp", "log", "neg", "abs", "clamp", "dropout", "gelu",
    "detach", "to", "float", "clone", "contiguous", "square", "sqrt", "softmax", "layer_norm",
    "leaky_relu", "silu", "elu", "half", "double", "type", "cpu",
)  # fmt: skip
"""Calls that leave the axes to those who made them."""


def outer_broadcast(flow: Flow) -> Iterator[Trap]:
    """Yield the operators and losses that spread a vector over a column of the same length."""
    for row in flow.rows:
        if (row.op in ELEMENTWISE or row.op in LOSSES) and len(row.inputs) == 2:
            first, second = flow.inputs(row)
            for flat, column in ((first, second), (second, first)):
                at = _extra(shape(flat), shape(column))
                if at is not None and _is_accident(flow, row, flat, column):
                    yield _trap(row, flat, column, at)
            if row.op in LOSSES:
                yield from _unequal(flow, row, first, second)


def _extra(flat: Shape, column: Shape) -> int | None:
    """Return where `column` has an axis of size 1 that `flat` lacks, and that makes both larger."""
    if len(column) != len(flat) + 1 or not flat or column[0] == 1:
        return None
    for at in range(1, len(column)):
        if column[at] == 1 and column[:at] + column[at + 1 :] == flat:
            made = broadcast(flat, column)
            return at if made is not None and prod(made) > prod(flat) else None
    return None


def broadcast(*given: Shape) -> Shape | None:
    """Return the shape that these broadcast to; None where they do not."""
    rank = max(map(len, given))
    padded = [(1,) * (rank - len(one)) + one for one in given]
    made = []
    for column in zip(*padded, strict=True):
        large = set(column) - {1}
        if len(large) > 1:
            return None
        made.append(large.pop() if large else 1)
    return tuple(made)


def _is_accident(flow: Flow, row: TensorRecord, flat: TensorRecord, column: TensorRecord) -> bool:
    """Return whether nobody asked for the table of all pairs, here or further on."""
    if not all("float" in one.dtype for one in (flat, column)):
        return False
    if not {flat.index, column.index} <= flow.dependent:
        return False
    return row.op in LOSSES or not (_asked_for(flow, column) or _meets_pairs(flow, row))


def _unequal(
    flow: Flow, row: TensorRecord, first: TensorRecord, second: TensorRecord
) -> Iterator[Trap]:
    """Yield a loss that repeats (B, 1) for each column of (B, C), if nobody asked for the 1."""
    for small, large in ((first, second), (second, first)):
        one, other = shape(small), shape(large)
        spread = [at for at, size in enumerate(one) if len(one) == len(other) and size != other[at]]
        if len(spread) != 1 or not spread[0] or one[spread[0]] != 1 or _asked_for(flow, small):
            continue
        at, count = spread[0], other[spread[0]]
        dim = -1 if at == len(one) - 1 else at
        rule = (
            f"`{row.op}` compares {called(small)} with {called(large)}: they are not of one shape, "
            f"so the 1 of `{small.name}` is repeated for each of the {count} of `{large.name}`"
        )
        said = (
            f"bring `{large.name}` to {one}: sum({dim}, keepdim=True), as of the log-probabilities "
            f"of {count} independent actions, or mean({dim}, keepdim=True)"
        )
        less = Fix(said=said, code=f"{large.name}.sum({dim}, keepdim=True)")
        more = Fix(said=f"or compute {count} in `{small.name}`, giving the same shape, {other}")
        yield trap(NAME, row, [first, second], rule, [less, more])


def _asked_for(flow: Flow, column: TensorRecord) -> bool:
    """Return whether the axis of size 1 was made on purpose."""
    while column.op in SAME and column.inputs:
        column = flow.inputs(column)[0]
    if column.op == "getitem":  # x[:, None], but not x[:, :1]
        source = flow.inputs(column)[0] if column.inputs else column
        return len(shape(source)) < len(shape(column))
    return column.op in EXPLICIT


def _meets_pairs(flow: Flow, row: TensorRecord) -> bool:
    """Return whether the table meets one that was made as a table, as distances of pairs do."""
    known, left = {row.index}, [row]
    while left:
        for user in flow.users.get(left.pop().index, []):
            others = [one for one in flow.inputs(user) if one.index not in known]
            if any(shape(one) == shape(row) and one.index != row.index for one in others):
                return not all(_is_outer(flow, one) for one in others)
            if shape(user) == shape(row) and user.index not in known:
                known.add(user.index)
                left.append(user)
    return False


def _is_outer(flow: Flow, row: TensorRecord) -> bool:
    """Return whether a table was itself spread from vectors."""
    return all(prod(shape(one)) < prod(shape(row)) for one in flow.inputs(row)) and bool(row.inputs)


def _trap(row: TensorRecord, flat: TensorRecord, column: TensorRecord, at: int) -> Trap:
    made = broadcast(shape(flat), shape(column)) or ()
    count = shape(column)[0]
    rule = (
        f"{called(flat)} and {called(column)} broadcast to {made}: each of the {count} of one meets "
        f"each of the {made[at - 1 if at < len(made) else -1]} of the other, where "
        f"{prod(shape(flat))} pairs were likely meant"
    )
    place = -1 if at == len(shape(column)) - 1 else at
    squeezed = Fix(
        said=f"drop the axis of size 1 of `{column.name}`: squeeze({place}), giving {sizes(flat)}",
        code=f"{column.name}.squeeze({place})",
    )
    widened = Fix(
        said=f"or give `{flat.name}` one: unsqueeze({place}), giving {sizes(column)}",
        code=f"{flat.name}.unsqueeze({place})",
    )
    return trap(NAME, row, [flat, column], rule, [squeezed, widened])
