"""Calls that work element by element: their shapes must broadcast, and a target cannot grow."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import combinations

from attntrace.analysis.diagnosis.call import Culprit, Explained, FailedCall, Given, Key, Proposal
from attntrace.analysis.diagnosis.fitting import masks, placing, resizing, rope
from attntrace.analysis.diagnosis.fitting.pair import Pair, is_mask, of_first, paired
from attntrace.analysis.diagnosis.shapes import broadcast, clashes, placements
from attntrace.analysis.diagnosis.text import listed, shaped, sizes
from attntrace.record import Shape

_ARITHMETIC = (
    "add", "sub", "mul", "div", "true_divide", "truediv", "floor_divide", "floordiv", "remainder",
    "mod", "fmod", "pow", "multiply", "subtract", "divide", "rsub", "maximum", "minimum", "max",
    "min", "fmax", "fmin", "atan2", "arctan2", "hypot", "copysign", "logaddexp", "xlogy", "polar",
    "complex", "lerp", "clamp", "clip", "addcmul", "addcdiv", "where", "masked_fill", "dist",
)  # fmt: skip
_LOGIC = (
    "eq", "ne", "lt", "le", "gt", "ge", "equal_to", "not_equal", "less", "less_equal", "greater",
    "greater_equal", "isclose", "logical_and", "logical_or", "logical_xor", "bitwise_and",
    "bitwise_or", "bitwise_xor", "and", "or", "xor",
)  # fmt: skip
ELEMENTWISE = frozenset((*_ARITHMETIC, *_LOGIC))
_SYMBOLS = {
    "add": "+", "sub": "-", "mul": "*", "div": "/", "truediv": "/", "pow": "**", "mod": "%",
    "floordiv": "//", "eq": "==", "ne": "!=", "lt": "<", "le": "<=", "gt": ">", "ge": ">=",
    "and": "&", "or": "|", "xor": "^",
}  # fmt: skip
MOST_TEXT = 72
"""Letters of an expression that is quoted in a sentence."""
MOST_PROPOSED = 6


@dataclass(frozen=True, slots=True)
class Op:
    """An op by the name of its functional form."""

    name: str
    in_place: bool = False


def op_of(called: str) -> Op:
    """Return "__iadd__", "add_", "radd" and "aten.add.Tensor" as what they are: `add`."""
    name = called.removeprefix("aten.").split(".")[0]
    in_place = name.endswith("_") and not name.endswith("__")
    name = name.strip("_")
    if name not in ELEMENTWISE and name[:1] in ("i", "r") and name[1:] in _SYMBOLS:
        return Op(name[1:], in_place=name[0] == "i")
    return Op(name, in_place=in_place)


def explain(call: FailedCall) -> Explained | None:
    """Return why shapes that must broadcast do not; None for other calls, and where they do."""
    op = op_of(call.op)
    if op.name not in ELEMENTWISE:
        return None
    operands = [(key, tensor) for key, tensor in call.tensors() if key != "out" and tensor.shape]
    for one, other in combinations(operands, 2):
        if clashes(one[1].shape or (), other[1].shape or ()):
            pair = Pair(call, one[1], one[0], other[1], other[0])
            pair = pair if op.in_place else paired(call, one, other)
            return clashed(subject(call), pair, proposals(pair))
    return _grown(call, op, operands) if op.in_place and operands else None


def clashed(begin: str, pair: Pair, ways: Iterable[Proposal]) -> Explained:
    """Return why two tensors do not broadcast; `begin` begins the rule."""
    found = {proposal.said: proposal for proposal in ways}
    culprits: list[tuple[Given, int | None]] = [(pair.other, other) for _, other in pair.met]
    culprits += [(pair.main, main) for main, _ in pair.met]
    if len(pair.got) != len(pair.wanted) and any(placements(pair.got, pair.wanted)):
        culprits = [(pair.other, None)]
    return Explained(
        rule=f"{begin} needs {_needed(pair)}",
        culprits=tuple(Culprit(tensor=tensor, dim=dim) for tensor, dim in culprits),
        proposals=tuple(found.values())[:MOST_PROPOSED],
    )


def proposals(pair: Pair) -> Iterator[Proposal]:
    """Return ways to make two tensors broadcast: of the first reading of them that has any."""
    ways = [placing.proposals, resizing.proposals]
    if rope.is_rotary(pair.other) and len(pair.wanted) > 2:
        ways.insert(0, rope.proposals)
    elif len(pair.wanted) > 2 and (is_mask(pair.other) or _is_as_mask(pair)):
        ways.insert(0, masks.proposals)
    return of_first(ways, pair)


def _is_as_mask(pair: Pair) -> bool:
    """Whether it is (B, 1, 1 or L, S) against scores (B, H, L, S'), by whatever name."""
    got, wanted = pair.got, pair.wanted
    return len(got) == len(wanted) == 4 and got[1] == 1 and got[2] in (1, wanted[2])


def subject(call: FailedCall) -> str:
    """Return the failing expression, as it begins a sentence."""
    text = " ".join(call.text.split())
    if text and len(text) <= MOST_TEXT:
        return f"`{text}`"
    names = [tensor.name for _, tensor in call.tensors()]
    name = op_of(call.op).name
    if name in _SYMBOLS and len(names) == 2:
        return f"`{names[0]} {_SYMBOLS[name]} {names[1]}`"
    return f"{name} of {listed(names)}"


def _needed(pair: Pair) -> str:
    """Return the end of the rule: which sizes had to be the same."""
    main, other = pair.main, pair.other
    dims = "dim" if len(pair.met) == 1 else "dims"
    mine = listed([str(i) for i, _ in pair.met]), listed([str(pair.wanted[i]) for i, _ in pair.met])
    its = listed([str(j) for _, j in pair.met]), listed([str(pair.got[j]) for _, j in pair.met])
    lined = ", for shapes are lined up from the right" * (main.rank != other.rank)
    return (
        f"{dims} {mine[0]} of {main.name}, {mine[1]}, to equal {dims} {its[0]} of {other.name}, "
        f"{its[1]}, unless one is 1{lined}: {shaped(main)} and {shaped(other)}."
    )


def _grown(call: FailedCall, op: Op, operands: list[tuple[Key, Given]]) -> Explained | None:
    """An in-place op whose target is smaller than what it would be given."""
    key, target = operands[0]
    shape = target.shape or ()
    whole = broadcast(*(tensor.shape or () for _, tensor in operands))
    if key != 0 or whole is None or whole == shape:
        return None
    ragged = (*(0,) * (len(whole) - len(shape)), *shape)
    dims = [at for at, (has, needs) in enumerate(zip(ragged, whole, strict=True)) if has != needs]
    dims = [at - len(whole) + len(shape) for at in dims]
    return Explained(
        rule=f"{subject(call)} writes into {shaped(target)}, which cannot grow to the "
        f"{sizes(whole)} that it broadcasts to with {_others(operands)}.",
        culprits=tuple(Culprit(tensor=target, dim=at) for at in dims if at >= 0),
        proposals=_out_of_place(call, op, target, whole),
    )


def _others(operands: list[tuple[Key, Given]]) -> str:
    return listed([shaped(tensor) for _, tensor in operands[1:]])


def _out_of_place(call: FailedCall, op: Op, target: Given, whole: Shape) -> tuple[Proposal, ...]:
    name = target.name
    code = None
    if op.name in _SYMBOLS and isinstance(call[1], Given):
        code = f"{name} = {name} {_SYMBOLS[op.name]} {call[1].name}"
    elif call.text.count(f".{op.name}_(") == 1:
        code = f"{name} = {call.text.replace(f'.{op.name}_(', f'.{op.name}(')}"
    written = f": `{code}`" if code else ""
    expanded = call.at({0: target.of_shape(*whole)})
    return (
        Proposal(
            said=f"make a new tensor of shape {sizes(whole)} in place of writing into "
            f"{name}{written}",
            code=code,
            call=replace(call, op=op.name),
        ),
        Proposal(
            said=f"give {name} that shape before: `{name} = {name}.expand{sizes(whole)}.clone()`",
            call=expanded,
        ),
    )
