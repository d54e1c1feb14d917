"""Where the author's words are found, and that the op's name stands in where they are not."""

from __future__ import annotations

import doctest
import importlib.util
import linecache
import os
import py_compile
import sys
import zipfile
from itertools import count

import pytest
import torch
from torch import fx, nn

import attntrace
from attntrace.capture import source

FORWARD = """\
def forward(x):
    q = x.sin()
    k = x.cos()
    return q @ k.T
"""
NAMES = ["q", "k", "k.T", "q @ k.T"]
OPS = ["sin", "cos", "T", "matmul"]
_numbers = count()


def rows(function):
    """Return the rows that a function of one tensor makes."""
    traced = attntrace.trace(function, torch.randn(3, 3)).tensors
    return [row for row in traced if row.kind != "input"]


def names(function):
    """Return the names of the rows that a function of one tensor makes."""
    return [row.name for row in rows(function)]


def compiled(text, file):
    """Return the `forward` of a text that was compiled as a file's."""
    inside = {}
    exec(compile(text, file, "exec"), inside)  # noqa: S102 - as a notebook does
    return inside["forward"]


def imported(path):
    """Return the `forward` of a file that is imported anew."""
    spec = importlib.util.spec_from_file_location(f"authors_{next(_numbers)}", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.forward


def rewritten(path, text):
    """Write a file again, at a time of its own."""
    path.write_text(text)
    time = 10**18 * 2 + 10**10 * next(_numbers)
    os.utime(path, ns=(time, time))


@pytest.mark.parametrize("cell", ["<ipython-input-7-0123abcd>", "/nowhere/ipykernel_12/345.py"])
def test_the_cell_of_a_notebook(cell, monkeypatch):
    """A cell's text is where IPython keeps it, which no check of the disk may drop."""
    lines = FORWARD.splitlines(keepends=True)
    monkeypatch.setitem(linecache.cache, cell, (len(FORWARD), None, lines, cell))
    forward = compiled(FORWARD, cell)
    linecache.checkcache()
    found = rows(forward)
    assert [row.name for row in found] == NAMES
    assert (found[0].source, found[0].line) == (f"{cell}:2", "q = x.sin()")


def test_text_that_a_loader_has(monkeypatch):
    """What a loader can give is found, as for code that a library generates."""

    class Loader:
        def get_source(self, name):
            assert name == "generated"
            return FORWARD

    monkeypatch.delitem(linecache.cache, "<generated>.1", raising=False)
    linecache.lazycache("<generated>.1", {"__name__": "generated", "__loader__": Loader()})
    assert names(compiled(FORWARD, "<generated>.1")) == NAMES


@pytest.mark.parametrize("options", [["-c", FORWARD], ["-W", "ignore", "-Iuc", FORWARD, "x"]])
def test_the_text_of_a_command(options, monkeypatch):
    """`python -c` leaves its text in the command line alone."""
    monkeypatch.setattr(sys, "orig_argv", ["python", *options])
    source._command.cache_clear()
    found = rows(compiled(FORWARD, "<string>"))
    other = rows(compiled("def forward(x):\n    return x.tan()\n", "<string>"))
    source._command.cache_clear()
    assert [row.name for row in found] == NAMES
    assert (found[0].source, found[0].line) == ("<string>:2", "q = x.sin()")
    assert [(row.name, row.line) for row in other] == [("tan", None)]


@pytest.mark.parametrize("file", ["<stdin>", "<string>", "/nowhere/at/all.py"])
def test_text_that_nobody_has(file):
    """Code from a pipe, of exec and of a file that is gone goes by its ops."""
    found = rows(compiled(FORWARD, file))
    assert [(row.name, row.line) for row in found] == [(op, None) for op in OPS]
    assert [row.source for row in found] == [f"{file}:{line}" for line in (2, 3, 4, 4)]


def test_compiled_files_without_their_source(tmp_path):
    """A .pyc alone, or in a zip, goes by its ops."""
    text = tmp_path / "authors.py"
    text.write_text(FORWARD)
    alone = tmp_path / "alone.pyc"
    py_compile.compile(text, alone)
    with zipfile.ZipFile(tmp_path / "all.zip", "w") as archive:
        archive.write(text, "zipped_authors.py")
    text.unlink()
    assert names(imported(alone)) == OPS
    sys.path.insert(0, str(tmp_path / "all.zip"))
    try:
        assert names(importlib.import_module("zipped_authors").forward) == OPS
    finally:
        sys.path.pop(0)


@pytest.mark.parametrize(
    "edited",
    [
        "\n" + FORWARD,
        FORWARD.replace("q", "queries"),
        FORWARD.replace("sin", "tan"),
        FORWARD.replace("q @", "q *"),
        FORWARD.replace("    q = x.sin()\n    k = x.cos()\n", "    k = x.cos()\n    q = x.sin()\n"),
        FORWARD.replace("return", "return return"),
        "",
    ],
)
def test_a_file_that_was_edited_after_its_import(tmp_path, edited):
    """What no longer fits the code gives no name and no line; a new import gives the new ones."""
    path = tmp_path / "authors.py"
    path.write_text(FORWARD)
    before, never_seen = imported(path), imported(path)
    assert names(before) == NAMES
    rewritten(path, edited)
    assert names(before) == NAMES
    found = rows(never_seen)
    assert [(row.name, row.line) for row in found] == [(op, None) for op in OPS]
    rewritten(path, FORWARD.replace("q", "h"))
    assert names(imported(path)) == ["h", "k", "k.T", "h @ k.T"]


def test_equal_code_of_two_files(tmp_path):
    """Two files with the same text are told apart."""
    for name in ("one.py", "two.py"):
        (tmp_path / name).write_text(FORWARD)
    found = [rows(imported(tmp_path / name))[0].source for name in ("one.py", "two.py")]
    assert found == [f"{tmp_path / 'one.py'}:2", f"{tmp_path / 'two.py'}:2"]


def test_asserts_that_pytest_has_rewritten():
    """Names in an assert, and around it, are the author's, whatever pytest makes of it."""

    def positive(x):
        y = x.abs()
        return y  # noqa: RET504 - the point

    def forward(x):
        w = x.T
        assert positive(x @ w).sum() >= 0, "a message"
        assert (n := x.numel()) and torch.all((z := x - x) == 0), n  # noqa: PT018, RUF018
        return w + z

    assert any(name.startswith("@py_assert") for name in forward.__code__.co_varnames)
    assert names(forward) == [
        "w", "x @ w", "y", "positive(x @ w).sum()", "positive(x @ w).sum() >= 0", "z",
        "(z := x - x) == 0", "torch.all((z := x - x) == 0)", "w + z",
    ]  # fmt: skip


def test_under_a_debugger():
    """Tracing and profiling functions, as of a debugger or of coverage, change no name."""

    def forward(x):
        y = x + 1
        return y.exp()

    before = sys.gettrace(), sys.getprofile()
    sys.settrace(lambda *_: None)
    sys.setprofile(lambda *_: None)
    try:
        found = names(forward)
    finally:
        sys.settrace(before[0])
        sys.setprofile(before[1])
    assert found == ["y", "y.exp()"]


def test_in_a_doctest():
    """Examples in a docstring have names while doctest runs them."""
    text = ">>> def forward(x):\n...     y = x + 1\n...     return y.exp()\n>>> names(forward)\n"
    example = doctest.DocTestParser().get_doctest(
        f"{text}['y', 'y.exp()']\n", {"names": names}, "example", None, 0
    )
    assert doctest.DocTestRunner().run(example) == (0, 2)


def test_code_that_fx_generates():
    """The text that torch.fx writes is its own, and is found."""

    class Block(nn.Module):
        def forward(self, x):
            mine = x + 1
            return mine * 2

    found = rows(fx.symbolic_trace(Block()))
    assert [row.name for row in found] == ["add", "mul"]
    assert found[0].line.startswith("add = x + 1")


def test_code_without_columns():
    """Where Python was told to keep no columns (-X no_debug_ranges), ops stand in."""
    forward = compiled(FORWARD, __file__)
    forward.__code__ = forward.__code__.replace(co_linetable=b"")
    assert names(forward) == OPS
    assert rows(forward)[0].line is None
