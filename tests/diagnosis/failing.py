"""Forwards that fail, what is said of them, and the code of their fixes, which must run.

`refused` and `failure` take a module or a function, `watched` and `crashing` a function of a module
with what the module keeps, `likeliest` a `Case`: one line of a forward, as text.
"""

from __future__ import annotations

import inspect
import linecache
from copy import deepcopy
from dataclasses import dataclass
from types import SimpleNamespace

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import attntrace
from attntrace.analysis.diagnosis.families import explained
from attntrace.capture.failed.crashed import crashed
from attntrace.capture.failed.trial import Trial

AROUND = {"torch": torch, "nn": nn, "F": F}
"""The names that the code of a fix may use."""


def zeros(*shape):
    """Return an input."""
    return torch.zeros(shape)


def parameter(*shape):
    """Return a parameter."""
    return nn.Parameter(torch.zeros(shape))


def mask(*shape):
    """Return a mask of bool."""
    return torch.zeros(shape, dtype=torch.bool)


def ids(*shape, fill=0):
    """Return whole numbers, all the same."""
    return torch.full(shape, fill, dtype=torch.long)


class Layered(nn.Module):
    """One layer, under the name that an author may have given it."""

    def __init__(self, fc):
        super().__init__()
        self.fc = fc

    def forward(self, x):
        """Return what the layer makes of x."""
        return self.fc(x)


class Applied(nn.Module):
    """A function as a module."""

    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, *inputs):
        """Return what the function makes of them."""
        return self.function(*inputs)


class Kept(Applied):
    """A function of a module as its forward, with parameters, buffers and layers of its own."""

    def __init__(self, function, **kept):
        super().__init__(function)
        for name, value in kept.items():
            if isinstance(value, Tensor) and not isinstance(value, nn.Parameter):
                self.register_buffer(name, value)
            else:
                setattr(self, name, value)

    def forward(self, *args):
        """Run the function."""
        return self.function(self, *args)


def refused(forward, *inputs):
    """Return the diagnosis of a forward that must fail."""
    with pytest.raises(attntrace.ForwardError) as caught:
        attntrace.trace(forward, *inputs)
    return caught.value.diagnosis


def offered(found):
    """Return what each fix that was tried says."""
    return [fix.said for fix in found.fixes if fix.tried]


def failure(forward, inputs, **known):
    """Return the diagnosis of a forward that raises; the code of each fix must run.

    Inputs are tensors, or shapes of them; `known` are the names that a forward has from around it.
    """
    tensors = [torch.zeros(one) if isinstance(one, tuple) else one for one in inputs]
    found = refused(forward, *tensors)
    called = forward.forward if isinstance(forward, nn.Module) else forward
    names = dict(zip(inspect.signature(called).parameters, tensors, strict=True))
    for fix in found.fixes:
        if fix.code and fix.tried:
            run(fix.code, forward, {**known, **names}, tensors)
    return found


def run(code, forward, known, inputs):
    """Run the code of a fix: an expression as it is, a layer built anew in its module."""
    if " = nn." in code:
        module = deepcopy(forward)
        exec(code, {**AROUND, "self": module})  # noqa: S102 - the code is what is tested
        module(*inputs)
    else:
        exec(code, {**AROUND, **known, "self": forward})  # noqa: S102


@dataclass(frozen=True)
class Said:
    """What is said of a failure: the rule, and each fix with its code."""

    rule: str | None
    fixes: list[str]
    codes: list[str | None]

    @classmethod
    def of(cls, rule, fixes):
        """Return what a rule and its fixes say."""
        return cls(rule, [fix.said for fix in fixes], [fix.code for fix in fixes])

    @property
    def first(self):
        """The rule, the likeliest fix and its code."""
        return (self.rule, *self.fixes[:1], *self.codes[:1])


def watched(function, *args, **kept):
    """Return what is said of a forward that fails while it is traced."""
    found = refused(Kept(function, **kept), *args)
    return Said.of(found.rule, found.fixes)


def crashing(function, *args, **kept):
    """Return what is said of a forward from the traceback of its error alone."""
    with pytest.raises((RuntimeError, TypeError, ValueError, IndexError)) as caught:
        Kept(function, **kept)(*args)
    crash = crashed(caught.value)
    found = explained(crash.call)
    return Said.of(found.rule, Trial.of(crash.call, crash.function).fixes(found.proposals))


def case(title, forward, args, kept, *said):
    """Return a failing forward, and the rule, the first fix and its code, where there is one."""
    return pytest.param(forward, args, kept, said, id=title)


_LINE = """\
class Fails(nn.Module):
    def __init__(self, modules):
        super().__init__()
        for name, module in modules.items():
            setattr(self, name, module)

    def forward(self, {inputs}):
        {line}
        return x
"""


class Case:
    """A line that fails on inputs called x, y and z, and what is to be said of it.

    `fix` is the code of the likeliest fix, or its sentence where it has no code.
    """

    def __init__(self, line, *inputs, rule=None, fix=None, **modules):
        self.line, self.inputs, self.modules = line, inputs, modules
        self.rule, self.fix = rule, fix

    def __repr__(self):
        return f"{self.line} of {', '.join(str(tuple(one.shape)) for one in self.inputs)}"

    @property
    def names(self):
        """The names of the inputs."""
        return ", ".join("xyz"[: len(self.inputs)])


def likeliest(one):
    """Return the rule of a case with its likeliest fix, code or sentence; each code must run."""
    source = _LINE.format(inputs=one.names, line=statement(one.line))
    file = f"/tmp/one_line_{abs(hash(source))}.py"  # noqa: S108 - a name, no file
    linecache.cache[file] = (len(source), None, source.splitlines(keepends=True), file)
    space = {**AROUND}
    exec(compile(source, file, "exec"), space)  # noqa: S102
    found = refused(space["Fails"](one.modules), *one.inputs)
    for fix in found.fixes:
        if fix.code is not None:
            pasted(one, fix.code)
    return found.rule, next((fix.code or fix.said for fix in found.fixes), None)


def statement(line):
    """Return a line that leaves its result in x, if it does not store in a part of x."""
    return line if "] = " in line else f"x = {line}"


def pasted(one, code):
    """Run the forward of a case with the code of a fix: its line, or its layer built anew."""
    modules, line = one.modules, code
    if code.startswith("self.") and " = nn." in code:
        name, _, made = code.removeprefix("self.").partition(" = ")
        modules, line = {**modules, name: eval(made, {"nn": nn})}, one.line  # noqa: S307
    space = {**AROUND}
    forward = f"def forward(self, {one.names}):\n    {statement(line)}\n    return x\n"
    exec(forward, space)  # noqa: S102
    return space["forward"](SimpleNamespace(**modules), *(each.clone() for each in one.inputs))
