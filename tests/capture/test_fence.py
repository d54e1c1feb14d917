"""What is not public in PyTorch is fenced, and attntrace does without it where it is gone."""

from __future__ import annotations

import subprocess
import sys

import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

import attntrace
from attntrace.capture import fence
from attntrace.capture.classes import asks_if_watched
from attntrace.capture.hooks import WATCHED
from attntrace.capture.witnesses import KernelWitness
from tests.capture.recorders import watched_state


def test_without_a_way_to_ask_for_the_top_mode(monkeypatch):
    """Where the top of the mode stack cannot be asked for, the mode stays on and the note says so."""
    monkeypatch.delattr(torch.overrides, "_get_current_function_mode")
    module = nn.MultiheadAttention(24, 4, batch_first=True).eval()
    x = torch.randn(3, 7, 24)
    before = watched_state()
    with torch.no_grad():
        trace = attntrace.trace(module, x, x, x)
    assert watched_state() == before
    assert trace.modules[0].note == WATCHED
    assert "multi_head_attention_forward" in [row.op for row in trace.tensors]


def test_without_a_way_to_see_saved_tensors(monkeypatch):
    """Where a saved tensor does not show its data, what autograd keeps is None, not 0."""
    monkeypatch.setattr(fence, "SAVED_FIELDS", ("data", "no such field"))
    trace = attntrace.run({"heads": 4, "run": {"grad": True}})
    assert trace.memory.saved_for_backward_nbytes is None


def test_tensors_packed_by_the_authors_hooks_are_left_alone():
    """Reading what is saved never calls an unpack hook of the author's."""
    calls = []

    def unpack(packed):
        calls.append(packed)
        return packed

    weight = torch.randn(5, requires_grad=True)
    with torch.autograd.graph.saved_tensors_hooks(lambda t: t, unpack):
        trace = attntrace.trace(lambda x: (x * weight).exp(), torch.randn(5))
    assert trace.memory.saved_for_backward_nbytes == 0
    assert trace.facts.notes == ("2 saved tensors are packed by hooks, and not in 'for backward'",)
    assert calls == []


def test_without_a_way_to_take_an_op_apart(monkeypatch):
    """Where composite ops cannot be told, inference mode shows them whole, and the run goes on."""
    monkeypatch.delattr(torch._C, "_dispatch_has_kernel_for_dispatch_key")
    with torch.inference_mode():
        trace = attntrace.trace(nn.Linear(7, 5), torch.randn(2, 3, 7))
    assert [op.op for op in trace.ops] == ["aten.linear.default"]
    assert "not counted: no op of this run has a formula" in str(trace)


def test_the_override_that_keeps_dynamo_out_is_still_there():
    """The base class documents `_should_skip_dynamo`, and ours says no."""
    assert TorchDispatchMode._should_skip_dynamo() is True
    assert KernelWitness._should_skip_dynamo() is False


def test_a_run_does_not_import_dynamo():
    """Tracing imports nothing that takes as long as torch itself."""
    script = (
        "import sys, attntrace\n"
        "for impl in ('eager', 'sdpa', 'torch'):\n"
        "    trace = attntrace.run({'heads': 4, 'attention': {'impl': impl}})\n"
        "    assert trace.tensors and str(trace)\n"
        "print([n for n in ('torch._dynamo', 'sympy', 'torch.fx') if n in sys.modules])\n"
    )
    ran = subprocess.run([sys.executable, "-W", "ignore", "-c", script], capture_output=True,
                         text=True, check=True)  # fmt: skip
    assert "torch._dynamo" not in ran.stdout


def test_every_module_of_torchs_that_asks_is_known():
    """Each class in torch.nn whose source looks at has_torch_function is one that we recognise."""
    import inspect

    asking = set()
    for name in dir(nn):
        kind = getattr(nn, name)
        if isinstance(kind, type) and issubclass(kind, nn.Module):
            source = inspect.getsource(kind)
            if "has_torch_function" in source:
                asking.add(kind)
    assert {nn.MultiheadAttention, nn.TransformerEncoderLayer, nn.TransformerEncoder} <= asking
    assert all(asks_if_watched(kind) for kind in asking)
    assert not asks_if_watched(nn.Linear)


def test_without_a_way_to_ask_for_a_profiler(monkeypatch):
    """Where nothing tells whether a profiler is at work, scratch is measured all the same."""
    monkeypatch.delattr(torch.autograd, "_profiler_enabled")
    trace = attntrace.run({"heads": 4}, measure=True)
    assert all(op.scratch_nbytes is not None for op in trace.ops)


def test_without_a_way_to_turn_dispatch_modes_off(monkeypatch):
    """A lost tensor is worked out all the same; a dispatch mode of the author's sees it."""
    from attntrace.capture.failed.crashed import crashed

    monkeypatch.delattr(torch._C, "_DisableTorchDispatch")
    q = torch.ones(2, 3)
    try:
        (q * 2) @ q
    except RuntimeError as error:
        call = crashed(error).call
    assert (call.op, call[0].name, call[0].shape) == ("matmul", "q * 2", (2, 3))


def test_without_a_way_to_ask_for_global_hooks(monkeypatch):
    """Where torch hides them there are none; else one of the author's is seen."""
    from torch.nn.modules import module

    hook = module.register_module_forward_hook(lambda *_: None)
    try:
        assert fence.has_global_hooks()
    finally:
        hook.remove()
    assert not fence.has_global_hooks()
    monkeypatch.delattr(module, "_global_forward_hooks")
    assert not fence.has_global_hooks()
