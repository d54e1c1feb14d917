"""What autograd refuses."""

from __future__ import annotations

from copy import deepcopy

import pytest
import torch
from torch import nn

import attntrace
from attntrace.analysis.diagnosis import FailedCall, Given
from attntrace.analysis.diagnosis.kinds.autograd import explain
from tests.diagnosis.failing import Applied, refused


class Added(nn.Module):
    """A parameter that is written into."""

    def __init__(self):
        super().__init__()
        self.w = nn.Parameter(torch.zeros(4))

    def forward(self, x):
        self.w += x
        return self.w


class Stored(Added):
    """A part of a parameter that is written into."""

    def forward(self, x):
        self.w[0] = x[0]
        return self.w


def scale(x):
    """Write into an input."""
    return x.mul_(2.0)


def unbind(x):
    """Write into one of several views."""
    a, b = (x * 2).unbind(0)
    a += 1
    return a + b


def many(x):
    """Go back from more than one number."""
    y = x * 2
    y.backward()
    return y


def twice(x):
    """Go back twice."""
    loss = (x * x).sum()
    loss.backward()
    loss.backward()
    return loss


def alone(x):
    """Go back from what has no graph."""
    loss = x.sum()
    loss.backward()
    return loss


def overwritten(x):
    """Write into what backward needs."""
    y = x.sigmoid()
    y += 1
    y.sum().backward()
    return y


def frozen(x):
    """Freeze what was computed."""
    y = x * 2
    y.requires_grad_(False)
    return y


def remembered(x):
    """Copy what was computed."""
    state = x * 2
    return deepcopy(state)


def tracked(*shape):
    return torch.ones(shape, requires_grad=True)


CASES = {
    "a parameter": (
        Added(),
        [torch.ones(4)],
        (
            "`add_` writes in place into self.w, a parameter that requires grad, and autograd keeps "
            "no history of that."
        ),
        "make a new tensor: `w = self.w + x`",
    ),
    "a part of a parameter": (
        Stored(),
        [torch.ones(4)],
        (
            "`setitem` writes in place into self.w, a view of a parameter that requires grad, and "
            "autograd keeps no history of that."
        ),
        "write into a copy: `w = self.w.clone()` first",
    ),
    "an input": (
        Applied(scale),
        [tracked(4)],
        (
            "`mul_` writes in place into x, a leaf that requires grad, and autograd keeps no history "
            "of that."
        ),
        "make a new tensor: `x = x * 2.0`",
    ),
    "one of several views": (
        Applied(unbind),
        [tracked(2, 4)],
        (
            "`add_` writes in place into a, one of the views that unbind returned together, which "
            "autograd forbids."
        ),
        "make a new tensor: `a = a + 1`",
    ),
    "no scalar": (
        Applied(many),
        [tracked(2, 4)],
        "`backward` without an argument needs 1 element, and y (2, 4) has 8.",
        "take the mean: `y.mean().backward()`",
    ),
    "twice": (
        Applied(twice),
        [tracked(2, 4)],
        (
            "backward freed what the graph had saved, and it runs a second time through (part of) "
            "that graph."
        ),
        (
            "detach what is carried from one step to the next, such as a hidden state: "
            "`state = state.detach()`"
        ),
    ),
    "no graph": (
        Applied(alone),
        [torch.ones(2, 4)],
        "`backward` needs a tensor that requires grad, and loss does not.",
        (
            "compute loss outside torch.no_grad(), and from parameters without .detach(), .item(), "
            ".data, argmax or a round trip through numpy"
        ),
    ),
    "written into since": (
        Applied(overwritten),
        [tracked(2, 4)],
        (
            "backward needs the output of sigmoid of (2, 4) as it was at version 0, and it was "
            "written into in place since: it is at version 1."
        ),
        (
            "do not write in place into what is still needed: `x = x + y` for `x += y`, `nn.ReLU()` "
            "for `nn.ReLU(inplace=True)`, no method with a trailing underscore"
        ),
    ),
    "numpy": (
        Applied(lambda x: x.numpy()),
        [tracked(4)],
        "numpy knows no gradients, and x requires grad.",
        "detach it: `x.detach().numpy()`",
    ),
    "a copy of what was computed": (
        Applied(remembered),
        [tracked(4)],
        "deepcopy copies only tensors that have no history, and state was computed.",
        "copy the values: `state.detach().clone()`",
    ),
    "the flag of what was computed": (
        Applied(frozen),
        [tracked(4)],
        "requires_grad can be set only for a leaf, and y was computed by an operation.",
        "cut it from the graph: `y = y.detach()`",
    ),
    "a gradient of what was computed without": (
        Applied(lambda x: torch.autograd.grad(x.detach().sum(), x)[0]),
        [tracked(4)],
        "`grad` needs an output that requires grad, and x.detach().sum() does not, though x does: gradients were off in between.",
        "record gradients where x.detach().sum() is computed: `--grad` in a command, `with torch.enable_grad():` in the code, no torch.no_grad() around it",
    ),
    "what the output does not depend on": (
        Applied(lambda x, y: torch.autograd.grad((x * 2).sum(), [y])[0]),
        [tracked(4), tracked(4)],
        "`grad` was asked for the gradient of a tensor that the output does not depend on.",
        "hand over `allow_unused=True`, which returns None for it, or leave it out",
    ),
}


@pytest.mark.parametrize(("module", "inputs", "rule", "fix"), CASES.values(), ids=CASES)
def test_autograd(module, inputs, rule, fix):
    """The rule says what autograd needs, and the first fix what to write instead."""
    found = refused(module, *inputs)
    assert found.rule == rule
    assert found.fixes[0].said == fix


def test_an_optimizer_that_stepped_too_early():
    """A weight that was written into is an optimizer's doing before anything else."""
    call = FailedCall(
        op="backward",
        args=(Given(name="loss", shape=()),),
        message=(
            "one of the variables needed for gradient computation has been modified by an "
            "inplace operation: [torch.FloatTensor [10, 4]], which is output 0 of "
            "AsStridedBackward0, is at version 2; expected version 1 instead. Hint: ..."
        ),
    )
    assert explain(call).rule == (
        "backward needs the output of asstrided of (10, 4) as it was at version 1, and it was "
        "written into in place since: it is at version 2."
    )


def test_a_tensor_in_the_place_of_a_parameter():
    """A parameter is replaced by a parameter alone."""
    message = "cannot assign 'torch.FloatTensor' as parameter 'w' (torch.nn.Parameter or None ...)"
    found = explain(FailedCall(op="", message=message))
    assert found.rule == (
        "`w` is a parameter of the module, and a torch.FloatTensor was assigned to it."
    )


def test_what_torch_itself_puts_into_a_tuple_has_the_authors_name():
    """autograd.grad takes one tensor or several, and tells its own as a tuple of one."""

    class Forces(nn.Module):
        def forward(self, x):
            energy = x.detach().sum()
            return torch.autograd.grad(energy, x)[0]

    found = refused(Forces(), tracked(4))
    assert [one.name for one in found.operands] == ["energy", "x"]


GROWS = """
from torch import nn

class Grows(nn.Module):
    def forward(self, x):
        y = x.exp()
        out = y * 2
        y.add_(1)
        return out.sigmoid() + y
"""


def test_a_backward_that_the_author_did_not_write(tmp_path, monkeypatch):
    """Where `--grad` runs backward, what it refuses is explained like a backward of the author's."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "grows.py").write_text(GROWS)
    spec = attntrace.load("grows.py:Grows", inputs={"x": "2,5"}, run={"grad": True})
    with pytest.raises(attntrace.ForwardError) as caught:
        attntrace.run(spec)
    found = caught.value.diagnosis
    assert found.op == "backward"
    assert found.rule == (
        "backward needs the output of exp of (2, 5) as it was at version 0, and it was written "
        "into in place since: it is at version 1."
    )
    assert [step.line for step in found.origin] == ["y.add_(1)"]
    assert len(found.fixes) == 2
