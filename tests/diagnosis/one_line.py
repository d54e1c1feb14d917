"""Modules of one line that fail, and what is to be said of them."""

from __future__ import annotations

import linecache
from types import SimpleNamespace

import pytest
import torch
from torch import nn
from torch.nn import functional as F

import attntrace

_MODULE = """\
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


def ids(*shape, fill=0):
    """Return whole numbers, all the same."""
    return torch.full(shape, fill, dtype=torch.long)


def statement(line):
    """Return a line that leaves its result in x, if it does not store in a part of x."""
    return line if "] = " in line else f"x = {line}"


def diagnosed(case):
    """Return the diagnosis of the forward of a case."""
    source = _MODULE.format(inputs=case.names, line=statement(case.line))
    file = f"/tmp/one_line_{abs(hash(source))}.py"  # noqa: S108 - a name, no file
    linecache.cache[file] = (len(source), None, source.splitlines(keepends=True), file)
    space = {"nn": nn, "torch": torch, "F": F}
    exec(compile(source, file, "exec"), space)  # noqa: S102
    with pytest.raises(attntrace.ForwardError) as caught:
        attntrace.trace(space["Fails"](case.modules), *case.inputs)
    return caught.value.diagnosis


def pasted(case, code):
    """Run the forward of a case with the code of a fix: its line, or its layer built anew."""
    modules, line = case.modules, code
    if code.startswith("self.") and " = nn." in code:
        name, _, made = code.removeprefix("self.").partition(" = ")
        modules, line = {**modules, name: eval(made, {"nn": nn})}, case.line  # noqa: S307
    space = {"nn": nn, "torch": torch, "F": F}
    forward = f"def forward(self, {case.names}):\n    {statement(line)}\n    return x\n"
    exec(forward, space)  # noqa: S102
    return space["forward"](SimpleNamespace(**modules), *(one.clone() for one in case.inputs))


def check(case):
    """Assert the rule and the likeliest fix of a case, and that the code of each fix runs."""
    found = diagnosed(case)
    said = [fix.code or fix.said for fix in found.fixes]
    assert (found.rule, said[:1]) == (case.rule, [case.fix] if case.fix else [])
    for fix in found.fixes:
        if fix.code is not None:
            pasted(case, fix.code)
