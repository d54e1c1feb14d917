"""A forward that raises: the rows up to there, the op, its operands, and the line."""

from __future__ import annotations

import importlib
import sys

import pytest
import torch
from torch import nn

import attntrace
from attntrace.record import Operand
from attntrace.render import finding_lines


class Block(nn.Module):
    """Multiplies q by k where it should by k^T."""

    def __init__(self):
        super().__init__()
        self.q, self.k = nn.Linear(49, 64), nn.Linear(49, 64)

    def forward(self, x):
        q = self.q(x)
        k = self.k(x)
        return q @ k


def failure_of(module, *args):
    """Return the error that tracing a failing module raises."""
    with pytest.raises(attntrace.ForwardError) as caught:
        attntrace.trace(module, *args)
    return caught.value


def test_the_table_up_to_the_failing_op():
    """Every tensor before the error is there, and the original error is the cause."""
    error = failure_of(Block(), torch.randn(13, 100, 49))
    assert [row.name for row in error.trace.tensors] == ["x", "q", "k"]
    assert isinstance(error.__cause__, RuntimeError)
    assert error.trace.output is None
    assert str(error.diagnosis) == (
        f"matmul failed at {error.diagnosis.source}: RuntimeError: "
        "Expected size for first two dimensions of batch2 tensor to be: [13, 64] but got: "
        "[13, 100]."
    )


def test_a_printed_error_is_the_panel():
    """The error of a failed forward prints what the table ends with."""
    error = failure_of(Block(), torch.randn(13, 100, 49))
    assert str(error) == error.trace.panel() == "\n".join(finding_lines(error.diagnosis))
    assert error.trace.to_text().endswith(f"\n\n{error}\n")
    assert str(error).splitlines()[1:3] == ["    return q @ k", "           ^^^^^"]


def test_the_operands_by_name():
    """The failing call's tensors are described with the rows that made them."""
    failure = failure_of(Block(), torch.randn(13, 100, 49)).diagnosis
    assert (failure.op, failure.line) == ("matmul", "return q @ k")
    file = failure.source.rpartition(":")[0]
    first, like = failure.operands[0].source, {"shape": (13, 100, 64), "dtype": "float32"}
    assert failure.operands == (
        Operand(name="q", device="cpu", row=1, source=first, **like),
        Operand(name="k", device="cpu", row=2, source=failure.operands[1].source, **like),
    )
    assert first.startswith(f"{file}:")


def test_a_parameter_among_the_operands():
    """Each goes by what the author calls it where it failed, and the path is given."""
    failure = failure_of(Block(), torch.randn(13, 100, 50)).diagnosis
    assert (failure.op, failure.path, failure.line) == ("linear", "q", "q = self.q(x)")
    assert [(o.name, o.shape) for o in failure.operands] == [
        ("x", (13, 100, 50)),
        ("self.q.weight", (64, 49)),
        ("self.q.bias", (64,)),
    ]


def test_an_error_of_plain_python():
    """Of an error that no torch call raised the line, the message and the tensors are told."""

    def forward(x):
        h = x + 1
        batch, tokens = h.shape
        return batch, tokens

    failure = failure_of(forward, torch.randn(2, 3, 5)).diagnosis
    assert (failure.error, failure.op) == ("ValueError", "unpack")
    assert [(o.name, o.shape) for o in failure.operands] == [("h", (2, 3, 5))]
    assert failure.line == "batch, tokens = h.shape"


def test_an_error_of_a_library(tmp_path, monkeypatch):
    """The line is the author's own that called the library; its file is relative, as elsewhere."""
    (tmp_path / "calls_json.py").write_text(
        "import json\n\ndef forward(x):\n    return json.loads('{')\n"
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setitem(sys.modules, "calls_json", None)  # so that it is gone afterwards
    del sys.modules["calls_json"]
    forward = importlib.import_module("calls_json").forward
    failure = failure_of(forward, torch.ones(2)).diagnosis
    assert (failure.source, failure.line) == ("calls_json.py:4", "return json.loads('{')")


def test_an_error_that_the_author_caught_is_not_the_failure():
    """A failing call in a try block of the author's does not end the trace."""

    def forward(x):
        try:
            return x @ x
        except RuntimeError:
            return x @ x.T

    trace = attntrace.trace(forward, torch.randn(2, 3))
    assert [row.name for row in trace.tensors] == ["x", "x.T", "x @ x.T"]
    assert trace.diagnosis is None


def test_a_bug_of_a_witness_is_not_taken_for_the_authors(monkeypatch):
    """What a witness raises comes out as it is, not as a failure of the forward."""

    def broken(*args):
        message = "ours"
        raise LookupError(message)

    monkeypatch.setattr("attntrace.capture.ledger.Ledger.add_row", broken)
    with pytest.raises(LookupError, match=r"^ours$"):
        attntrace.trace(torch.relu, torch.randn(2))


class Half(torch.autograd.Function):
    """Halves; its backward multiplies by what does not fit."""

    @staticmethod
    def forward(ctx, x):
        return x / 2

    @staticmethod
    def backward(ctx, g):
        return g @ torch.ones(3, 5)


def test_an_error_in_backward_is_where_the_author_wrote_it():
    """The op of the author's own backward and its line say more than the call of backward."""
    weight = torch.ones(2, 7, requires_grad=True)
    failure = failure_of(lambda x: Half.apply(x * weight).sum().backward(), torch.ones(2, 7))
    failure = failure.diagnosis
    assert (failure.op, failure.line) == ("aten.mm.default", "return g @ torch.ones(3, 5)")
    assert [operand.shape for operand in failure.operands] == [(2, 7), (3, 5)]


class Speechless(Exception):  # noqa: N818 - nothing of it can be shown
    """Cannot be shown, and counts as nothing."""

    def __str__(self):
        raise LookupError

    def __bool__(self):
        return False


def test_an_error_that_cannot_be_shown():
    """It is the cause, and its message is what Python has for such a one."""

    def forward(x):
        raise Speechless

    error = failure_of(forward, torch.ones(2))
    assert isinstance(error.__cause__, Speechless)
    assert (error.diagnosis.error, error.diagnosis.message) == (
        "Speechless", "<exception str() failed>",
    )  # fmt: skip
