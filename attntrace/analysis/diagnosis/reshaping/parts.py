"""Ops that cut an axis: the parts have to add up to its size, or to be inside of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from attntrace.analysis.diagnosis.call import Culprit, Explained, FailedCall, Given, Key, Proposal
from attntrace.analysis.diagnosis.reshaping.asked import whole
from attntrace.analysis.diagnosis.text import axis, quoted, sized


def _dim(call: FailedCall, x: Given, place: int, default: int = 0) -> int | None:
    """Return the axis that a call cuts, counted from the front; None if it has none."""
    dim = call.argument(place, "dim", default)
    return dim % x.rank if type(dim) is int and -x.rank <= dim < x.rank else None


def _split(call: FailedCall, x: Given) -> Explained | None:
    """Return why sizes do not add up to the axis that they split."""
    named = next((n for n in ("split_sizes", "split_size_or_sections") if n in call.kwargs), None)
    key: Key = 1 if len(call.args) > 1 else named or "split_size"
    given, dim = call[key], _dim(call, x, 2)
    parts = whole(given) if isinstance(given, (tuple, list)) else None
    if parts is None or dim is None:
        return None
    size = (x.shape or ())[dim]
    if odd := [part for part in parts if part < 0]:
        rest = size - sum(part for part in parts if part > 0)
        said = f"write the rest out, {rest}"
        fixed = [rest if part < 0 else part for part in parts]
        rule = (
            f"{quoted(call)} asks for a part of {odd[0]}: split has no -1, and the size is {size}."
        )
        return Explained(rule=rule, proposals=(_given(call, key, fixed, said),))
    if sum(parts) == size:
        return None
    total = "+".join(map(str, parts)) + f" = {sum(parts)}"
    return Explained(
        rule=f"{quoted(call)} splits {total}, but {axis(dim, x.rank)} of {x.name} is {size}.",
        culprits=(Culprit(tensor=x, dim=dim),),
        proposals=(*_wider(call, x, dim, sum(parts)), *_other_parts(call, key, parts, (size, dim))),
    )


def _wider(call: FailedCall, x: Given, dim: int, size: int) -> Iterator[Proposal]:
    shape = [*(x.shape or ())]
    shape[dim] = size
    last = f", as a layer with out_features={size} does" if dim == x.rank - 1 else ""
    said = f"make {axis(dim, x.rank)} of {x.name} {size}{last}"
    yield Proposal(said=said, call=call.at({call.key(0, "input"): x.of_shape(*shape)}))


def _other_parts(
    call: FailedCall, key: Key, parts: tuple[int, ...], cut: tuple[int, int]
) -> Iterator[Proposal]:
    count, (size, dim) = len(parts), cut
    even = len({*parts}) == 1 and size % count == 0
    widest = max(range(count), key=lambda place: parts[place], default=0)  # of q, k, v the queries
    fitted = [size // count] * count if even else [*parts]
    if parts and not even:
        fitted[widest] += size - sum(parts)
    if not fitted or min(fitted) <= 0:
        return
    said = f"split it into {fitted}" + (f", as `.chunk({count}, dim={dim})` does" if even else "")
    yield _given(call, key, fitted, said)


def _given(call: FailedCall, key: Key, parts: list[int], said: str) -> Proposal:
    code = call.code({key: str(parts)})
    said += f": `{code}`" if code else ""
    return Proposal(said=said, code=code, call=call.at({key: parts}))


def _chunk(call: FailedCall, x: Given) -> Explained | None:
    number = call.argument(1, "chunks")
    if type(number) is not int or number > 0:
        return None
    return Explained(
        rule=f"{quoted(call)} cuts {x.name}, {x.shape}, into {number} parts: it must be at least 1."
    )


def _glu(call: FailedCall, x: Given) -> Explained | None:
    """Return why an axis has no two halves."""
    dim = _dim(call, x, 1, -1)
    if dim is None or (x.shape or ())[dim] % 2 == 0:
        return None
    size = (x.shape or ())[dim]
    return Explained(
        rule=f"{quoted(call)} multiplies the two halves of an axis, so it must be even, but "
        f"{axis(dim, x.rank)} of {x.name} is {size} = 2*{size // 2} + 1.",
        culprits=(Culprit(tensor=x, dim=dim),),
        proposals=(*_wider(call, x, dim, size + 1),),
    )


def _topk(call: FailedCall, x: Given) -> Explained | None:
    """Return why an axis has not so many elements to choose from."""
    most, dim = call.argument(1, "k"), _dim(call, x, 2, -1)
    if dim is None or type(most) is not int or most <= (x.shape or ())[dim]:
        return None
    size = (x.shape or ())[dim]
    said = f"take at most {size}, `min({most}, {x.name}.size({dim}))`, so"
    return Explained(
        rule=f"{quoted(call)} asks for the {most} largest, but {sized(x, dim)}, is all there is.",
        culprits=(Culprit(tensor=x, dim=dim),),
        proposals=(*_number(call, call.key(1, "k"), size, said),),
    )


def _number(call: FailedCall, key: Key, value: int, said: str) -> Iterator[Proposal]:
    code = call.code({key: str(value)})
    text = f"{said} {value}" + (f": `{code}`" if code else "")
    yield Proposal(said=text, code=code, call=call.at({key: value}))


PARTS: dict[str, Callable[[FailedCall, Given], Explained | None]] = {
    "split": _split,
    "split_with_sizes": _split,
    "unsafe_split_with_sizes": _split,
    "chunk": _chunk,
    "glu": _glu,
    "topk": _topk,
    "kthvalue": _topk,
}
"""What is said of each op whose axes are there."""
