"""What is called and has no forward: a list of layers, a ModuleList, a parameter."""

from __future__ import annotations

from collections.abc import Iterator

from attntrace.analysis.diagnosis.call import Explained, FailedCall, Given, Proposal
from attntrace.analysis.diagnosis.python.facts import Lacks, NoTensor
from attntrace.analysis.diagnosis.text import a_or_an, quoted

_LISTS = ("ModuleList", "list of modules", "list")
_TENSORS = ("Parameter", "Tensor", "Buffer")


def explain(call: FailedCall) -> Explained | None:
    """Return why something cannot be called; None for other calls."""
    about = call.about
    if isinstance(about, NoTensor) and (about.type == "method" or about.asked == "for"):
        return _otherwise(call, about)
    if isinstance(about, NoTensor) and about.asked == "()":
        return _explained(call, about.type, about.name)
    if isinstance(about, Lacks) and about.name == "forward":
        if about.type in ("ModuleList", "ModuleDict"):
            return _explained(call, about.type, about.owner)
        return _no_forward(about)
    return None


def _explained(call: FailedCall, kind: str, name: str) -> Explained:
    what = {"ModuleList": "an nn.ModuleList, which only holds layers and has no forward",
            "ModuleDict": "an nn.ModuleDict, which only holds layers and has no forward",
            "list of modules": "a list of layers and no module itself",
            "NoneType": "None"}.get(kind, a_or_an(kind))  # fmt: skip
    return Explained(
        rule=f"{quoted(call)} calls `{name}`: that is {what}.",
        proposals=tuple(_ways(call, kind, name)),
    )


def _ways(call: FailedCall, kind: str, name: str) -> Iterator[Proposal]:
    inside = call.text.partition("(")[2].removesuffix(")") or "x"
    if kind in _LISTS:
        code = f"for layer in {name}: x = layer({inside})"
        yield Proposal(said=f"call its layers one after the other: `{code}`", code=code)
        stacked = f"{name} = nn.Sequential(*layers)"
        said = f"or build it as one that hands on by itself: `{stacked}`"
        yield Proposal(said=said, code=stacked)
        if kind != "ModuleList":
            yield Proposal(
                said="keep layers in an nn.ModuleList at least: the parameters of a plain list are "
                "none of the module's, and .to(...) and the optimizer pass them by",
                code=f"{name} = nn.ModuleList(layers)",
            )
    elif kind == "ModuleDict":
        yield Proposal(said=f"call one of its layers: `{name}[key]({inside})`")
    elif kind == "Size":
        yield Proposal(said=f"index it: `{name}[{inside}]`", code=f"{name}[{inside}]")
    elif kind in _TENSORS:
        for sign, meant in (("@", "a matrix product"), ("*", "a factor per element")):
            code = f"{inside} {sign} {name}"
            yield Proposal(said=f"if it is meant as {meant}: `{code}`", code=code)
    elif kind == "NoneType":
        code = f"if {name} is not None:"
        yield Proposal(said=f"call it only where there is one: `{code}`", code=code)


def _otherwise(call: FailedCall, about: NoTensor) -> Explained | None:
    """A method that is indexed, and a number that a loop is to go through."""
    if about.type == "method" and about.asked.startswith("["):
        code = f"{about.name}({about.asked[1:-1]})"
        said = f"call it, with parentheses: `{code}`"
        rule = f"{quoted(call)} indexes `{about.name}`: that is a method."
        return Explained(rule=rule, proposals=(Proposal(said=said, code=code),))
    if about.type == "int" and about.asked == "for":
        code = f"range({about.name})"
        rule = f"A loop goes through many, and `{about.name}` is one number, {about.value}."
        way = Proposal(said=f"count up to it: `{code}`", code=code)
        return Explained(rule=rule, proposals=(way,))
    return None


def _no_forward(about: Lacks) -> Explained:
    near = f"; it has `{about.alike[0]}`" if about.alike else ""
    code = "def forward(self, x):"
    named = f"rename `{about.alike[0]}` to `forward`" if about.alike else f"write one: `{code}`"
    return Explained(
        rule=f"{about.type} has no forward, which a call of the module runs{near}.",
        proposals=(Proposal(said=named, code=code),),
    )


def explain_parameter(call: FailedCall) -> Explained | None:
    """Return why a tensor of whole numbers is no parameter; None for other calls."""
    tensor = call[0]
    if call.op != "Parameter" or not isinstance(tensor, Given) or call["requires_grad"] is False:
        return None
    if not tensor.dtype.startswith(("int", "uint", "bool")):
        return None
    text = f"({tensor.name})" if " " in tensor.name else tensor.name
    return Explained(
        rule=f"A parameter has a gradient, which only floats have, and {tensor.name} is "
        f"{tensor.dtype}.",
        proposals=(
            Proposal(
                said=f"make it float: `nn.Parameter({text}.float())`",
                code=call.code({0: f"{text}.float()"}),
                call=call.at({0: tensor.then("float")}),
            ),
            Proposal(
                said="if it is not to be learnt, keep it as a buffer: "
                f'`self.register_buffer("name", {tensor.name})`, or give requires_grad=False',
                call=call.given(requires_grad=False),
            ),
        ),
    )
