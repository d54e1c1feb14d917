"""What is equal of a run on meta and the run that it predicts: everything but the device."""

from __future__ import annotations

from contextlib import contextmanager

import pytest

import attntrace
from attntrace.blocks.feed_forward import experts

MEMORY = (
    "parameters_nbytes", "buffers_nbytes", "inputs_nbytes", "allocated_nbytes", "hidden_nbytes",
    "peak_nbytes", "peak_at", "saved_for_backward_nbytes", "gradients_nbytes",
    "training_peak_nbytes", "training_peak_at",
)  # fmt: skip


def even(counts, rows):
    """Return equal shares of the rows of all experts."""
    each, rest = divmod(rows, len(counts))
    return [each + (expert < rest) for expert in range(len(counts))]


@contextmanager
def even_load():
    """Give every expert as many tokens: who gets whose is a matter of values, which meta has not."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(experts, "shares", even)
        yield


def both(spec):
    """Return the trace of a run on the CPU, every expert with as many tokens, and that on meta."""
    on_meta = spec.run.model_copy(update={"device": "meta"})
    with even_load():
        real = attntrace.run(spec)
    return real, attntrace.run(spec.model_copy(update={"run": on_meta}))


def figures(trace):
    """Return what a trace says of memory."""
    return {name: getattr(trace.memory, name) for name in MEMORY}


def row(record):
    """Return all that a row says, but for where it ran."""
    left_out = ("device", "storage_id", "flops")
    names = (name for name in type(record).__slots__ if name not in left_out)
    return {name: getattr(record, name) for name in names}


def op(record):
    """Return an op and what it made."""
    made = [(o.shape, o.dtype, o.nbytes, o.origin, o.allocated_nbytes) for o in record.outputs]
    return record.op, record.phase, record.row, record.inputs, made


def check(real, meta):
    """Assert that a prediction is right: memory first, since that says most."""
    assert figures(meta) == figures(real)
    assert [op(record) for record in meta.ops] == [op(record) for record in real.ops]
    assert [row(record) for record in meta.tensors] == [row(record) for record in real.tensors]
    made = {(record.name, record.device) for record in meta.tensors}
    assert {name for name, device in made if device != "meta"} <= {"random_state"}
