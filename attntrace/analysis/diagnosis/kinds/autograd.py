"""What autograd refuses. Here the message is read: operands do not show what a graph needs."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace

from attntrace.analysis.diagnosis.call import Explained, FailedCall, Given, Proposal
from attntrace.analysis.diagnosis.kinds.dtype_rules import bare
from attntrace.analysis.diagnosis.text import names_of, shaped
from attntrace.analysis.diagnosis.writing import changed, wrapped, written

Found = re.Match[str]


def explain(call: FailedCall) -> Explained | None:
    """Return what autograd refused."""
    for pattern, told in MESSAGES:
        found = re.search(pattern, call.message, re.DOTALL)
        if found is not None:
            return told(call, found)
    return None


def _tensor(call: FailedCall) -> Given | None:
    return next((one for _, one in call.tensors()), None)


def _name(call: FailedCall, otherwise: str) -> str:
    one = _tensor(call)
    return one.name if one is not None else otherwise


def _written_into(call: FailedCall, found: Found) -> Explained:
    one, name = _tensor(call), _name(call, "the tensor")
    what = "a view of a leaf" if found[1] else "a leaf"
    if one is not None and one.path is not None:
        what = f"{'a view of ' * bool(found[1])}a parameter"
    rule = (
        f"`{call.op}` writes in place into {name}, {what} that requires grad, "
        f"and autograd keeps no history of that."
    )
    proposals = _anew(call, one)
    if one is not None:
        copied, other = one.then("clone"), name
        if one.path is not None:
            other = name.rpartition(".")[2]
        said = f"write into a copy: `{other} = {written(copied)}` first"
        proposals.append(Proposal(said=said, call=call.at({0: copied})))
    said = "or, to set values that need no gradient, wrap the line in `with torch.no_grad():`"
    free = call.at({0: replace(one, requires_grad=False)}) if one is not None else None
    return Explained(rule=rule, proposals=(*proposals, Proposal(said=said, call=free)))


def _anew(call: FailedCall, one: Given | None) -> list[Proposal]:
    """Make a new tensor in place of writing into one."""
    op = bare(call.op)
    signs = {"add": "+", "sub": "-", "mul": "*", "div": "/", "truediv": "/"}
    other = call.argument(1, "other")
    text = other.name if isinstance(other, Given) else repr(other)
    if one is None or op not in signs or other is None:
        return []
    name = one.name if one.path is None else one.name.rpartition(".")[2]
    code = f"{name} = {one.name} {signs[op]} {text}"
    without = replace(call, op="div" if op == "truediv" else op)
    return [Proposal(said=f"make a new tensor: `{code}`", call=without)]


def _one_of_many(call: FailedCall, found: Found) -> Explained:
    one, name = _tensor(call), _name(call, "the tensor")
    rule = (
        f"`{call.op}` writes in place into {name}, one of the views that "
        f"{found[1].removesuffix('Backward0').lower()} returned together, which autograd forbids."
    )
    copies = []
    if one is not None:
        copied = one.then("clone")
        said = f"write into a copy: `{name} = {written(copied)}` first"
        copies.append(Proposal(said=said, call=call.at({0: copied})))
    return Explained(rule=rule, proposals=(*_anew(call, one), *copies))


def _overwritten(call: FailedCall, found: Found) -> Explained:
    del call
    shape, maker, have, expected = found.groups()
    op = re.sub(r"Backward\d*$", "", maker or "").lower()
    what = f"the output of {op}" if op and op != "accumulategrad" else "a leaf"
    rule = (
        f"backward needs {what} of ({shape}) as it was at version {expected}, and it was written "
        f"into in place since: it is at version {have}."
    )
    said = (
        "do not write in place into what is still needed: `x = x + y` for `x += y`, `nn.ReLU()` "
        "for `nn.ReLU(inplace=True)`, no method with a trailing underscore"
    )
    copy = "or write into a copy: `x = x.clone()` before the line that writes"
    step = "or call optimizer.step() only after every backward() that needs the old weights"
    proposals = [Proposal(said=said), Proposal(said=copy)]
    if what == "a leaf" or op in {"t", "transpose"}:
        proposals.insert(0, Proposal(said=step.removeprefix("or ")))
    return Explained(rule=rule, proposals=tuple(proposals[:3]))


def _twice(call: FailedCall, _: Found) -> Explained:
    del call
    rule = (
        "backward freed what the graph had saved, and it runs a second time through (part of) "
        "that graph."
    )
    state = (
        "detach what is carried from one step to the next, such as a hidden state: "
        "`state = state.detach()`"
    )
    both = "or add the losses and call backward once: `(first + second).backward()`"
    keep = "or keep the graph: `loss.backward(retain_graph=True)`"
    return Explained(
        rule=rule, proposals=tuple(Proposal(said=said) for said in (state, both, keep))
    )


def _no_graph(call: FailedCall, _: Found) -> Explained:
    name = _name(call, "the loss")
    if call.op == "grad":
        return _grad_off(call, name.removesuffix("[0]"))
    rule = f"`{call.op or 'backward'}` needs a tensor that requires grad, and {name} does not."
    graph = (
        f"compute {name} outside torch.no_grad(), and from parameters without .detach(), .item(), "
        f".data, argmax or a round trip through numpy"
    )
    frozen = "or let a parameter require grad: `model.requires_grad_(True)`"
    proposals = [Proposal(said=said, call=_with_graph(call)) for said in (graph, frozen)]
    return Explained(rule=rule, proposals=tuple(proposals))


def _grad_off(call: FailedCall, name: str) -> Explained:
    """Return what is said of autograd.grad: mostly gradients were off where `name` was computed."""
    wanted = [one.name.removesuffix("[0]") for _, one in call.tensors() if one.requires_grad]
    rule = f"`grad` needs an output that requires grad, and {name} does not"
    rule += f", though {wanted[0]} does: gradients were off in between." if wanted else "."
    on = (
        f"record gradients where {name} is computed: `--grad` in a command, "
        "`with torch.enable_grad():` in the code, no torch.no_grad() around it"
    )
    cut = f"and compute {name} without .detach(), .item() or a round trip through numpy"
    return Explained(rule=rule, proposals=(Proposal(said=on), Proposal(said=cut)))


def _with_graph(call: FailedCall) -> FailedCall:
    """Return the call as it is where its tensors require grad."""
    args = tuple(
        replace(one, requires_grad=True) if isinstance(one, Given) else one for one in call.args
    )
    return replace(call, args=args)


def _no_scalar(call: FailedCall, _: Found) -> Explained:
    one = _tensor(call)
    if one is None or one.shape is None:
        return Explained(rule="backward() without an argument needs a loss of one element.")
    count = 1
    for size in one.shape:
        count *= size
    rule = f"`backward` without an argument needs 1 element, and {shaped(one)} has {count}."
    proposals = [
        changed(call, f"{said}: `{written(less)}.backward()`", {0: less})
        for said, less in (("take the mean", one.then("mean")), ("or the sum", one.then("sum")))
    ]
    return Explained(rule=rule, proposals=tuple(proposals))


def _numpy(call: FailedCall, _: Found) -> Explained:
    one, name = _tensor(call), _name(call, "the tensor")
    rule = f"numpy knows no gradients, and {name} requires grad."
    if one is None:
        return Explained(rule=rule, proposals=(Proposal(said="detach it: `.detach().numpy()`"),))
    free = one.then("detach")
    return Explained(
        rule=rule, proposals=(changed(call, f"detach it: `{written(free)}.numpy()`", {0: free}),)
    )


def _deepcopied(call: FailedCall, _: Found) -> Explained:
    name = _name(call, "a tensor in it")
    rule = f"deepcopy copies only tensors that have no history, and {name} was computed."
    said = f"copy the values: `{wrapped(name)}.detach().clone()`" if _tensor(call) else (
        "detach what the module holds: `self.state = state.detach()`"
    )  # fmt: skip
    one = _tensor(call)
    free = call.at({0: one.then("detach")}) if one is not None else None
    return Explained(rule=rule, proposals=(Proposal(said=said, call=free),))


def _flag(call: FailedCall, _: Found) -> Explained:
    one, name = _tensor(call), _name(call, "the tensor")
    rule = f"requires_grad can be set only for a leaf, and {name} was computed by an operation."
    if one is None:
        return Explained(rule=rule, proposals=(Proposal(said="use `.detach()`"),))
    free = one.then("detach")
    said = f"cut it from the graph: `{name} = {written(free)}`"
    return Explained(rule=rule, proposals=(Proposal(said=said, call=call.at({0: free})),))


def _unused(call: FailedCall, _: Found) -> Explained:
    rule = f"`{call.op or 'grad'}` was asked for the gradient of a tensor that the output does not depend on."
    said = "hand over `allow_unused=True`, which returns None for it, or leave it out"
    allowed = call.given(allow_unused=True)
    return Explained(rule=rule, proposals=(Proposal(said=said, call=allowed),))


def _inference(call: FailedCall, _: Found) -> Explained:
    left = names_of(one for _, one in call.tensors()) if call.tensors() else "a tensor"
    rule = f"`{call.op}` got {left} from torch.inference_mode(), which autograd cannot record."
    proposals = [
        Proposal(said="compute it under torch.no_grad() in place of torch.inference_mode()"),
        Proposal(said="or copy it outside: `.clone()`"),
    ]
    return Explained(rule=rule, proposals=tuple(proposals))


def _no_parameter(call: FailedCall, found: Found) -> Explained:
    del call
    kind, name = found.groups()
    rule = f"`{name}` is a parameter of the module, and a {kind} was assigned to it."
    said = f"write into it, `with torch.no_grad(): self.{name}.copy_(value)`"
    whole = f"or assign a parameter: `self.{name} = nn.Parameter(value)`"
    return Explained(rule=rule, proposals=(Proposal(said=said), Proposal(said=whole)))


def _retained(call: FailedCall, _: Found) -> Explained:
    name = _name(call, "the tensor")
    rule = f"`retain_grad` keeps the gradient of a tensor that requires grad, and {name} does not."
    said = "let it require grad: `.requires_grad_()`, or compute it outside torch.no_grad()"
    return Explained(rule=rule, proposals=(Proposal(said=said),))


_VERSIONS = (
    r"modified by an inplace operation: \[[\w.]+ \[([\d, ]*)\]\](?:, which is output \d+ of "
    r"(\w+))?,? is at version (\d+); expected version (\d+)"
)
MESSAGES: tuple[tuple[str, Callable[[FailedCall, Found], Explained]], ...] = (
    (
        r"a (view of a )?leaf Variable that requires grad is being used in an in-place",
        _written_into,
    ),
    (r"Output \d+ of (\w+) is a view and is being modified inplace", _one_of_many),
    (_VERSIONS, _overwritten),
    (r"Trying to backward through the graph a second time", _twice),
    (r"element \d+ of tensors does not require grad", _no_graph),
    (r"grad can be implicitly created only for scalar outputs", _no_scalar),
    (r"call numpy\(\) on Tensor that requires grad", _numpy),
    (r"created explicitly by the user \(graph leaves\) support the deepcopy", _deepcopied),
    (r"you can only change requires_grad flags of leaf variables", _flag),
    (r"appears? to not have been used in the graph", _unused),
    (r"[Ii]nference tensors? (cannot|outside)", _inference),
    (r"cannot assign '([\w.]+)' as parameter '(\w+)'", _no_parameter),
    (r"can't retain_grad on Tensor that has requires_grad=False", _retained),
)
"""Each begins as torch's own text does, and is told by the function beside it."""
