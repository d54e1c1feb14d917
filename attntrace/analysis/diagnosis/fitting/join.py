"""Joining tensors: cat needs every other axis to agree, stack all of them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from attntrace.analysis.diagnosis.call import Culprit, Explained, FailedCall, Given, Proposal
from attntrace.analysis.diagnosis.fitting import cat
from attntrace.analysis.diagnosis.fitting.changed import Changed
from attntrace.analysis.diagnosis.fitting.listing import Joined, but, permuted, repeated, resized
from attntrace.analysis.diagnosis.text import listed, shaped
from attntrace.analysis.diagnosis.writing import wrapped

_CATS = {"cat": None, "concat": None, "concatenate": None, "hstack": 1, "vstack": 0, "dstack": 2}
"""Each with the axis that it joins along, None where it is an argument."""
_STACKS = ("stack", "column_stack")
MOST_PROPOSED = 6


def explain(call: FailedCall) -> Explained | None:
    """Return why tensors cannot be joined; None for other calls."""
    op = call.op.removeprefix("aten.").split(".")[0]
    if op not in _CATS and op not in _STACKS:
        return None
    key = call.key(0, "tensors")
    listing = call[key]
    if isinstance(listing, Given):
        return _single(call, op, listing)
    if not isinstance(listing, (list, tuple)):
        return Explained(rule=f"{op} needs a list of tensors, not {_kind(listing)}.")
    return _listed(Joined(call, key, tuple(listing)), op)


def _listed(joined: Joined, op: str) -> Explained | None:
    if not joined.parts:
        return Explained(rule=f"{op} needs at least one tensor, and the list is empty.")
    others = [n for n, one in enumerate(joined.parts) if not isinstance(one, Given)]
    if others:
        return _no_tensor(joined, op, others)
    if any(one.shape is None for one in joined.parts):
        return None
    if op in _STACKS:
        return _stacked(joined, op)
    axis = _CATS[op]
    return cat.explained(joined, op, joined.call.argument(1, "dim", 0) if axis is None else axis)


def _kind(value: Any) -> str:
    return "None" if value is None else type(value).__name__


def _single(call: FailedCall, op: str, tensor: Given) -> Explained:
    whole = wrapped(tensor.name)
    split = call.at({0: [tensor, tensor]})
    return Explained(
        rule=f"{op} joins a list of tensors, and {shaped(tensor)} is one tensor.",
        proposals=(
            Proposal(
                said=f"put the tensors into a list: `torch.{op}([{tensor.name}, ...])`; to join "
                f"two axes of {tensor.name} use `{whole}.flatten(0, 1)`",
                call=split,
            ),
        ),
    )


def _no_tensor(joined: Joined, op: str, others: list[int]) -> Explained:
    """A list that holds None, as a cache does before the first step, or a tuple of tensors."""
    kinds = [_kind(joined.parts[n]) for n in others]
    said = []
    if "None" in kinds:
        left = [n for n in range(len(joined.parts)) if n not in others]
        names = listed([joined.parts[n].name for n in left]) or "the rest"
        text = (
            f"leave None out, for it is there before anything was put into it: join only if it is "
            f"not None, else take {names} alone"
        )
        said.append(joined.without(text, others) if left else Proposal(said=text))
    for n in others:
        inner = joined.parts[n]
        if isinstance(inner, (list, tuple)) and any(isinstance(one, Given) for one in inner):
            flat = [*joined.parts[:n], *inner, *joined.parts[n + 1 :]]
            text = f"take the tensors out of the {_kind(inner)} at place {n}, `*` before it or [0]"
            said.append(Proposal(said=text, call=joined.call.at({joined.key: flat})))
    return Explained(
        rule=f"{op} joins tensors, and place {listed([str(n) for n in others])} of its list of "
        f"{len(joined.parts)} holds {listed(kinds)}.",
        proposals=tuple(said),
    )


def _stacked(joined: Joined, op: str) -> Explained | None:
    first: Given = joined.parts[0]
    other = next((one for one in joined.parts if one.shape != first.shape), None)
    if other is None:
        return None
    a, b = first.shape or (), other.shape or ()
    wrong = [at for at in range(min(len(a), len(b))) if a[at] != b[at]]
    rule = f"{op} needs tensors of one shape, but {shaped(first)} and {shaped(other)}"
    if len(a) == len(b):
        pairs = [f"dim {at} is {a[at]} and {b[at]}" for at in wrong]
        rule += f" differ: {listed(pairs)}."
    else:
        rule += f" have {len(a)} and {len(b)} dimensions."
    culprits = [Culprit(tensor=one, dim=at) for at in wrong for one in (other, first)]
    if len(a) != len(b):
        culprits = [Culprit(tensor=one, dim=None) for one in (other, first)]
        few, most = sorted((first, other), key=lambda one: one.rank)
        found = [*cat.lifted(joined, most, few, None)]
    else:
        found = [
            *_cat_instead(joined),
            *repeated(joined, (first, other), wrong),
            *permuted(joined, (first, other), -1),
            *resized(joined, None),
            *_padded(joined, wrong),
        ]
    return Explained(rule=rule, culprits=tuple(culprits), proposals=tuple(found)[:MOST_PROPOSED])


def _cat_instead(joined: Joined) -> Iterator[Proposal]:
    for at in range(len(joined.shapes[0])):
        if len({but(shape, at) for shape in joined.shapes if len(shape) > at}) == 1:
            cat = replace(joined.call, op="cat", args=(list(joined.parts), at), kwargs={})
            said = f"join them along dim {at}, the only one where they differ, with torch.cat"
            yield Proposal(said=said, code=f"torch.cat({_list(joined)}, dim={at})", call=cat)


def _padded(joined: Joined, wrong: list[int]) -> Iterator[Proposal]:
    if len(wrong) != 1 or len({len(shape) for shape in joined.shapes}) > 1:
        return
    at = wrong[0]
    most = max(shape[at] for shape in joined.shapes)
    changes = {}
    for n, one in enumerate(joined.parts):
        shape = tuple(most if d == at else size for d, size in enumerate(one.shape or ()))
        changes[n] = Changed(one.of_shape(*shape), one.name, shape)
    said = f"pad all to {most} in dim {at} (F.pad, or pad_sequence for sequences)"
    code = f"nn.utils.rnn.pad_sequence({_list(joined)}, batch_first=True)" if at == 0 else None
    yield Proposal(said=said, code=code, call=joined.offer(said, changes).call)


def _list(joined: Joined) -> str:
    """Return the code of the list: as the author wrote it, else its tensors."""
    begin, end = joined.call.spans.get(joined.key, (0, 0))
    return joined.call.text[begin:end] or f"[{', '.join(one.name for one in joined.parts)}]"
