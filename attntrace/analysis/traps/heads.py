"""Views that should have moved axes and did not: the right shape, and the wrong contents."""

from __future__ import annotations

from collections.abc import Iterator
from math import prod

from attntrace.analysis.traps.flow import Flow
from attntrace.analysis.traps.links import CONVOLVING, shape
from attntrace.analysis.traps.said import sizes, trap
from attntrace.analysis.traps.views import blocks
from attntrace.record import Fix, Shape, TensorRecord, Trap

HEADS, TOKENS = "heads-view", "tokens-view"
VIEWS = ("view", "reshape", "view_as", "reshape_as")


def heads_view(flow: Flow) -> Iterator[Trap]:
    """Yield the views that put heads before the positions, or back, without a transpose."""
    for row, source, before, after in _views(flow):
        if (heads := _heads(before, after)) is not None:
            yield _split(row, source, heads)
        elif (heads := _heads(after, before)) is not None:
            yield _joined(row, source, heads, _is_map(flow, source))


def tokens_view(flow: Flow) -> Iterator[Trap]:
    """Yield the views of (channels, height, width) as (tokens, channels), and those back."""
    for row, source, before, after in _views(flow):
        if _is_grid(before, after):
            tokens, fix = after[0], "flatten(2).transpose(1, 2)"
        elif _is_grid(after, before):
            tokens, fix = before[0], f"transpose(1, 2).unflatten(2, {after[1:]})"
        else:
            continue
        channels = before[-1] if tokens == before[0] else after[-1]
        rule = (
            f"`{row.op}` reads `{source.name}` {sizes(source)} in the order in which it lies, so "
            f"{sizes(row)} mixes the {channels} channels with the {tokens} positions"
        )
        said = "move the channels, a view cannot: transpose(1, 2) between tokens and channels"
        yield trap(TOKENS, row, [source], rule, [Fix(said=said, code=f"{source.name}.{fix}")])


def _views(flow: Flow) -> Iterator[tuple[TensorRecord, TensorRecord, Shape, Shape]]:
    """Yield each view that neither splits nor joins whole axes, and the sizes that it takes apart."""
    for row in flow.rows:
        source = flow.inputs(row)[0] if row.op in VIEWS and row.inputs else None
        if source is None or row.shape is None or source.shape is None:
            continue
        for old, new in blocks(source.shape, row.shape):
            if len(old) > 1 and len(new) > 1:
                before, after = [source.shape[n] for n in old], [row.shape[n] for n in new]
                yield row, source, tuple(before), tuple(after)


def _heads(flat: Shape, apart: Shape) -> Shape | None:
    """Return what stands before the positions in `apart` and was split off features of `flat`.

    (positions, features) as (heads, positions, features of a head), the batch before the positions
    or not. None where nothing like it was done.
    """
    lead, features = flat[:-1], flat[-1]
    for at in range(1, len(apart) - len(lead) + 1):
        front, rest = apart[:at], apart[at + len(lead) :]
        if apart[at : at + len(lead)] == lead and (rest or at > 1):
            return front if prod(front) * prod(rest) == features else None
    if len(flat) == len(apart) == 3 and flat[1] == apart[1] and apart[0] > flat[0]:
        heads, more = divmod(apart[0], flat[0])
        return (heads,) if more == 0 and heads * apart[2] == features else None
    return None


def _is_grid(apart: Shape, flat: Shape) -> bool:
    """Return whether (channels, height, width) is (height * width, channels)."""
    return len(apart) == 3 and len(flat) == 2 and (prod(apart[1:]), apart[0]) == flat


def _split(row: TensorRecord, source: TensorRecord, heads: Shape) -> Trap:
    *lead, features = shape(source)
    width = features // prod(heads)
    count = " x ".join(map(str, heads))
    rule = (
        f"`{row.op}` cuts `{source.name}` {sizes(source)} in the order in which it lies, so the "
        f"heads of {sizes(row)} hold pieces of other positions: {count} heads of {width} must be "
        f"split off the last axis of {features} behind the {lead[-1]} positions, then moved"
    )
    split = f"{source.name}.view({', '.join(map(str, [*lead, *heads, width]))})"
    if len(heads) == 1 and len(lead) == 2:
        code = f"{split}.transpose(1, 2)"
        said = (
            f"split the last axis into {heads[0]} heads of {width}, then transpose(1, 2): "
            "view(B, T, heads, head_dim).transpose(1, 2), or permute(0, 2, 1, 3)"
        )
        if len(shape(row)) == len(lead) + 1:
            code += f".reshape({', '.join(map(str, shape(row)))})"
    elif len(heads) == 2 and len(lead) == 2:
        code, said = f"{split}.permute(2, 0, 3, 1, 4)", "split the last axis first, then permute"
    else:
        code, said = split, "split the last axis first, then transpose or permute"
    return trap(HEADS, row, [source], rule, [Fix(said=said, code=code)])


def _is_map(flow: Flow, row: TensorRecord) -> bool:
    """Return whether a tensor is what a convolution made, whose axis 1 has channels and no heads."""
    size = shape(row)
    while row.inputs and len(size) > 3 and row.op not in CONVOLVING:
        row = flow.inputs(row)[0]
        if shape(row)[:2] != size[:2]:
            return False
    return row.op in CONVOLVING


def _joined(row: TensorRecord, source: TensorRecord, heads: Shape, is_map: bool) -> Trap:
    one, place = ("channel", "place") if is_map else ("head", "position")
    features, rank = shape(row)[-1], len(shape(source))
    count = prod(heads)
    rule = (
        f"`{row.op}` joins `{source.name}` {sizes(source)} in the order in which it lies, so a row "
        f"of {sizes(row)} holds {count} {place}s of one {one}, not {count} {one}s of one {place}: "
        f"the {one}s must come to stand next to their {features // count} features first"
    )
    target = f"reshape({', '.join(map(str, shape(row)))})"
    turn = f"transpose({rank - 3}, {rank - 2})"
    code = f"{source.name}.{turn}.{target}"
    if rank == len(shape(row)):
        whole = ", ".join(map(str, (shape(row)[0], count, *shape(source)[1:])))
        turn = "transpose(1, 2)"
        code = f"{source.name}.view({whole}).{turn}.{target}"
    said = (
        f"put the {place}s before the {one}s, then reshape: {turn}, as of "
        f"{'(B, C, T, F)' if is_map else '(B, heads, T, head_dim)'}, or permute(0, 2, 1, 3)"
    )
    return trap(HEADS, row, [source], rule, [Fix(said=said, code=code)])
