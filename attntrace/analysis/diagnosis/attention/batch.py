"""The batches of scaled_dot_product_attention, which must agree but for ones of 1."""

from __future__ import annotations

from attntrace.analysis.diagnosis.attention.roles import (
    OP,
    Attended,
    clash,
    culprit,
    pairs,
    roles,
    size,
)
from attntrace.analysis.diagnosis.call import Explained, Proposal
from attntrace.analysis.diagnosis.text import shaped, ticked
from attntrace.analysis.diagnosis.writing import changed, written


def batches(a: Attended) -> Explained | None:
    """Return whose batches do not agree; None where all do."""
    found = next(((pair, dim) for pair in pairs(a) if (dim := clash(*pair)) is not None), None)
    if found is None:
        return None
    (one, other), dim = found
    if a.call["enable_gqa"] and dim == -3 and one.rank > 3:
        return None
    have, met = size(one, dim), size(other, dim)
    rule = (
        f"`{OP}` needs {one.name} and {other.name} of the same batch, and size {one.rank + dim} "
        f"of {shaped(one)} is {have} where that of {shaped(other)} is {met}."
    )
    return Explained(
        rule=rule,
        culprits=(culprit(other, dim), culprit(one, dim)),
        proposals=(*_repeated(a, have, met, dim), *_turned(a)),
    )


def _repeated(a: Attended, have: int, met: int, dim: int) -> list[Proposal]:
    """Repeat the smaller batch, as beams and samples of one prompt do."""
    few, many = sorted((have, met))
    if many % few:
        return []
    axis = a.q.rank + dim
    small = [(role, one) for role, one in roles(a) if size(one, dim) == few]
    changes = {a.key(role): one.then("repeat_interleave", many // few, axis) for role, one in small}
    texts = {
        a.key(role): f"{one.name}.repeat_interleave({many // few}, dim={axis})"
        for role, one in small
    }
    said = f"repeat each of the {few} {many // few} times: {ticked(texts.values())}"
    return [changed(a.call, said, changes, texts)]


def _turned(a: Attended) -> list[Proposal]:
    """Swap batch and length of three dimensions: of queries, of keys and values, or of all."""
    if a.q.rank != 3:
        return []
    proposals = []
    for chosen in (("query",), ("key", "value"), ("query", "key", "value")):
        moved = {
            a.key(role): one.then("transpose", 0, 1) for role, one in roles(a) if role in chosen
        }
        said = f"swap batch and length: {ticked(map(written, moved.values()))}"
        proposals.append(changed(a.call, said, moved))
    return proposals
