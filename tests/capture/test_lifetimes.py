"""Watching keeps nothing alive: not in the run, where it would be in the peak, and not after it."""

from __future__ import annotations

import contextlib
import gc
import subprocess
import sys
import threading
import weakref

import pytest
import torch
import torch.nn.functional as F
from torch import nn

import attntrace
from attntrace.capture.tap import Tap
from tests.capture.recorders import profiled_peak


def assert_peak_is_the_profilers(function, *args):
    """Compare the two witnesses on one call."""
    function(*args)
    whole, _ = profiled_peak(lambda: function(*args))
    assert attntrace.trace(function, *args).memory.peak_nbytes == whole


def test_modules_made_in_forward_die_when_they_would():
    """A module that forward makes and drops is not held until the run ends."""

    def forward(x):
        for _ in range(4):
            x = nn.Linear(64, 64, bias=False)(x)
        return x

    with torch.no_grad():
        assert_peak_is_the_profilers(forward, torch.randn(2, 64))
        memory = attntrace.trace(forward, torch.randn(2, 64)).memory
    assert (memory.parameters, memory.parameters_nbytes) == (0, 0)


def test_an_error_that_was_handled_lets_its_tensors_go():
    """What a failed attempt held is free again once the author has handled its error."""

    def attempt(x):
        big = x.repeat(100)
        return big @ torch.ones(3, 5)

    def forward(x):
        with contextlib.suppress(RuntimeError):
            attempt(x)
        return x.repeat(100)

    assert_peak_is_the_profilers(forward, torch.randn(500))


RETRY = """
import contextlib, gc, weakref, torch, attntrace

def attempt():
    made = []
    def forward(x):
        big = x.repeat(100)
        made.append(weakref.ref(big))
        return big @ big.T.unsqueeze(0).expand(2, 3)
    with contextlib.suppress(attntrace.ForwardError):
        attntrace.trace(forward, torch.randn(50))
    return made[0]()

gc.collect()
gc.disable()
print(attempt() is None)
"""


def test_a_failed_forward_lets_its_tensors_go():
    """No reference cycle keeps the tensors of a failed run, so that a retry has the memory.

    In a process of its own: under pytest the frames of a handled error live longer.
    """
    ran = subprocess.run([sys.executable, "-W", "ignore", "-c", RETRY], capture_output=True,
                         text=True, check=True)  # fmt: skip
    assert ran.stdout == "True\n"


def test_a_function_and_what_it_closes_over_are_let_go():
    """Tracing a function does not keep it, nor the tensors in its closure."""
    kept = torch.randn(7, 3)
    gone = weakref.ref(kept)

    def forward(x, kept=kept):
        return x @ kept

    assert attntrace.trace(forward, torch.randn(5, 7)).tensors
    del kept, forward
    gc.collect()
    assert gone() is None


def test_a_callable_without_a_hash():
    """Any callable will do."""

    class Model:
        __hash__ = None

        def __call__(self, tokens, *more):
            return tokens + more[0]

    trace = attntrace.trace(Model(), torch.randn(3), torch.randn(3))
    assert [row.name for row in trace] == ["tokens", "more[0]", "tokens + more[0]"]


def test_what_was_saved_before_the_run_is_not_of_the_run():
    """The graph above the inputs is the caller's."""
    x = torch.randn(5, requires_grad=True).relu()
    assert attntrace.trace(lambda x: x + 1, x).memory.saved_for_backward_nbytes == 0


def test_a_write_into_memory_from_outside_is_in_place():
    """A cache that the model keeps as a plain attribute is written, not viewed."""
    cache = torch.zeros(5)

    def forward(x):
        return cache.add_(x)

    trace = attntrace.trace(forward, torch.randn(5))
    assert trace.tensors[-1].origin == "in place"
    assert trace.ops[-1].outputs[0].origin == "in place"
    assert trace.memory.allocated_nbytes == 0


def test_a_tensor_made_from_numbers_is_new():
    """torch.tensor in forward allocates."""
    trace = attntrace.trace(lambda: torch.tensor([1.0, 2.0, 3.0]))
    assert [row.origin for row in trace] == ["new"]
    assert trace.memory.allocated_nbytes == 12


def test_a_tap_of_another_thread_names_nothing_of_ours():
    """A tap that another thread calls on the same tensor does not rename our row."""

    def forward(x):
        y = x + 1
        other = threading.Thread(target=Tap("wrong", "n", "wrong"), args=(y,))
        other.start()
        other.join()
        return y * 2

    assert [row.name for row in attntrace.trace(forward, torch.randn(3))] == ["x", "y", "y * 2"]


def test_the_module_of_an_error_of_plain_python():
    """An error that no torch call raised says in which module it was raised."""

    class Inner(nn.Module):
        def forward(self, x):
            message = f"no room for {tuple(x.shape)}"
            raise ValueError(message)

    model = nn.Sequential(nn.Linear(7, 5), nn.Sequential(Inner()))
    with pytest.raises(attntrace.ForwardError) as caught:
        attntrace.trace(model, torch.randn(2, 7))
    assert caught.value.diagnosis.path == "1.0"


@pytest.mark.parametrize(
    "call",
    [
        lambda x: F.linear(x, x.mT.contiguous()[0].T),
        lambda x: x @ x.mT,
        lambda x: F.interpolate(x[None], scale_factor=2.0, mode="bilinear"),
        lambda x: F.batch_norm(x, torch.zeros(4), torch.ones(4)),
        lambda x: F.dropout(x, 0.5, training=False) + 1,
        lambda x: F.scaled_dot_product_attention(x, x, x),
        lambda x: torch.einsum("bij,bkj->bik", x, x),
    ],
    ids=["linear", "matmul", "interpolate", "batch_norm", "dropout", "sdpa", "einsum"],
)
def test_inference_mode_runs_the_same_kernels(call):
    """Ops, bits and peak are those of a run without grad."""
    x = torch.randn(3, 4, 8)
    with torch.no_grad():
        without = attntrace.trace(call, x)
    with torch.inference_mode():
        bare = call(x)
        inside = attntrace.trace(call, x)
        assert torch.equal(bare, inside.output)
    assert [op.op for op in inside.ops] == [op.op for op in without.ops]
    assert inside.memory.peak_nbytes == without.memory.peak_nbytes
