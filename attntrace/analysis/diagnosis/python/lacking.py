"""A name, an attribute or a key that is not there: what is there of like names."""

from __future__ import annotations

from collections.abc import Iterator

from attntrace.analysis.diagnosis.call import Explained, FailedCall, Proposal
from attntrace.analysis.diagnosis.python.facts import Lacks
from attntrace.analysis.diagnosis.text import a_or_an, counted, listed

_OF_ARRAYS = {
    "astype": "to(torch.float32)",
    "copy": "clone()",
    "concatenate": "cat",
    "tolist": "tolist()",
    "expand_dims": "unsqueeze(0)",
    "swapaxes": "transpose(0, 1)",
}
"""What arrays have, and what tensors have for it."""
_LISTS = ("ModuleList", "ParameterList", "Sequential", "list", "tuple")


def explain(call: FailedCall) -> Explained | None:
    """Return what is not there, and what is; None for other calls."""
    about = call.about
    if not isinstance(about, Lacks):
        return None
    if about.is_early:
        return _early(about)
    if about.is_key:
        return _beyond(about) if about.type in _LISTS else _no_key(about)
    return _no_name(about)


def _early(about: Lacks) -> Explained:
    code = "super().__init__()"
    return Explained(
        rule=f"`{about.owner}.{about.name}` is assigned before `{code}`, which makes the places "
        f"where {about.type} keeps its modules and parameters.",
        proposals=(Proposal(said=f"call it first in __init__: `{code}`", code=code),),
    )


def _no_name(about: Lacks) -> Explained:
    known = about.alike or about.has
    has = f"; it has {listed(f'`{name}`' for name in known)}" if known else ""
    if about.owner:
        rule = f"`{about.owner}`{_kind(about)} has no attribute `{about.name}`{has}."
    elif about.type == "unset":
        rule = f"`{about.name}` has no value yet: the lines that assign it did not run."
    else:
        near = f"; there is {listed(f'`{name}`' for name in about.alike)}" if about.alike else ""
        rule = f"The name `{about.name}` is not defined{near}."
    return Explained(rule=rule, proposals=tuple(_named(about)))


def _kind(about: Lacks) -> str:
    return "" if about.type == "module" else f", {a_or_an(about.type)},"


def _named(about: Lacks) -> Iterator[Proposal]:
    of_array = _OF_ARRAYS.get(about.name) if about.type == "Tensor" else None
    dot = f"{about.owner}." if about.owner else ""
    if of_array is not None:
        code = f"{dot}{of_array}"
        yield Proposal(said=f"that is an array's; a tensor has `{code}`", code=code)
        return
    for name in about.alike[:2]:
        yield Proposal(said=f"did you mean `{dot}{name}`?", code=f"{dot}{name}")
    if about.alike:
        return
    if about.type == "unset":
        yield Proposal(said=f"give {about.name} a value on every way to this line")
    elif about.owner == "self":
        code = f"self.{about.name} = ..."
        yield Proposal(said=f"set it in __init__: `{code}`", code=code)


def _no_key(about: Lacks) -> Explained:
    keys = listed(repr(key) for key in about.has) if about.has else "none"
    owner = about.owner
    ways = [
        Proposal(said=f"did you mean `{owner}[{key!r}]`?", code=f"{owner}[{key!r}]")
        for key in about.alike[:2]
    ]
    return Explained(
        rule=f"`{owner}` has no key {about.name!r}: its keys are {keys}.", proposals=tuple(ways)
    )


def _beyond(about: Lacks) -> Explained:
    count = len(about.has)
    last = f", 0 to {count - 1}" if count else ""
    code = f"{about.owner}[-1]"
    ways = (Proposal(said=f"the last one is `{code}`", code=code),) if count else ()
    return Explained(
        rule=f"`{about.owner}[{about.name}]` asks for one more than there are: {about.owner} has "
        f"{counted(count, 'entry').replace('entrys', 'entries')}{last}.",
        proposals=ways,
    )
