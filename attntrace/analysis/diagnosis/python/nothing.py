"""None where a tensor is wanted: a mask not given, a forward without `return`."""

from __future__ import annotations

from collections.abc import Iterator

from attntrace.analysis.diagnosis.call import Explained, FailedCall, Proposal
from attntrace.analysis.diagnosis.python.facts import NoTensor
from attntrace.analysis.diagnosis.text import quoted


def explain(call: FailedCall) -> Explained | None:
    """Return which name is None, and why; None for other calls."""
    about = call.about
    if not isinstance(about, NoTensor) or about.type != "NoneType":
        return None
    if about.name == "None":
        return Explained(rule=f"{quoted(call)} needs a tensor where None is written.")
    wants = f"A tensor has `{about.asked}`" if about.asked else f"{quoted(call)} needs a tensor"
    wants = f"`{about.asked}` takes a value apart" if " = " in about.asked else wants
    return Explained(
        rule=f"{wants}, and `{about.name}` is None{_why(about)}.",
        proposals=tuple(_ways(call, about)),
    )


def _why(about: NoTensor) -> str:
    made = about.made
    if made is not None and made.returns is not None:
        return f": `{made.called}` returns nothing"
    if made is not None and made.target:
        return f", which `{made.text}` returned"
    if about.parameter_of:
        return f", as {about.parameter_of} was given no other"
    return ""


def _ways(call: FailedCall, about: NoTensor) -> Iterator[Proposal]:
    made, name = about.made, about.name
    if made is not None and made.returns is not None:
        where = f"{made.type}.forward" if made.type else made.called
        last = made.returns or "..."
        said = f"end {where} with a return: `return {last}`"
        yield Proposal(said=said, code=f"return {last}" if made.returns else None)
        return
    if about.parameter_of:
        function = about.parameter_of.partition("(")[0]
        yield Proposal(said=f"hand {name} over where {function} is called: `{name}=...`")
    guarded = f"if {name} is not None:"
    code = _without(call, about)
    if code is not None:
        yield Proposal(said=f"do without where there is none: `{code}`", code=code)
    else:
        yield Proposal(said=f"do this only where there is one: `{guarded}`", code=guarded)


def _without(call: FailedCall, about: NoTensor) -> str | None:
    """Return the expression that leaves None out: "x + mask if mask is not None else x"."""
    if about.key is None or not call.text or "=" in call.text.split("(")[0]:
        return None
    others = [call.text[slice(*span)] for key, span in call.spans.items() if key != about.key]
    if call.op not in ("add", "sub", "mul", "masked_fill", "add_", "mul_") or not others:
        return None
    return f"{call.text} if {about.name} is not None else {others[0]}"
