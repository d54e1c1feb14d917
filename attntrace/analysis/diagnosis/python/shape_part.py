"""Names for a part of a shape, `h, w = x.shape[1:]`: too many or too few."""

from __future__ import annotations

from collections.abc import Iterator

from attntrace.analysis.diagnosis.call import Culprit, Explained, FailedCall, Given, Proposal
from attntrace.analysis.diagnosis.text import counted, shaped, sizes
from attntrace.analysis.diagnosis.writing import wrapped


def explain(call: FailedCall) -> Explained | None:
    """Return why a part of a shape has not as many sizes as names; None for other calls."""
    whole, parts, wanted = call["whole"], call[0], call[1]
    names = [str(name) for name in call["names"] or ()]
    if call.op != "unpack" or not isinstance(whole, Given):
        return None
    if not isinstance(parts, (tuple, list)):
        return None
    if len(parts) == wanted or any(name.startswith("*") for name in names):
        return None
    left, text = ", ".join(names), call.text.partition("=")[2].strip()
    return Explained(
        rule=f"{counted(wanted, 'name')} ({left}) take {counted(wanted, 'size')}, and `{text}` of "
        f"{shaped(whole)} has {len(parts)}: {sizes(parts)}.",
        culprits=(Culprit(tensor=whole, dim=whole.rank - 1),) if whole.rank else (),
        proposals=tuple(_for_part(whole, (left, wanted, len(parts)))),
    )


def _for_part(whole: Given, named: tuple[str, int, int]) -> Iterator[Proposal]:
    left, wanted, has = named
    shape = whole.shape or ()
    if wanted <= whole.rank:
        code = f"{left} = {wrapped(whole.name)}.shape[-{wanted}:]"
        yield Proposal(
            said=f"take the last {wanted} of the sizes, {sizes(shape[-wanted:])}: `{code}`",
            code=code,
            call=FailedCall(op="unpack", args=(shape[-wanted:], wanted), kwargs={"of": "value"}),
        )
    if wanted == has + 1:
        text = f"{wrapped(whole.name)}.unsqueeze(0)"
        yield Proposal(said=f"or add the axis that {whole.name} lacks before: `{text}`")
