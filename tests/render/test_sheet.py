"""What of a trace a sheet shows, before any format has its say."""

from __future__ import annotations

import pytest

from attntrace.render import COLUMNS, View
from attntrace.render.sheet import sheet_of
from tests.builders import (
    fake_environment,
    fake_module,
    fake_op,
    fake_output,
    fake_row,
    fake_storage,
    fake_trace,
)


def lines_of(trace, **view):
    """Return role, depth and name of every line."""
    return [
        (line.role, line.depth, line.cells["tensor"].text)
        for line in sheet_of(trace, View(**view)).lines
    ]


def shown(trace, key, **view):
    """Return the text of one column, line by line."""
    sheet = sheet_of(trace, View(columns=(key,), **view))
    return [line[sheet.columns[0]].text for line in sheet.lines if line.role != "module"]


def test_rows_are_indented_by_module():
    """The input stands outside, the module is a heading, and rows stand below their module."""
    assert lines_of(fake_trace()) == [
        ("tensor", 0, "x"),
        ("module", 0, "Scores"),
        ("tensor", 2, "qkv"),
        ("tensor", 1, "q"),
        ("tensor", 1, "scores"),
    ]


def test_a_module_with_several_rows_has_a_heading():
    """A module inside is a heading where it has more than one row, once."""
    names = ["a", "b", "c"]
    rows = tuple(
        fake_row(n, name, "add", (13, 49), path="block.attn") for n, name in enumerate(names)
    )
    trace = fake_trace(
        tensors=rows, ops=(), storages=(),
        modules=(fake_module("", "Net"), fake_module("block", "Block"), fake_module("block.attn", "MHA")),
    )  # fmt: skip
    assert lines_of(trace) == [
        ("module", 0, "Net"),
        ("module", 1, "block: Block"),
        ("module", 2, "block.attn: MHA"),
        ("tensor", 3, "a"),
        ("tensor", 3, "b"),
        ("tensor", 3, "c"),
    ]


def test_a_function_has_no_headings():
    """Without modules every row stands at the margin."""
    assert [depth for _, depth, _ in lines_of(fake_trace(modules=()))] == [0, 0, 0, 0]


def test_the_module_level_shows_what_module_hooks_see():
    """At the module level stand inputs and what modules return."""
    names = [name for role, _, name in lines_of(fake_trace(), level="module") if role == "tensor"]
    assert names == ["x", "qkv", "scores"]


def test_the_kernel_level_adds_what_ran_underneath():
    """At the kernel level each row is followed by the ops that its call ran."""
    trace = fake_trace()
    assert shown(trace, "op", level="kernel") == [
        "input", "linear", "aten.mm", "getitem", "aten.select.int", "matmul", "aten.clone",
        "aten.bmm",
    ]  # fmt: skip
    assert shown(trace, "from", level="kernel") == [
        "input", "new", "new", "view of #1", "view of #1", "new + 325.0 KiB hidden", "new, hidden",
        "new",
    ]  # fmt: skip


def test_an_op_that_no_row_came_of_stands_last():
    """At the kernel level ops outside every row come at the end, at the margin."""
    stray = fake_op(4, "aten.mul_.Tensor", None, fake_output((13, 49), 1, origin="in place"))
    trace = fake_trace(ops=(*fake_trace().ops, stray))
    assert lines_of(trace, level="kernel")[-1] == ("kernel", 0, "·")
    assert shown(trace, "from", level="kernel")[-1] == "in place on #0"


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"origin": "new"}, "new"),
        ({"origin": "new", "hidden_nbytes": 2048}, "new + 2.0 KiB hidden"),
        ({"origin": "view", "alias_of": 7}, "view of #7"),
        ({"origin": "in place", "alias_of": 7}, "in place on #7"),
        ({"origin": "same", "alias_of": 7}, "same as #7"),
        ({"origin": "outside", "storage_id": 0}, "view of parameter qkv.weight"),
        ({"origin": "outside", "storage_id": 1}, "view of a tensor from outside"),
        ({"origin": "outside", "storage_id": None}, "view of an opaque tensor"),
    ],
)
def test_where_the_bytes_are(changes, text):
    """Each origin of a row is said in words."""
    storages = (fake_storage(0, 64, "parameter", name="qkv.weight"), fake_storage(1, 64, "outside"))
    row = fake_row(0, "q", "op", (13, 49), **changes)
    trace = fake_trace(tensors=(row,), ops=(), modules=(), storages=storages)
    assert shown(trace, "from") == [text]


def test_the_line_of_a_call():
    """The flag shows where a call stands and what stands there, which no narrow terminal drops."""
    row = fake_row(0, "q", "matmul", (13, 49), source="mine.py:7", line="q = x @ w")
    trace = fake_trace(tensors=(row,), ops=(), modules=(), storages=())
    assert (shown(trace, "source"), shown(trace, "line")) == (["mine.py:7"], ["q = x @ w"])
    columns = sheet_of(trace, View(source=True)).columns
    assert [(column.key, column.drop) for column in columns[-2:]] == [("source", 0), ("line", 0)]
    assert "line" not in View().keys


def test_every_column_of_a_row():
    """Each column shows its fact."""
    sheet = sheet_of(fake_trace(), View(columns=tuple(COLUMNS)))
    scores = dict(
        zip(COLUMNS, (sheet.lines[-1][column].text for column in sheet.columns), strict=True)
    )
    assert scores == {
        "#": "3",
        "tensor": "scores",
        "op": "matmul",
        "shape": "(13, 100, 100)",
        "axes": "(batch, tokens, tokens)",
        "dtype": "float32",
        "memory": "507.8 KiB",
        "from": "new + 325.0 KiB hidden",
        "formula": "scores = q k^T",
        "bytes": "520,000",
        "new": "520,000",
        "hidden": "332,800",
        "saved": "",
        "grad": "",
        "alive": "to the end",
        "scratch": "",
        "flops": "16,640,000",
        "stride": "",
        "device": "cpu",
        "module": "",
        "source": "model.py:7",
        "line": "",
        "inputs": "#2",
        "seen_by": "function, dispatch",
    }


def test_what_was_not_measured_is_empty():
    """A number that is not known is an empty cell, and not 0."""
    assert shown(fake_trace(), "flops") == ["", "24,460,800", "", "16,640,000"]


def test_the_peak_is_marked():
    """The row at which memory stood highest, and no other, is marked."""
    lines = sheet_of(fake_trace(), View()).lines
    assert [line.cells["tensor"].text for line in lines if line.is_peak] == ["scores"]


@pytest.mark.parametrize(
    ("changes", "heading"),
    [
        (
            {},
            (
                "Scores: batch 13 tokens 100 dim 49 | eval, no grad | cpu (x86_64) | float32 "
                "| torch 2.13.0"
            ),
        ),
        (
            {
                "spec": {"block": "attention", "attention": {"impl": "sdpa"}},
                "environment": fake_environment(training=True, grad=True, device_name="cpu"),
            },
            (
                "attention: batch 13 tokens 100 dim 49 | train, grad | impl sdpa | cpu | float32 "
                "| torch 2.13.0"
            ),
        ),
        (
            {"sizes": {}, "environment": fake_environment(device_name="", dtype=None)},
            "Scores | eval, no grad | cpu | torch 2.13.0",
        ),
    ],
)
def test_the_mode_line(changes, heading):
    """The mode line says block, sizes, mode, implementation, device, dtype and torch."""
    assert sheet_of(fake_trace(**changes), View()).heading == heading


def test_the_mode_line_names_the_kernel():
    """A fused kernel that ran stands in the mode line."""
    op = fake_op(0, "aten._scaled_dot_product_flash_attention_for_cpu.default", 3)
    assert "| kernel flash (cpu) |" in sheet_of(fake_trace(ops=(op,), storages=()), View()).heading


def test_the_footer_has_buffers_and_saved_bytes_where_there_are_any():
    """Buffers and what autograd keeps have lines of their own, notes come last."""
    kept = fake_storage(5, 8_192, saved_for_backward=True)
    buffer = fake_storage(6, 4_096, "buffer")
    note = fake_module("qkv", "Linear", note="was not watched")
    trace = fake_trace(
        storages=(*fake_trace().storages, kept, buffer), modules=(note,), notes=("on meta",)
    )
    footer = sheet_of(trace, View()).footer
    assert [name for name, _ in footer] == [
        "parameters", "buffers", "inputs", "allocated", "peak", "for backward", "FLOPs",
        "not counted", "note", "note",
    ]  # fmt: skip
    assert dict(footer)["buffers"] == "4.0 KiB (4,096 B)"
    assert dict(footer)["for backward"] == ("8.0 KiB (8,192 B) kept by autograd, parameters apart")
    assert [text for name, text in footer if name == "note"] == ["qkv: was not watched", "on meta"]
