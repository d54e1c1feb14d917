"""Every form in which Python lets an author name a tensor, or leave it without a name."""

from __future__ import annotations

import ast
import copy
from contextlib import nullcontext
from dataclasses import dataclass
from functools import wraps
from pathlib import Path

import pytest
import torch
from torch import nn

import attntrace
from attntrace.capture.expressions import Expressions
from attntrace.capture.targets import ALONE, Part


def names(function, *args):
    """Return the names of the rows that a function makes."""
    return [row.name for row in attntrace.trace(function, *args).tensors if row.kind != "input"]


def named(statement, expression, part):
    """Return what an expression's result is called in a statement."""
    found = next(
        node
        for node in ast.walk(ast.parse(statement))
        if isinstance(node, ast.expr) and ast.get_source_segment(statement, node) == expression
    )
    span = (found.lineno, found.end_lineno, found.col_offset, found.end_col_offset)
    return Expressions(statement.splitlines(keepends=True)).name(span, part)


@pytest.mark.parametrize(
    ("statement", "expression", "expected"),
    [
        ("a = f(x)", "f(x)", "a"),
        ("a: Tensor = f(x)", "f(x)", "a"),
        ("a = b = f(x)", "f(x)", "a"),
        ("self.cache = f(x)", "f(x)", "self.cache"),
        ("d['k'][0] = f(x)", "f(x)", "d['k'][0]"),
        ("g(y := f(x))", "f(x)", "y"),
        ("a, b = f(x), g(x)", "g(x)", "b"),
        ("a, b = [f(x), g(x)]", "f(x)", "a"),
        ("(a, b), c = (f(x), g(x)), h(x)", "g(x)", "b"),
        ("a, *b = f(x), g(x), h(x)", "h(x)", "b[1]"),
        ("*a, b = f(x), g(x), h(x)", "h(x)", "b"),
        ("a, b = b, f(a)", "f(a)", "b"),
        ("a, b = *f(x), g(x)", "g(x)", "g(x)"),
        ("a = f(x), g(x)", "g(x)", "g(x)"),
        ("a = f(x) if c else d", "f(x)", "a"),
        ("a = b if f(x) else d", "f(x)", "f(x)"),
        ("a = b or f(x)", "f(x)", "a"),
        ("a = f(x) or b", "f(x)", "a"),
        ("a = f(x) and b", "f(x)", "f(x)"),
        ("a = b and f(x)", "f(x)", "a"),
        ("a = f(x)[0]", "f(x)", "f(x)"),
        ("a = f(x)[0]", "f(x)[0]", "a"),
        ("a = b * c * d", "b * c", "b * c"),
        ("a = b * c * d", "b * c * d", "a"),
        ("a = -b", "-b", "a"),
        ("a = b > 0", "b > 0", "a"),
        ("a = b.mT", "b.mT", "a"),
        ("a = (b + c)", "b + c", "a"),
        ("a = [f(t) for t in xs]", "f(t)", "f(t)"),
        ("a = [self.attn(x, i) for i in range(2)]", "self.attn(x, i)", "self.attn(x, i)"),
        ("a = self.proj(x.transpose(1, 2))", "x.transpose(1, 2)", "x.transpose(1, 2)"),
        ("a = f(x=g(x))", "g(x)", "g(x)"),
        ("a = (lambda t: t.T)(x)", "t.T", "t.T"),
        ("with f(x) as a: pass", "f(x)", "f(x)"),
        ("a = f'{g(x)}'", "g(x)", "g(x)"),
        ("a, b = f(x)", "f(x)", "f(x)"),  # f(x) is a tensor, and a and b are parts of it
        ("for a in f(x): pass", "f(x)", "f(x)"),
    ],
)
def test_a_tensor_alone(statement, expression, expected):
    """The result of a call that returns one tensor goes by its target, else by its text."""
    assert named(statement, expression, ALONE) == expected


@pytest.mark.parametrize(
    ("statement", "expression", "part", "expected"),
    [
        ("a = f(x)", "f(x)", Part(1, 3), "a[1]"),
        ("return_ = g(f(x))", "f(x)", Part(1, 3), "f(x)[1]"),
        ("a, b, c = f(x)", "f(x)", Part(1, 3), "b"),
        ("[a, b] = f(x)", "f(x)", Part(1, 2), "b"),
        ("a, = f(x)", "f(x)", Part(0, 1), "a"),
        ("a, (b, c) = f(x)", "f(x)", Part(2, 3), "c"),
        ("a, b = f(x)", "f(x)", Part(2, 3), "b[1]"),
        ("a, b = f(x)", "f(x)", Part(1, 3), "b[0]"),
        ("a, *b = f(x)", "f(x)", Part(0, 4), "a"),
        ("a, *b = f(x)", "f(x)", Part(2, 4), "b[1]"),
        ("*a, b = f(x)", "f(x)", Part(2, 4), "a[2]"),
        ("*a, b = f(x)", "f(x)", Part(3, 4), "b"),
        ("a, *b, c = f(x)", "f(x)", Part(1, 2), "c"),
        ("a = f(x)[1]", "f(x)", Part(1, 3), "a"),
        ("a = f(x)[1]", "f(x)", Part(0, 3), "f(x)[0]"),
        ("for a in f(x): pass", "f(x)", Part(1, 3), "a"),
        ("for self.a in x: pass", "x", Part(1, 3), "self.a"),
        ("for a, b in x: pass", "x", Part(1, 3), "x[1]"),
        ("for a, b in x: pass", "a, b", Part(1, 2), "b"),
        ("a, b = x", "a, b", Part(0, 2), "a"),
        ("for a, b in zip(f(x), g(x)): pass", "g(x)", Part(1, 3), "b"),
        ("for i, a in enumerate(f(x)): pass", "f(x)", Part(1, 3), "a"),
        ("for i, (a, b) in enumerate(zip(f(x), y)): pass", "f(x)", Part(0, 3), "a"),
        ("for a in reversed(f(x)): pass", "f(x)", Part(0, 3), "a"),
        ("for i, a in enumerate(x): pass", "enumerate(x)", Part(1, 3), "a"),
        ("b = [a + 1 for a in f(x)]", "f(x)", Part(1, 3), "a"),
        ("b = [a + 1 for a in x]", "[a + 1 for a in x]", Part(1, 3), "a"),
        ("b = [*x]", "[*x]", Part(1, 3), "b[1]"),
        ("b = zip(f(x), g(x))", "f(x)", Part(1, 3), "f(x)[1]"),
        ("() = f(x)", "f(x)", Part(0, 1), "f(x)[0]"),
    ],
)
def test_one_of_several(statement, expression, part, expected):
    """A call's tensors go by their own targets, else by their place in what is named."""
    assert named(statement, expression, part) == expected


def test_targets_of_every_kind():
    """Attributes, subscripts, swaps, chains, stars and augmented assignments name their tensors."""

    class Holder:
        pass

    def forward(x):
        held, table = Holder(), {}
        held.cache = torch.cat([x, x])
        table["k"] = first = x * 2
        held.cache += 1
        table["k"][:, 0] += 3
        a, b = x + 1, x - 1
        a, b = b.neg(), a.neg()
        q, *rest = x.chunk(4)
        return q, rest, first

    assert names(forward, torch.randn(4, 4)) == [
        "held.cache", 'table["k"]', "held.cache", 'table["k"][:, 0]',
        'table["k"][:, 0]', "a", "b", "a", "b", "q", "rest[0]", "rest[1]", "rest[2]",
    ]  # fmt: skip


def test_loops_name_what_iterating_makes():
    """A loop's target names the parts of a tensor, in a comprehension, too."""

    def forward(x):
        for row in x:
            row.neg()
        for i, q in enumerate(x.unbind(0)):
            q.add(i)
        a, b = x
        return [part + 1 for part in x], a, b

    assert names(forward, torch.randn(2, 3)) == [
        "row", "row", "row.neg()", "row.neg()", "q", "q", "q.add(i)", "q.add(i)", "a", "b",
        "part", "part", "part + 1", "part + 1",
    ]  # fmt: skip


def test_where_control_flow_hands_a_value_on():
    """Conditions, matches, contexts, generators and lambdas do not get in a name's way."""
    called = []

    def counted(function):
        @wraps(function)
        def wrapper(*args):
            called.append(function)
            return function(*args)

        return wrapper

    @counted
    def squared(t):
        square = t * t
        return square  # noqa: RET504 - the point

    def several(t):
        yield t + 7
        yield t + 8

    def forward(x):
        a = x @ x if len(called) == 0 else x
        b = None or x.exp()
        match x.shape:
            case [rows, _]:
                c = x / rows
        with nullcontext(x + 5) as d:
            e = d.T
        f = (lambda t: t.sin())(x)  # noqa: PLC3002 - the point
        global kept  # noqa: PLW0603 - a form like the others
        kept = squared(x).cos()
        return a, b, c, e, f, list(several(x))

    assert names(forward, torch.randn(3, 3)) == [
        "a", "b", "c", "x + 5", "e", "f", "square", "kept", "t + 7", "t + 8",
    ]  # fmt: skip


def test_several_calls_on_one_line_and_one_call_on_several():
    """Each call of a line is told from the others by its columns, over lines, too."""

    def forward(x):
        a = x + 1
        b = a + 1
        c = (
            a
            .mul(b)
            .T
            .add(
                b,
                alpha=2,
            )
        )  # fmt: skip
        return a * b * c > -c

    assert names(forward, torch.randn(3, 3)) == [
        "a", "b", "a.mul(b)", "a.mul(b).T", "c", "a * b", "a * b * c", "-c", "a * b * c > -c",
    ]  # fmt: skip


@dataclass
class Heads:
    """Two tensors."""

    q: torch.Tensor
    k: torch.Tensor


class Attention(nn.Module):
    """A module of the usual kind."""

    def __init__(self):
        super().__init__()
        self.qkv, self.proj = nn.Linear(8, 24), nn.Linear(8, 8)
        self.__scale = torch.tensor(0.5)
        self.register_buffer("seen", torch.zeros(8))

    def split(self, x):
        """Return q, k and v."""
        q, k, v = self.qkv(x).chunk(3, dim=-1)
        return Heads(q=q * self.__scale, k=k.transpose(-2, -1)), v

    def forward(self, x):
        """Return what attention makes of x."""
        heads, v = self.split(x)
        probs = (heads.q @ heads.k).softmax(dim=-1)
        self.seen += x.mean((0, 1))
        return self.proj(probs @ v)


def test_a_module_of_the_usual_kind():
    """Methods, dataclass fields, private names, buffers and returned calls have their names."""
    assert names(Attention(), torch.randn(2, 4, 8)) == [
        "self.qkv(x)", "q", "k", "v", "q * self.__scale", "k.transpose(-2, -1)",
        "heads.q @ heads.k", "probs", "x.mean((0, 1))", "self.seen", "probs @ v",
        "self.proj(probs @ v)",
    ]  # fmt: skip


def test_every_row_points_to_the_line_that_names_it():
    """`source` leads to `line`, and the line holds the row's name."""
    lines = Path(__file__).read_text().splitlines()
    for row in attntrace.trace(Attention(), torch.randn(2, 4, 8)).tensors[1:]:
        file, _, number = row.source.rpartition(":")
        assert Path(file) == Path(__file__).relative_to(Path.cwd())
        assert lines[int(number) - 1].strip() == row.line
        assert row.name in row.line


def test_a_line_that_runs_many_times():
    """The same line names the same thing each time, whatever came between."""

    def forward(x):
        for _ in range(3):
            x = x + 1
            x = torch.relu(x)
        return x

    assert names(forward, torch.randn(2)) == ["x"] * 6


def test_an_expression_too_deep_for_a_name():
    """Hundreds of terms are no name: the op's stands in."""
    lines = ["f(\n", *["x +\n"] * 2000, "x)\n"]
    assert Expressions(lines).name((2, 2002, 0, 1), ALONE) is None


class Split(nn.Module):
    """Returns without a name what its callers name."""

    def forward(self, x):
        """Return a tensor that has no name here."""
        return x.view(len(x), 2, -1).transpose(0, 1)


def test_what_a_function_returns_goes_by_the_name_it_gets():
    """Through helpers, modules, tuples and `[0]`, where the function itself gives it none."""
    split = Split()

    def rotated(q, k):
        return q.roll(1), k.roll(2)

    def either(t, which):
        return t.sin() if which else t.cos()

    def passed_on(t):
        return torch.no_grad()(split)(t)

    def forward(x):
        heads = split(x)
        twice = passed_on(x)
        q, k = rotated(x, x)
        first = rotated(x, x)[0]
        sine, cosine = either(x, which=True), either(x, which=False)
        return split(x) + 1, heads, twice, q, k, first, sine, cosine

    assert names(forward, torch.randn(3, 4)) == [
        *("x.view(len(x), 2, -1)", "heads", "x.view(len(x), 2, -1)", "twice"),
        *("q", "k", "first", "k.roll(2)", "sine", "cosine"),
        *("x.view(len(x), 2, -1)", "x.view(len(x), 2, -1).transpose(0, 1)", "split(x) + 1"),
    ]


def test_what_is_returned_to_others_than_the_author_keeps_its_text():
    """What `map` and `max` call, a hook, a part of what is returned, and very deep recursion."""
    split = Split()
    split.register_forward_pre_hook(lambda _, args: args[0] + 1)

    def forward(x):
        out = split(x)
        most = max([x], key=lambda t: t.abs().sum())
        several = list(map(lambda t: t.exp(), [x]))  # noqa: C417 - the point
        return out, most, several

    assert names(forward, torch.randn(3, 4)) == [
        *("args[0] + 1", "x.view(len(x), 2, -1)", "out"),
        *("t.abs()", "t.abs().sum()", "t.exp()"),
    ]

    def deep(x, n):
        return deep(x, n - 1) if n else x.cos()

    assert names(lambda x: deep(x, 500), torch.randn(2)) == ["x.cos()"]


def test_code_of_pythons_own_is_no_authors():
    """What `copy.deepcopy` runs, as for an average of weights, stands where the author wrote it."""

    def forward(x):
        average = copy.deepcopy(x)
        return average + 1

    trace = attntrace.trace(forward, torch.randn(3))
    assert {row.line for row in trace if row.line} == {
        "average = copy.deepcopy(x)",
        "return average + 1",
    }


@pytest.mark.parametrize("wanted", [True, False], ids=["weights", "none"])
def test_each_of_what_a_module_of_torchs_own_returns(wanted):
    """The output of nn.MultiheadAttention and its weights go by their own targets."""
    attention = nn.MultiheadAttention(8, 2, batch_first=True)

    def forward(x):
        out, weights = attention(x, x, x, need_weights=wanted)
        return out, weights

    trace = attntrace.trace(forward, torch.randn(2, 3, 8))
    expected = ["out", "weights"] if wanted else ["out"]
    assert [trace[i].name for i in trace.facts.outputs] == expected
