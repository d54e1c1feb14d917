"""The table as text: plain and whole in a pipe, as much as fits on a terminal."""

from __future__ import annotations

from io import StringIO

import pytest
from rich.console import Console

from attntrace.render import COLUMNS, View, print_report, to_text
from tests.builders import fake_failure, fake_module, fake_row, fake_trace

# What stays at each width of the terminal, from everything to the two that never go.
KEPT = [
    (200, ["#", "tensor", "op", "shape", "axes", "dtype", "memory", "from"]),
    (90, ["#", "tensor", "shape", "axes", "memory", "from"]),
    (60, ["#", "tensor", "op", "shape", "dtype", "memory"]),
    (36, ["#", "tensor", "shape"]),
    (27, ["tensor", "shape"]),
    (10, ["tensor", "shape"]),
]


def on_terminal(width, view=None, trace=None, **console):
    """Return what a terminal of some width shows."""
    out = StringIO()
    settings = {"color_system": None, **console}
    print_report(trace or fake_trace(), view or View(), Console(file=out, width=width, **settings))
    return out.getvalue()


def header(text):
    """Return the names of the columns that stand above a table."""
    return next(line.split() for line in text.splitlines() if " shape" in line)


def test_the_whole_report_is_as_wide_as_its_widest_row():
    """The text has the mode line, the table, and the footer, with nothing cut and nothing padded."""
    shown = to_text(fake_trace(), View(explain=True))
    lines = shown.splitlines()
    assert lines[0] == (
        "Scores: batch 13 tokens 100 dim 49 | eval, no grad | cpu (x86_64) | float32 | torch 2.13.0"
    )
    assert [line.split()[:2] for line in lines[3:8]] == [
        ["0", "x"], ["Scores"], ["1", "qkv"], ["2", "q"], ["3", "scores"],
    ]  # fmt: skip
    assert lines[7].endswith("new + 325.0 KiB hidden   scores = q k^T") or lines[7].endswith(
        "new + 325.0 KiB hidden  scores = q k^T"
    )
    assert [line.split()[0] for line in lines[8:]] == [
        "parameters", "inputs", "allocated", "peak", "FLOPs", "not",
    ]  # fmt: skip
    assert all(line == line.rstrip() for line in lines)


def test_text_never_depends_on_the_shell(monkeypatch):
    """COLUMNS, FORCE_COLOR and TERM change nothing in what goes into a pipe or a file."""
    before = to_text(fake_trace(), View())
    for name, value in {"COLUMNS": "30", "FORCE_COLOR": "1", "TERM": "xterm-256color"}.items():
        monkeypatch.setenv(name, value)
    assert to_text(fake_trace(), View()) == before
    assert "\x1b" not in before


@pytest.mark.parametrize(("width", "kept"), KEPT)
def test_columns_go_by_priority(width, kept):
    """The narrower the terminal, the fewer columns; tensor and shape always stay."""
    assert header(on_terminal(width)) == kept


@pytest.mark.parametrize("width", range(4, 200, 7))
def test_no_shape_is_ever_cut(width):
    """At every width each shape and each name stand there whole."""
    shown = on_terminal(width)
    assert "…" not in shown
    for row in fake_trace().tensors:
        assert str(row.shape) in shown
        assert row.name in shown


@pytest.mark.parametrize("width", [60, 100])
def test_a_table_that_fits_does_fit(width):
    """Where columns were dropped, no line of the table is wider than the terminal."""
    table = on_terminal(width).splitlines()[1:8]
    assert max(map(len, table)) <= width


def test_asked_for_columns_do_not_all_go():
    """Where only columns that may go were asked for, at least one stays."""
    shown = on_terminal(12, View(columns=("op", "axes")))
    assert "matmul" in shown or "(batch, tokens, dim)" in shown


def test_what_was_asked_for_stays():
    """Formulas, ops at kernel level and columns by name are there on the narrowest terminal."""
    assert "scores = " in on_terminal(60, View(explain=True))
    assert "aten.bmm" in on_terminal(60, View(level="kernel"))
    assert "linear" in on_terminal(30, View(columns=("tensor", "op", "axes", "dtype")))


def test_what_had_no_room_is_named():
    """The last line of the footer says which columns are left out."""
    assert on_terminal(60).splitlines()[-1] == (
        "no room for  axes, from: widen the terminal, or use --columns"
    )
    assert "no room for" not in on_terminal(200)


def test_a_long_name_is_cut_on_a_terminal_alone():
    """An expression of any length is whole in a file, and has 40 characters on a terminal."""
    name = "x.reshape(13, 100, 4, 16).transpose(1, 2).contiguous()"
    row = fake_row(0, name, "contiguous", (13, 4, 100, 16))
    long = fake_trace(tensors=(row,), modules=(), ops=(), storages=())
    assert name in to_text(long, View())
    assert f"{name[:39]}… " in on_terminal(200, trace=long)


def deep_trace():
    """Return eight modules inside each other, with a long path, a long name and a wide shape."""
    parts = ["encoder", "layers", "attention", "inner", "project", "gate", "mix", "last"]
    paths = [".".join(parts[:n]) for n in range(9)]
    name = "torch.tanh(math.sqrt(2.0 / math.pi) * (x.reshape(2, 8, -1) + 0.044715 * x.pow(3.0)))"
    rows = tuple(
        fake_row(n, name if n % 2 else "hidden_states", "add", (2, 8, 1024, 1024), path=path)
        for n, path in enumerate(path for path in paths for _ in range(2))
    )
    modules = tuple(fake_module(path, "WhisperEncoderAttention") for path in paths)
    return fake_trace(tensors=rows, ops=(), storages=(), modules=modules)


@pytest.mark.parametrize("width", [80, 100, 120])
def test_depth_and_expressions_leave_room_for_the_shape(width):
    """Eight modules deep, with expressions as names: each line fits, and has its shape and memory."""
    lines = on_terminal(width, trace=deep_trace()).splitlines()
    rows = [line for line in lines if "(2, 8, 1024, 1024)" in line]
    assert len(rows) == 18
    assert max(len(line.rstrip()) for line in lines[1 : lines.index(rows[-1]) + 1]) <= width
    assert all("64.0 MiB" in row for row in rows)
    assert [line for line in lines if line.strip().endswith(".last: WhisperEncoderAttention")]


def test_names_are_cut_further_for_a_column_that_counts():
    """Where 40 letters leave no room for an important column, names have fewer, else all 40."""
    name = "x.reshape(13, 100, 4, 16).transpose(1, 2).contiguous()"
    row = fake_row(0, name, "contiguous", (13, 4, 100, 16))
    long = fake_trace(tensors=(row,), modules=(), ops=(), storages=())
    assert f"{name[:39]}… " in on_terminal(100, trace=long)
    assert f"{name[:31]}… " in on_terminal(88, trace=long)


def test_colour_is_for_terminals_that_have_it():
    """The row of the peak is marked by colour on a terminal with colours."""
    shown = on_terminal(200, color_system="standard", force_terminal=True)
    assert "\x1b[" in shown
    assert "\x1b[" not in on_terminal(200)


def test_markup_in_a_name_is_text():
    """Square brackets in a name, an op or a note are letters, not instructions to rich."""
    row = fake_row(0, "[bold]q[/bold]", "getitem[0]", (13, 49), origin="new")
    trace = fake_trace(tensors=(row,), ops=(), storages=(), modules=(), notes=("[red]so[/red]",))
    for text in ("[bold]q[/bold]", "getitem[0]", "[red]so[/red]"):
        assert text in to_text(trace, View())


def test_wide_characters_take_two_columns():
    """A name in wide characters neither cuts nor shifts the columns after it."""
    rows = (fake_row(0, "注意力", "add", (13, 49)), fake_row(1, "q", "add", (7, 3)))
    trace = fake_trace(tensors=rows, ops=(), storages=(), modules=())
    first, second = to_text(trace, View(columns=("tensor", "shape"))).splitlines()[3:5]
    assert first.index("(13") + 3 == second.index("(7")


FAILURE = """\

matmul failed at model.py:7
    scores = q @ k
             ^^^^^
  q  (13, 100, 64)  (batch, tokens, chan)  float32  cpu                 row #2, line 5
  k  (49,)                                 float16  cpu  holds 0 to 79
  the last size of q, 64, must equal the size of k, 49.
  from: k has 49 by `dim`  (model.py:2)
      self.k = Rows(dim)
  from: `images` came in so
  fix: build k with 64  (tried on meta: it works)
      Rows(64)
  fix: cast k  (not tried)
  RuntimeError: sizes do not fit
"""


@pytest.mark.parametrize("show", [lambda trace: to_text(trace, View()), None])
def test_a_failure_stands_below_the_table(show):
    """The op, the line and both operands come last, on a terminal and in a pipe."""
    trace = fake_trace(diagnosis=fake_failure())
    shown = show(trace) if show else on_terminal(30, trace=trace)
    assert shown.endswith(FAILURE)


def test_a_failure_of_which_little_is_known():
    """Of a failure without line, operands and rule the error is told, and all of its lines."""
    failure = fake_failure(
        op=None, source=None, line=None, operands=(), mark=None, rule=None, origin=(), fixes=(),
        message="sizes do not fit\nat all",
    )  # fmt: skip
    shown = to_text(fake_trace(diagnosis=failure), View())
    assert shown.endswith("\n\nthe forward failed\n  RuntimeError: sizes do not fit\n    at all\n")


def test_no_tensors_at_all():
    """A run that touched no tensor still has a mode line, a header and a footer."""
    empty = fake_trace(tensors=(), ops=(), modules=(fake_module("", "Nothing"),), storages=())
    shown = to_text(empty, View())
    assert header(shown) == [column for column in list(COLUMNS)[:8] if column != "axes"]
    assert "peak         0 B at once above parameters and inputs\n" in shown
