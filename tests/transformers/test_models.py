"""Models of transformers are traced whole, and as if nobody had looked."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any, NamedTuple

import pytest
import torch

import attntrace
from tests.capture.recorders import Calls, Ops, watched_state
from tests.transformers.models import SDPA, TINY, given_of, model_of

WAYS = [(name, "eager") for name in TINY] + [(name, "sdpa") for name in SDPA]


class Watched(NamedTuple):
    """One forward, unwatched, under recorders of torch's own, and traced."""

    plain: Any
    random: list[int]
    calls: Counter
    ops: Counter
    trace: attntrace.Trace
    before: tuple
    after: tuple


def leaves(value, name="output"):
    """Yield the tensors of an output under their names, caches included."""
    if isinstance(value, torch.Tensor):
        yield name, value
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield from leaves(item, f"{name}.{key}")
    elif isinstance(value, list | tuple):
        for number, item in enumerate(value):
            yield from leaves(item, f"{name}[{number}]")
    elif hasattr(value, "__dict__"):  # a cache of keys and values
        yield from leaves({k: v for k, v in vars(value).items() if k != "config"}, name)


def state_of(model):
    """Return what a trace must leave as it was in a model: hooks, flags, buffers, attributes."""
    return [
        (m.training, len(m._forward_hooks), len(m._forward_pre_hooks), sorted(vars(m)))
        for m in model.modules()
    ] + [(name, tensor._version) for name, tensor in model.state_dict().items()]


@pytest.fixture(scope="module", params=WAYS, ids="-".join)
def watched(request):
    """Return what there is to compare of one model."""
    model, given = model_of(*request.param), given_of(request.param[0])
    with torch.no_grad():
        torch.manual_seed(1)
        plain, random = model(**given), torch.get_rng_state().tolist()
        with Calls() as calls:
            model(**given)
        with Ops() as ops:
            model(**given)
        torch.manual_seed(1)
        before = watched_state()[:-1], state_of(model)
        trace = attntrace.trace(model, **given)
        after = watched_state()[:-1], state_of(model)
    assert torch.get_rng_state().tolist() == random
    return Watched(plain, random, calls.seen, ops.seen, trace, before, after)


def test_every_field_of_the_output_is_the_same(watched):
    """Each tensor of the ModelOutput and of its cache, to the bit."""
    plain, traced = list(leaves(watched.plain)), list(leaves(watched.trace.output))
    assert [name for name, _ in plain] == [name for name, _ in traced]
    assert plain
    assert all(torch.equal(a, b) for (_, a), (_, b) in zip(plain, traced, strict=True))


def test_every_python_level_tensor_is_present(watched):
    """The rows are what Python-level calls returned, no more and no less."""
    rows = [row for row in watched.trace.tensors if row.kind != "input"]
    assert Counter((row.op, row.shape, row.dtype) for row in rows) == watched.calls


def test_every_dispatched_op_is_present(watched):
    """The ops are what the dispatcher ran, no more and no less."""
    ops = watched.trace.ops
    assert Counter((op.op, o.shape, o.dtype) for op in ops for o in op.outputs) == watched.ops


def test_nothing_is_warned_of(watched):
    """No call looks like one of those that run and do something else than was meant."""
    assert watched.trace.warnings == ()


def test_everything_is_as_before(watched):
    """Global hooks, modes, the model's hooks, flags, attributes and the versions of its tensors."""
    assert watched.before == watched.after
