"""Values written into a part of a tensor: `copy_`, and slices along an axis that was not meant."""

from __future__ import annotations

from typing import Any

from attntrace.analysis.diagnosis.call import Culprit, Explained, FailedCall, Given, Proposal
from attntrace.analysis.diagnosis.fitting import placing, resizing
from attntrace.analysis.diagnosis.fitting.broadcast import clashed, subject
from attntrace.analysis.diagnosis.fitting.changed import Changed
from attntrace.analysis.diagnosis.fitting.pair import Pair
from attntrace.analysis.diagnosis.shapes import broadcast, clashes, placements
from attntrace.analysis.diagnosis.text import shaped
from attntrace.record import Shape


def explain(call: FailedCall) -> Explained | None:
    """Return why a value does not fit where it is to be written; None for other calls."""
    op = call.op.removeprefix("aten.").split(".")[0].strip("_")
    target, value = call.argument(0, "input"), call.argument(2 if op == "setitem" else 1, "other")
    if not isinstance(target, Given) or not isinstance(value, Given) or target.shape is None:
        return None
    if op == "setitem":
        return _sliced(call, target, value)
    return _copied(call, target, value) if op == "copy" else None


def _copied(call: FailedCall, target: Given, value: Given) -> Explained | None:
    shape, written = target.shape or (), value.shape or ()
    if broadcast(shape, written) == shape:
        return None
    if clashes(shape, written):
        pair = Pair(call, target, 0, value, call.key(1, "other"))
        found = list(placing.proposals(pair)) or list(resizing.proposals(pair))
        return clashed(subject(call), pair, found)
    return Explained(
        rule=f"{subject(call)} writes {shaped(value)} into {shaped(target)}, which cannot "
        f"grow to it.",
        culprits=(Culprit(tensor=target, dim=0),) if shape else (),
        proposals=(
            Proposal(
                said=f"build {target.name} of shape {written} in place of {shape}",
                call=call.at({0: target.of_shape(*written)}),
            ),
        ),
    )


def _sliced(call: FailedCall, target: Given, value: Given) -> Explained | None:
    """A slice of the heads of a cache (B, T, H, D), as if it were (B, H, T, D)."""
    index, shape = call[1], target.shape or ()
    parts = index if isinstance(index, tuple) else (index,)
    if len(parts) > len(shape) or not all(map(_is_plain, parts)):
        return None
    cut = [n for n, part in enumerate(parts) if part != slice(None)]
    region = _region(shape, parts)
    if len(cut) != 1 or broadcast(region, value.shape or ()) == region:
        return None
    ways = [
        _along(call, (target, value), at, parts[cut[0]]) for at in range(len(shape)) if at != cut[0]
    ]
    found = [way for way in ways if way is not None]
    if not found:
        return None
    place = call.text.split("=")[0].strip() or target.name
    return Explained(
        rule=f"{subject(call)} slices dim {cut[0]} of {shaped(target)}, of size "
        f"{shape[cut[0]]}: `{place}` has shape {region}, and {value.name} {value.shape}.",
        culprits=(Culprit(tensor=target, dim=cut[0]),),
        proposals=tuple(found),
    )


def _is_plain(part: Any) -> bool:
    """Whether it is a slice between whole numbers."""
    ends = (part.start, part.stop, part.step) if isinstance(part, slice) else ("",)
    return all(end is None or isinstance(end, int) for end in ends)


def _region(shape: Shape, parts: tuple[Any, ...]) -> Shape:
    """Return the shape of what slices, one for each of the first axes, leave."""
    sizes = [len(range(*part.indices(size))) for size, part in zip(shape, parts, strict=False)]
    return (*sizes, *shape[len(sizes) :])


def _along(call: FailedCall, pair: tuple[Given, Given], at: int, part: slice) -> Proposal | None:
    """Propose to slice another axis, where the value, in some order of its axes, fits exactly."""
    target, value = pair
    parts = (*(slice(None),) * at, part)
    region = _region(target.shape or (), parts)
    new = _ordered_as(value, region)
    if new is None:
        return None
    ends = ["" if end is None else str(end) for end in (part.start, part.stop)]
    code = f"{target.name}[{', '.join([*[':'] * at, ':'.join(ends)])}] = {new.text}"
    return Proposal(
        said=f"slice dim {at} of {target.name}, which holds the positions: `{code}`",
        code=code,
        call=call.at({1: parts, 2: new.tensor}),
    )


def _ordered_as(value: Given, region: Shape) -> Changed | None:
    """Return a value with its axes in the order of a region of its sizes, as it is if they are."""
    shape = value.shape or ()
    places = next(placements(shape, region), None) if len(shape) == len(region) else None
    order = tuple(place for place in places or () if place is not None)
    new = Changed.of(value).ordered(order) if order else None
    return new if new is not None and new.shape == region else None
