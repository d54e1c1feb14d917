"""pack_padded_sequence: as many lengths as samples, falling, and none of 0."""

from __future__ import annotations

from attntrace.analysis.diagnosis.call import Culprit, Explained, FailedCall, Given, Proposal
from attntrace.analysis.diagnosis.text import shaped
from attntrace.analysis.diagnosis.writing import changed, with_keyword

OP = "pack_padded_sequence"


def unpackable(call: FailedCall) -> Explained | None:
    """Return why sequences were not packed."""
    x, lengths = call.argument(0, "input"), call.argument(1, "lengths")
    if call.op != OP or not isinstance(x, Given) or not isinstance(lengths, Given):
        return None
    batch_first = bool(call.argument(2, "batch_first"))
    dim, count = (0 if batch_first else 1), (lengths.shape or (0,))[0]
    have = (x.shape or ())[dim] if x.rank > dim else 1
    if have != count:
        return _miscounted(call, x, lengths, dim)
    if lengths.least is not None and lengths.least < 1:
        kept = lengths.then("clamp", 1)
        rule = f"`{OP}` needs lengths of at least 1, and the least of {lengths.name} is {lengths.least}."
        text = f"{lengths.name}.clamp(min=1)"
        said = f"leave empty samples out, or give them one step of padding: `{text}`"
        key = call.key(1, "lengths")
        return Explained(rule=rule, proposals=(changed(call, said, {key: kept}, {key: text}),))
    if call.argument(3, "enforce_sorted") is False:
        return None
    rule = f"`{OP}` takes lengths from the longest to the shortest, and {lengths.name} are not so."
    said = "let it sort them, and sort the results back: `enforce_sorted=False`"
    code = with_keyword(call, "enforce_sorted=False")
    return Explained(
        rule=rule,
        proposals=(Proposal(said=said, code=code, call=call.given(enforce_sorted=False)),),
    )


def _miscounted(call: FailedCall, x: Given, lengths: Given, dim: int) -> Explained:
    count, shape = (lengths.shape or (0,))[0], x.shape or ()
    rule = (
        f"`{OP}` with batch_first={dim == 0} reads size {dim} of {shaped(x)} as the batch, "
        f"{shape[dim]}, and {lengths.name} has {count}."
    )
    proposals = []
    if dim == 1 and shape[0] == count:
        turned = call.given(batch_first=True, enforce_sorted=False)  # no trial knows their order
        code = with_keyword(call, "batch_first=True")
        said = f"say that the batch of {count} comes first: `batch_first=True`"
        proposals.append(Proposal(said=said, code=code, call=turned))
    return Explained(rule=rule, culprits=(Culprit(tensor=x, dim=dim),), proposals=tuple(proposals))
