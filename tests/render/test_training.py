"""What the table and its footer say of a run that was followed backward."""

from __future__ import annotations

from dataclasses import replace
from io import StringIO

import pytest
from rich.console import Console

from attntrace.render import View, print_report, to_text
from attntrace.render.sheet import DEFAULT, sheet_of
from tests.builders import (
    fake_environment,
    fake_op,
    fake_row,
    fake_storage,
    fake_trace,
    fake_training,
)


def names(trace, **view):
    """Return role, depth and name of every line."""
    lines = sheet_of(trace, View(**view)).lines
    return [(line.role, line.depth, line.cells["tensor"].text) for line in lines]


def cells(trace, key):
    """Return the text of one column, row by row."""
    sheet = sheet_of(trace, View(columns=(key,)))
    return [line[sheet.columns[0]].text for line in sheet.lines if line.role == "tensor"]


def footer(trace):
    """Return the labelled lines below the table."""
    return dict(sheet_of(trace, View()).footer)


def test_backward_has_a_heading():
    """Gradients stand below "backward", and their modules are headed there again."""
    assert names(fake_training())[5:] == [
        ("phase", 0, "backward"),
        ("module", 0, "Scores"),
        ("tensor", 1, "d scores"),
        ("module", 1, "qkv: Linear"),
        ("tensor", 2, "d weight"),
    ]


def test_a_module_that_backward_left_is_headed_anew():
    """Backward goes to and fro between modules; no row stands below the heading of another one."""
    rows = [
        fake_row(n, f"d {n}", "MulBackward0", (13, 7), path=path, phase="backward", kind="gradient")
        for n, path in enumerate(["a", "a.b", "a", "c", "a.b"])
    ]
    modules = [fake_trace().modules[0]]
    modules += [replace(modules[0], path=path, type=path.upper()) for path in ("a", "a.b", "c")]
    trace = fake_trace(tensors=tuple(rows), ops=(), storages=(), modules=tuple(modules))
    assert [name for role, _, name in names(trace) if role != "tensor"] == [
        "backward", "Scores", "a: A", "a.b: A.B", "c: C", "a: A", "a.b: A.B",
    ]  # fmt: skip


def test_what_is_recomputed_stands_between():
    """Recomputed rows interrupt backward under a heading of their own."""
    phases = ["forward", "backward", "recompute", "backward"]
    rows = tuple(fake_row(n, f"t{n}", "add", (13, 7), phase=p) for n, p in enumerate(phases))
    trace = fake_trace(tensors=rows, ops=(), storages=(), modules=())
    assert [name for _, _, name in names(trace)] == [
        "t0", "backward", "t1", "recompute", "t2", "backward", "t3",
    ]  # fmt: skip


def test_the_module_level_has_gradients_of_what_modules_return():
    """At the module level stand the gradients of the rows that stand there, and no heading else."""
    assert [name for role, _, name in names(fake_training(), level="module") if role != "module"] == [
        "x", "qkv", "scores", "backward", "d scores",
    ]  # fmt: skip


def test_columns_of_training():
    """What autograd keeps, gradients and lifetimes; inputs and views live with others."""
    trace = fake_training()
    assert cells(trace, "saved") == ["", "975.0 KiB", "", "", "", ""]
    assert cells(trace, "grad") == ["", "", "", "507.8 KiB", "", ""]
    assert cells(trace, "alive") == ["", "until backward #5", "", "to the end", "#5", "to the end"]


def test_hidden_storages_are_saved_by_their_row():
    """What a call hid and autograd keeps is in the row of the call."""
    storages = [
        replace(life, saved_for_backward=life.id in (2, 3)) for life in fake_training().storages
    ]
    assert cells(fake_training(storages=tuple(storages)), "saved") == [
        "", "975.0 KiB", "", "325.0 KiB", "", "",
    ]  # fmt: skip


def test_scratch_is_empty_where_it_was_not_measured():
    """The scratch of a row is the sum over its ops; none that was measured is 0, not empty."""
    assert cells(fake_trace(), "scratch") == ["", "", "", ""]
    ops = [replace(op, scratch_nbytes=1024 * op.index) for op in fake_trace().ops]
    assert cells(fake_trace(ops=tuple(ops)), "scratch") == ["", "0 B", "1.0 KiB", "5.0 KiB"]


def test_the_default_of_inference_is_no_wider():
    """`saved` and `grad` are there where backward was followed, and for those who ask."""
    keys = [column.key for column in sheet_of(fake_training(), View()).columns]
    assert keys == [
        "#",
        "tensor",
        "op",
        "shape",
        "axes",
        "dtype",
        "memory",
        "saved",
        "grad",
        "from",
    ]
    assert tuple(column.key for column in sheet_of(fake_trace(), View()).columns) == DEFAULT


@pytest.mark.parametrize("width", range(4, 200, 14))
def test_no_shape_is_ever_cut(width):
    """At every width each shape and each name of a training run stand there whole."""
    out = StringIO()
    print_report(fake_training(), View(), Console(file=out, width=width))
    assert "…" not in out.getvalue()
    for row in fake_training().tensors:
        assert str(row.shape) in out.getvalue()


def test_the_footer_of_training():
    """Both peaks and where, what is alive at the second by kind, gradients, FLOPs apart."""
    lines = footer(fake_training())
    assert lines["peak"] == (
        "1.8 MiB (1,851,200 B) at once above parameters and inputs, at #3 scores"
    )
    assert lines["training peak"] == (
        "2.0 MiB (2,076,032 B) at once above parameters and inputs, at #5 d weight"
    )
    assert lines["alive there"] == (
        "saved 975.0 KiB, gradients 544.6 KiB, activations 507.8 KiB, inputs 248.8 KiB, "
        "parameters 36.8 KiB"
    )
    assert lines["gradients"] == "36.8 KiB (37,632 B) of parameters"
    assert lines["FLOPs"] == (
        "41,100,800 forward + 24,460,800 backward (2 per multiply-add, matrix products only)"
    )
    assert (
        lines["note"] == "backward starts from ones as large as the output: a loss would need more"
    )


def test_the_footer_of_inference_says_nothing_of_training():
    """Without backward there are no such lines."""
    assert {"training peak", "alive there", "gradients", "optimizer", "note"}.isdisjoint(
        footer(fake_trace())
    )


def test_a_peak_in_the_step_of_the_optimizer():
    """Optimizer state is a line; a peak where no row is says the phase."""
    step = fake_op(6, "aten.add_.Tensor", None, phase="optimizer")
    storages = (
        *fake_training().storages,
        fake_storage(7, 75_264, "optimizer", name="qkv.weight exp_avg"),
        fake_storage(8, 9_000_000, born=8, died=9, op=6),
    )
    trace = fake_training(
        ops=(*fake_training().ops, step), storages=storages, began={"backward": 3, "optimizer": 7}
    )
    lines = footer(trace)
    assert lines["optimizer"] == "73.5 KiB (75,264 B) of state"
    assert lines["training peak"].endswith(
        "at once above parameters, optimizer and inputs, in optimizer"
    )
    assert "#" not in lines["training peak"]


@pytest.mark.parametrize(
    "environment",
    [fake_environment(as_device="cuda", device="meta"), fake_environment(device="cuda:1")],
)
def test_cuda_counts_in_blocks(environment):
    """On CUDA the peak is made of whole blocks of the allocator, and the footer says so."""
    storages = tuple(
        replace(s, nbytes=s.nbytes + 1, device="cuda:1") for s in fake_trace().storages
    )
    lines = footer(fake_trace(environment=environment, storages=storages))
    assert lines["peak"].startswith("1.8 MiB (1,852,416 B)")
    assert lines["note"] == (
        "the peaks are sums of blocks of 512 bytes, as CUDA's allocator hands out memory"
    )


def test_measured_scratch_is_no_longer_missing():
    """Where scratch was measured, it is in the peak and not listed as not counted."""
    ops = [replace(op, scratch_nbytes=7_000 if op.index == 3 else 0) for op in fake_trace().ops]
    lines = footer(fake_trace(ops=tuple(ops)))
    assert lines["peak"].startswith("1.8 MiB (1,858,200 B)")
    assert "not counted" not in lines


def test_text_marks_the_phase():
    """The heading of the phase is a line of its own in plain text."""
    assert "\n   backward\n" in to_text(fake_training(), View())
