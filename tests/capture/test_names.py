"""Tensors carry the author's own words: assignment targets, else the expression's text."""

from __future__ import annotations

import subprocess
import sys

import torch
from torch import nn

import attntrace


def names(function, *args):
    """Return the names of the rows that a function makes."""
    return [row.name for row in attntrace.trace(function, *args).tensors if row.kind != "input"]


def test_assignment_targets():
    """Plain, annotated, augmented, attribute and walrus targets name what they are assigned."""

    class Holder:
        kept: torch.Tensor

    def forward(x):
        holder = Holder()
        a = x + 1
        b: torch.Tensor = x + 2
        a += 3
        holder.kept = a * b
        if (c := x - 4).shape:
            return c @ holder.kept.T
        return None

    assert names(forward, torch.randn(5, 7)) == [
        "a",
        "b",
        "a",
        "holder.kept",
        "c",
        "holder.kept.T",
        "c @ holder.kept.T",
    ]


def test_tuple_targets_element_by_element():
    """Each element of a tuple is named by its own target, nested or not."""
    rnn = nn.LSTM(3, 5)

    def forward(x):
        q, k, v = x[0], x[1], x[2]
        (values, indices) = q.max(dim=0)
        left, right = k.chunk(2)
        out, (h, c) = rnn(x)
        return v, values, indices, left, right, out, h, c

    traced = names(forward, torch.randn(4, 6, 3))
    assert traced[:7] == ["q", "k", "v", "values", "indices", "left", "right"]
    assert traced[-3:] == ["out", "h", "c"]


def test_expressions_where_nothing_is_assigned():
    """An argument, a link of a chain over lines and a returned value go by their text."""

    def forward(x):
        y = torch.softmax(x.mul(2), dim=-1)
        return (
            y.transpose(0, 1)
            .unsqueeze(0)
            .contiguous()
        )  # fmt: skip

    assert names(forward, torch.randn(5, 7)) == [
        "x.mul(2)",
        "y",
        "y.transpose(0, 1)",
        "y.transpose(0, 1).unsqueeze(0)",
        "y.transpose(0, 1).unsqueeze(0).contiguous()",
    ]


def test_a_long_expression_is_kept_whole():
    """Facts hold the whole expression; only a terminal has too little room for it."""

    def forward(x):
        return torch.cat([x + 1000000, x + 2000000, x + 3000000, x + 4000000, x + 5000000], dim=0)

    last = names(forward, torch.randn(2))[-1]
    assert last == (
        "torch.cat([x + 1000000, x + 2000000, x + 3000000, x + 4000000, x + 5000000], dim=0)"
    )


def test_a_module_of_torchs_own_is_named_where_it_is_called():
    """The output of nn.Linear goes by the caller's words, steps inside torch by their op."""
    layers = nn.TransformerDecoderLayer(12, 2, 20, batch_first=True)
    linear = nn.Linear(12, 7)

    def forward(x):
        memory = linear(x)
        out = layers(x, x)
        return memory, out

    traced = attntrace.trace(forward, torch.randn(2, 5, 12)).tensors
    assert traced[1].name == "memory"
    assert traced[-1].name == "out"
    inside = {row.name for row in traced[2:-1]}
    layer = "<TransformerDecoderLayer>"
    assert {f"{layer}.linear1", f"{layer}.norm1", "relu", "add"} <= inside
    assert "out" not in inside


def test_modules_without_a_caller_in_the_source_go_by_their_path():
    """The children of nn.Sequential, which torch itself calls, have their paths for names."""
    stack = nn.Sequential(nn.Linear(7, 5), nn.ReLU(), nn.Linear(5, 3))
    assert names(stack, torch.randn(2, 7)) == ["0", "1", "2"]


def test_modules_that_a_function_closes_over():
    """Each module that forward met has a path of its own, and its parameters are parameters."""
    nets = [nn.Linear(7, 7), nn.Linear(7, 3)]

    def forward(x):
        return nets[1](nets[0](x))

    trace = attntrace.trace(forward, torch.randn(2, 7))
    assert [m.path for m in trace.modules] == ["<Linear>", "<Linear>2"]
    assert [m.parameters for m in trace.modules] == [56, 24]
    assert trace.memory.parameters == 80
    assert trace.memory.parameters_nbytes == 320
    direct = attntrace.trace(nn.Sequential(*nets), torch.randn(2, 7)).memory
    assert trace.memory.saved_for_backward_nbytes == direct.saved_for_backward_nbytes


def test_source_is_file_and_line():
    """A row says where its call stands."""

    def forward(x):
        return x + 1

    row = attntrace.trace(forward, torch.randn(2)).tensors[-1]
    line = forward.__code__.co_firstlineno + 1
    assert row.source == f"tests/capture/test_names.py:{line}"


def test_without_source_the_op_is_the_name():
    """Code that has no file, as in `python -c`, falls back to the op."""
    script = (
        "import torch, attntrace\n"
        "def forward(x):\n"
        "    scores = x @ x.T\n"
        "    return scores.softmax(-1)\n"
        "trace = attntrace.trace(forward, torch.ones(2, 2))\n"
        "print([row.name for row in trace.tensors][1:])\n"
    )
    ran = subprocess.run([sys.executable, "-W", "ignore", "-c", script], capture_output=True,
                         text=True, check=True)  # fmt: skip
    with_source = "['x.T', 'scores', 'scores.softmax(-1)']\n"  # Python 3.13 keeps the text of -c
    assert ran.stdout in ("['T', 'matmul', 'softmax']\n", with_source)


def test_inputs_go_by_their_parameters():
    """Positional, keyword, nested and extra inputs have the names that forward gives them."""

    class Block(nn.Module):
        def forward(this, x, *more, state, pair):  # noqa: N805 - any name will do
            return x + more[0] + state["h"] + pair[0] + pair[1]

    x = [torch.randn(3) for _ in range(5)]
    trace = attntrace.trace(Block(), x[0], x[1], state={"h": x[2]}, pair=(x[3], x[4]))
    assert [row.name for row in trace.tensors if row.kind == "input"] == [
        "x",
        "more[0]",
        "state['h']",
        "pair[0]",
        "pair[1]",
    ]
