"""Facts that no run has written: fake records, for tests that need neither torch nor a block."""

from __future__ import annotations

from dataclasses import replace
from math import prod
from typing import Any

from attntrace.record import (
    Diagnosis,
    Environment,
    Fix,
    ModuleRecord,
    Operand,
    OpOutput,
    OpRecord,
    Step,
    StorageRecord,
    TensorRecord,
    Trace,
)

WITNESSES = ("function", "dispatch")


def fake_row(
    index: int, name: str, op: str, shape: tuple[int, ...], **changes: Any
) -> TensorRecord:
    """Return a row of new float32 memory that every witness saw."""
    nbytes = 4 * prod(shape)
    row = TensorRecord(
        index=index,
        name=name,
        path="",
        op=op,
        kind="op",
        shape=shape,
        stride=None,
        axes=None,
        dtype="float32",
        device="cpu",
        nbytes=nbytes,
        storage_id=None,
        origin="new",
        alias_of=None,
        allocated_nbytes=nbytes,
        hidden_nbytes=0,
        inputs=(),
        seen_by=WITNESSES,
        source=None,
        formula=None,
        flops=None,
    )
    return replace(row, **changes)


def fake_op(index: int, op: str, row: int | None, *outputs: OpOutput, **changes: Any) -> OpRecord:
    """Return a dispatched op whose inputs are not known."""
    record = OpRecord(
        index=index,
        op=op,
        path="",
        row=row,
        inputs=(),
        outputs=outputs,
        transposed=None,
        flops=None,
    )
    return replace(record, **changes)


def fake_output(shape: tuple[int, ...], storage_id: int | None, **changes: Any) -> OpOutput:
    """Return a float32 tensor in new memory."""
    nbytes = 4 * prod(shape)
    output = OpOutput(
        shape=shape,
        dtype="float32",
        nbytes=nbytes,
        storage_id=storage_id,
        origin="new",
        allocated_nbytes=nbytes,
    )
    return replace(output, **changes)


def fake_storage(id: int, nbytes: int, owner: str = "run", **changes: Any) -> StorageRecord:
    """Return a storage that was there before the run and outlived it."""
    storage = StorageRecord(
        id=id,
        nbytes=nbytes,
        owner=owner,
        name=None,
        device="cpu",
        born=None,
        died=None,
        op=None,
        row=None,
        saved_for_backward=None,
    )
    return replace(storage, **changes)


def fake_module(path: str, type: str, *outputs: int, **changes: Any) -> ModuleRecord:
    """Return one call of a module without parameters."""
    depth = path.count(".") + 1 if path else 0
    module = ModuleRecord(
        path=path, type=type, depth=depth, parameters=0, outputs=outputs, note=None
    )
    return replace(module, **changes)


def fake_failure(**changes: Any) -> Diagnosis:
    """Return a matmul of two tensors that do not fit."""
    failure = Diagnosis(
        error="RuntimeError",
        message="sizes do not fit",
        op="matmul",
        path="",
        source="model.py:7",
        line="scores = q @ k",
        operands=(
            Operand(
                name="q", shape=(13, 100, 64), axes=("batch", "tokens", "chan"), dtype="float32",
                device="cpu", row=2, source="model.py:5",
            ),
            Operand(
                name="k", shape=(49,), dtype="float16", device="cpu", row=None, holds="0 to 79"
            ),
        ),
        mark=(9, 14),
        rule="the last size of q, 64, must equal the size of k, 49.",
        origin=(
            Step(said="k has 49 by `dim`", source="model.py:2", line="self.k = Rows(dim)"),
            Step(said="`images` came in so"),
        ),
        fixes=(
            Fix(said="build k with 64", code="Rows(64)", tried="on meta"),
            Fix(said="cast k"),
        ),
    )  # fmt: skip
    return replace(failure, **changes)


def fake_environment(**changes: Any) -> Environment:
    """Return a CPU in eval mode, with version numbers that never change."""
    environment = Environment(
        attntrace="0.1.0",
        torch="2.13.0",
        python="3.11.7",
        device="cpu",
        device_name="x86_64",
        dtype="float32",
        training=False,
        grad=False,
        inference=False,
        autocast=None,
    )
    return replace(environment, **changes)


def fake_trace(**changes: Any) -> Trace:
    """Return one head of attention up to the scores: batch 13, tokens 100, dim 49, width 64.

    x goes in, qkv is a module of its own, q is a view of qkv, and the scores hide a copy of k.
    """
    trace = Trace(
        subject="Scores",
        tensors=_rows(),
        ops=_ops(),
        modules=(
            fake_module("", "Scores", 3, parameters=9_408),
            fake_module("qkv", "Linear", 1, parameters=9_408),
        ),
        storages=_storages(),
        outputs=(3,),
        environment=fake_environment(),
        parameters=9_408,
        sizes={"batch": 13, "tokens": 100, "dim": 49},
    )
    return replace(trace, **changes)


def fake_training(**changes: Any) -> Trace:
    """Return the same followed backward: the scores' gradient, then that of qkv's weight.

    Autograd kept qkv, which dies with the scores' gradient once the weight has its own.
    """
    forward = fake_trace()
    gradients = (
        fake_row(
            4, "d scores", "ones_like", (13, 100, 100), kind="gradient", phase="backward",
            gradient_of=3, storage_id=5,
        ),
        fake_row(
            5, "d weight", "TBackward0", (192, 49), kind="gradient", phase="backward",
            path="qkv", storage_id=6,
        ),
    )  # fmt: skip
    ops = (
        fake_op(4, "aten.ones_like.default", 4, fake_output((13, 100, 100), 5), phase="backward"),
        fake_op(
            5, "aten.mm.default", 5, fake_output((192, 49), 6), phase="backward", flops=24_460_800
        ),
    )
    kept = {2: {"saved_for_backward": True, "died": 7, "died_row": 5}}
    storages = [replace(life, saved_for_backward=False) for life in forward.storages]
    storages = [replace(life, **kept.get(life.id, {})) for life in storages]
    trace = replace(
        forward,
        tensors=forward.tensors + gradients,
        ops=forward.ops + ops,
        storages=(
            *storages,
            fake_storage(5, 520_000, born=4, died=6, died_row=5, op=4, row=4),
            fake_storage(6, 37_632, born=5, op=5, row=5),
        ),
        environment=fake_environment(training=True, grad=True),
        began={"backward": 3},
    )
    return replace(trace, **changes)


def _rows() -> tuple[TensorRecord, ...]:
    x = fake_row(
        0, "x", "input", (13, 100, 49), kind="input", axes=("batch", "tokens", "dim"),
        stride=(4900, 49, 1), storage_id=1, origin="input", allocated_nbytes=0,
    )  # fmt: skip
    qkv = fake_row(
        1, "qkv", "linear", (13, 100, 192), kind="module", path="qkv", storage_id=2,
        axes=("batch", "tokens", "3*64"), inputs=(0,), flops=24_460_800,
        formula="x W_qkv^T", source="model.py:5",
    )  # fmt: skip
    q = fake_row(
        2, "q", "getitem", (13, 100, 64), storage_id=2, origin="view", alias_of=1,
        allocated_nbytes=0, inputs=(1,), source="model.py:6", seen_by=("function",),
    )  # fmt: skip
    scores = fake_row(
        3, "scores", "matmul", (13, 100, 100), storage_id=4, hidden_nbytes=332_800,
        axes=("batch", "tokens", "tokens"), inputs=(2,), flops=16_640_000,
        formula="q k^T", source="model.py:7",
    )  # fmt: skip
    return x, qkv, q, scores


def _ops() -> tuple[OpRecord, ...]:
    return (
        fake_op(0, "aten.mm.default", 1, fake_output((1300, 192), 2), path="qkv", flops=24_460_800),
        fake_op(
            1, "aten.select.int", 2,
            fake_output((13, 100, 64), 2, origin="view", allocated_nbytes=0),
        ),
        fake_op(2, "aten.clone.default", 3, fake_output((13, 100, 64), 3)),
        fake_op(3, "aten.bmm.default", 3, fake_output((13, 100, 100), 4), flops=16_640_000),
    )  # fmt: skip


def _storages() -> tuple[StorageRecord, ...]:
    return (
        fake_storage(0, 37_632, "parameter", name="qkv.weight"),
        fake_storage(1, 254_800, "input", name="x", row=0),
        fake_storage(2, 998_400, born=0, op=0, row=1),
        fake_storage(3, 332_800, born=1, died=3, op=2, row=3),
        fake_storage(4, 520_000, born=2, op=3, row=3),
    )
