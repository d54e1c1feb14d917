"""Names for a part of a shape, `h, w = x.shape[1:]`, or for other numbers: too many or too few."""

from __future__ import annotations

from collections.abc import Iterator

from attntrace.analysis.diagnosis.call import Culprit, Explained, FailedCall, Given, Proposal
from attntrace.analysis.diagnosis.text import counted, shaped, sizes
from attntrace.analysis.diagnosis.writing import wrapped


def explain(call: FailedCall) -> Explained | None:
    """Return why numbers are not as many as their names; None for other calls."""
    whole, parts, wanted = call["whole"], call[0], call[1]
    names = [str(name) for name in call["names"] or ()]
    if call.op != "unpack" or not isinstance(parts, (tuple, list)) or not parts:
        return None
    if not all(isinstance(part, int) for part in parts):
        return None
    if len(parts) == wanted or any(name.startswith("*") for name in names):
        return None
    left, text = ", ".join(names), call.text.partition("=")[2].strip()
    noun, of, ways = "number", "", _last(text, tuple(parts), (left, wanted, "numbers"))
    if isinstance(whole, Given):
        noun, of, ways = "size", f" of {shaped(whole)}", _of_shape(whole, left, wanted, len(parts))
    return Explained(
        rule=f"{counted(wanted, 'name')} ({left}) take {counted(wanted, noun)}, and `{text}`{of} "
        f"has {len(parts)}: {sizes(parts)}.",
        culprits=(Culprit(tensor=whole, dim=whole.rank - 1),) if of and whole.rank else (),
        proposals=tuple(ways),
    )


def _of_shape(whole: Given, left: str, wanted: int, has: int) -> Iterator[Proposal]:
    shape = f"{wrapped(whole.name)}.shape"
    yield from _last(shape, whole.shape or (), (left, wanted, "sizes"))
    if wanted == has + 1:
        text = f"{wrapped(whole.name)}.unsqueeze(0)"
        yield Proposal(said=f"or add the axis that {whole.name} lacks before: `{text}`")


def _last(text: str, values: tuple[int, ...], named: tuple[str, int, str]) -> Iterator[Proposal]:
    """Yield to take the last of them, where there are enough."""
    left, wanted, nouns = named
    if wanted <= len(values):
        code, last = f"{left} = {wrapped(text)}[-{wanted}:]", values[-wanted:]
        yield Proposal(
            said=f"take the last {wanted} of the {nouns}, {sizes(last)}: `{code}`",
            code=code,
            call=FailedCall(op="unpack", args=(last, wanted), kwargs={"of": "value"}),
        )
