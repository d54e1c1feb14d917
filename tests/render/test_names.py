"""Expressions as names: short in a table, whole where machines read them."""

from __future__ import annotations

import pytest

from attntrace.render import View, to_csv, to_text
from tests.builders import fake_row, fake_trace

LONG = "torch.tanh(math.sqrt(2.0 / math.pi) * (x + 0.044715 * torch.pow(x, 3.0)))"


def trace_of(*named):
    """Return rows with names and the rows that each is made of."""
    rows = [
        fake_row(n, name, "op", (7, 3), inputs=inputs) for n, (name, inputs) in enumerate(named)
    ]
    return fake_trace(tensors=tuple(rows), ops=(), storages=(), modules=())


def shown(trace):
    """Return the last name of a table."""
    lines = to_text(trace, View(columns=("tensor",))).splitlines()
    return lines[2 + len(trace.tensors)]


@pytest.mark.parametrize(
    ("named", "last"),
    [
        ([("x + 0.044715 * torch.pow(x, 3.0)", ()), (LONG, (0,))], "torch.tanh(math.sqrt(2.0 / math.pi) * (#0))"),
        ([("x", ()), (LONG, (0,))], LONG),
        ([("self.norm", ()), (f"{LONG} + self.norm", (0,))], f"{LONG} + self.norm"),
        ([("a + b", ()), ("(a + b).relu()", (0,))], "(a + b).relu()"),
        ([("a * b", ()), ("a * b + a * bias_of_the_other_layer_of_this", (0,))], "#0 + a * bias_of_the_other_layer_of_this"),
        ([("f(x)", ()), ("f(x) + 1", (0,)), ("(f(x) + 1) * f(x) - something_else_of_a_name", (0, 1))], "(#1) * #0 - something_else_of_a_name"),
        ([(LONG, ()), (LONG, (0,))], LONG),
    ],
)  # fmt: skip
def test_an_expression_names_the_rows_it_is_made_of(named, last):
    """A long name has the number of a row for the row's expression; short ones and words stay."""
    assert shown(trace_of(*named)) == last


def test_csv_has_the_whole_name():
    """A name can be looked up as CSV has it."""
    trace = trace_of(("x + 0.044715 * torch.pow(x, 3.0)", ()), (LONG, (0,)))
    assert f'"{LONG}"' in to_csv(trace, View())
