"""expand, expand_as, broadcast_to and repeat: which axes a shape may stretch."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import combinations

from attntrace.analysis.diagnosis.call import Culprit, Explained, FailedCall, Given, Proposal
from attntrace.analysis.diagnosis.reshaping.asked import numbers, whole
from attntrace.analysis.diagnosis.text import axis, counted, divided, plain, quoted
from attntrace.analysis.diagnosis.writing import wrapped, written
from attntrace.record import Shape


def explain(call: FailedCall) -> Explained | None:
    """Return why a tensor does not stretch to a shape, from the two shapes alone."""
    op, x = plain(call.op), call.argument(0, "input")
    if op not in ("expand", "expand_as", "broadcast_to", "repeat", "tile"):
        return None
    if not isinstance(x, Given) or x.shape is None:
        return None
    if op == "expand_as":
        other = call.argument(1, "other")
        wanted = other.shape if isinstance(other, Given) else None
    else:
        wanted = whole(numbers(call, 1, "size", "sizes", "repeats", "dims"))
    if wanted is None:
        return None
    if op in ("repeat", "tile"):
        return _repeat(call, x, wanted)
    return _short(call, x, x.shape, wanted) or _stretch(call, x, x.shape, wanted)


def _short(call: FailedCall, x: Given, shape: Shape, wanted: Shape) -> Explained | None:
    """Return what is said of fewer sizes than the tensor has axes."""
    if len(wanted) >= len(shape):
        return None
    more = len(shape) - len(wanted)
    fixes = []
    for sizes in ((*wanted, *(-1,) * more), (*(-1,) * more, *wanted)):
        if _fits(shape, sizes):
            said = f"give a size for each of the {len(shape)} axes, -1 keeps one"
            fixes.append(_sized(call, x, sizes, said))
    return Explained(
        rule=f"{quoted(call)} gives {counted(len(wanted), 'size')}, {wanted}, but {x.name} has "
        f"{counted(len(shape), 'axis')}, {shape}, and expanding cannot leave any out.",
        culprits=tuple(Culprit(tensor=one, dim=None) for _, one in reversed(call.tensors())),
        proposals=tuple(fixes[:1]),
    )


def _fits(shape: Shape, wanted: Shape) -> bool:
    pairs = zip(reversed(shape), reversed(wanted), strict=False)
    return all(have in (1, want) or want == -1 for have, want in pairs)


def _stretch(call: FailedCall, x: Given, shape: Shape, wanted: Shape) -> Explained | None:
    """Return what is said of the first axis from the right that does not stretch."""
    lead = len(wanted) - len(shape)
    if -1 in wanted[:lead]:
        sizes = (*(1 if size == -1 else size for size in wanted[:lead]), *wanted[lead:])
        return Explained(
            rule=f"{quoted(call)} keeps (-1) axis {wanted.index(-1)}, but {x.name} has only "
            f"{counted(len(shape), 'axis')}, {shape}: sizes line up from the right, and the first "
            f"{lead} are new.",
            culprits=(Culprit(tensor=x, dim=0),) if shape else (),
            proposals=(
                *_placed(call, x, shape, wanted),
                *(
                    [_sized(call, x, sizes, "give the new axes a size")]
                    if _fits(shape, sizes)
                    else []
                ),
            ),
        )
    pairs = [(dim, have, wanted[lead + dim]) for dim, have in enumerate(shape)]
    odd = [(dim, have, want) for dim, have, want in pairs if want not in (-1, have) and have != 1]
    if not odd:
        return None
    dim, have, want = odd[-1]
    return Explained(
        rule=f"{quoted(call)} stretches {axis(dim, len(shape))} of {x.name}, {have}, to {want}: only "
        f"sizes of 1 stretch, and {shape} lines up with {wanted} from the right.",
        culprits=(Culprit(tensor=x, dim=dim),),
        proposals=(
            *_placed(call, x, shape, wanted),
            *(_same_rank(call, x, shape, wanted, odd) if lead == 0 else ()),
        ),
    )


def _placed(call: FailedCall, x: Given, shape: Shape, wanted: Shape) -> Iterator[Proposal]:
    """Yield the tensor with axes of 1 put where its sizes then line up."""
    if not len(shape) < len(wanted):
        return
    for places in combinations(range(len(wanted)), len(shape)):
        pairs = zip(places, shape, strict=True)
        if not all(have in (1, wanted[place]) or wanted[place] == -1 for place, have in pairs):
            continue
        new = [place for place in range(len(wanted)) if place not in places]
        if any(wanted[place] == -1 for place in new):
            continue
        tensor, cut = x, [":" if place in places else "None" for place in range(len(wanted))]
        ends = new == [len(wanted) - 1]
        for place in new:
            tensor = tensor.then("unsqueeze", -1 if ends else place)
        while cut[-1] == ":":
            cut.pop()
        text = f"{wrapped(x.name)}[{', '.join(cut)}]"
        steps = written(tensor).removeprefix(wrapped(x.name))
        text = text if len(new) > 1 else written(tensor)
        code = call.code({0: text})
        said = f"put {x.name} where its sizes line up, with {steps[1:]}"
        said += f": `{code or text}`"
        yield Proposal(said=said, code=code, call=call.at({call.key(0, "input"): tensor}))
        return


def _same_rank(
    call: FailedCall, x: Given, shape: Shape, wanted: Shape, odd: list[tuple[int, int, int]]
) -> Iterator[Proposal]:
    """Yield what is done about an axis that has a size: repeat it, keep it, or build it so."""
    dim, have, want = odd[-1]
    if len(odd) == 1 and dim < len(shape) - 1 and have and want % have == 0:
        times = want // have
        code = f"{wrapped(x.name)}.repeat_interleave({times}, dim={dim})"
        fixed = replace(call, op="repeat_interleave", args=(x, times, dim), kwargs={})
        said = f"repeat each of the {have} {times} times, {divided(want, have)}: `{code}`"
        yield Proposal(said=said, code=code, call=fixed)
        return
    if x.path is not None:
        sizes = tuple(want if at == dim else size for at, size in enumerate(shape))
        said = f"build {x.name} with {want} as {axis(dim, len(shape))}: {sizes}"
        yield Proposal(said=said, call=call.at({call.key(0, "input"): x.of_shape(*sizes)}))
    pairs = zip(shape, wanted, strict=True)
    kept = tuple(want if have in (1, want) else -1 for have, want in pairs)
    yield _sized(call, x, kept, "keep the sizes that the tensor has, with -1")


def _sized(call: FailedCall, x: Given, sizes: Shape, said: str) -> Proposal:
    name = plain(call.op).removesuffix("_as")
    code = f"{wrapped(x.name)}.{name}({', '.join(map(str, sizes))})"
    fixed = replace(call, op=name, args=(x, sizes), kwargs={})
    return Proposal(said=f"{said}: `{code}`", code=code, call=fixed)


def _repeat(call: FailedCall, x: Given, times: Shape) -> Explained | None:
    """Return why numbers of repetitions are too few, or negative."""
    shape = x.shape or ()
    if odd := [number for number in times if number < 0]:
        kept = tuple(max(number, 1) for number in times)
        rule = f"{quoted(call)} repeats an axis {odd[0]} times: repeat has no -1, 1 keeps an axis"
        fixes = (_sized(call, x, kept, "write 1 for an axis that stays"),)
        return Explained(rule=f"{rule}, and {x.name} is {shape}.", proposals=fixes)
    if len(times) >= len(shape) or plain(call.op) == "tile":
        return None
    more = (1,) * (len(shape) - len(times))
    return Explained(
        rule=f"{quoted(call)} gives {counted(len(times), 'number')} of repetitions, {times}, but "
        f"{x.name} has {counted(len(shape), 'axis')}: {shape}.",
        culprits=(Culprit(tensor=x, dim=0),),
        proposals=(
            _sized(call, x, (*times, *more), "repeat along the first axes, 1 keeps the others"),
            _sized(call, x, (*more, *times), "or along the last"),
        ),
    )
