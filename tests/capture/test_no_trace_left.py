"""Watching changes nothing: outputs to the bit, hooks, modes, flags, random state, the graph."""

from __future__ import annotations

import gc
import threading
import weakref

import pytest
import torch
from torch import nn
from torch.overrides import TorchFunctionMode

import attntrace
from tests.capture.recorders import watched_state
from tests.capture.test_completeness import SPECS, block_and_input

TORCHS_OWN = {
    "attention": lambda: nn.MultiheadAttention(24, 4, batch_first=True),
    "encoder layer": lambda: nn.TransformerEncoderLayer(24, 4, 40, 0.1, batch_first=True),
    "encoder": lambda: nn.TransformerEncoder(
        nn.TransformerEncoderLayer(24, 4, 40, 0.1, batch_first=True), 2
    ),
    "decoder layer": lambda: nn.TransformerDecoderLayer(24, 4, 40, 0.1, batch_first=True),
    "lstm": lambda: nn.LSTM(24, 13, batch_first=True),
}


def call(module, x):
    """Call a module with as many copies of x as it wants."""
    many = {nn.MultiheadAttention: 3, nn.TransformerDecoderLayer: 2}.get(type(module), 1)
    return (x,) * many


def leaves(value):
    """Return the tensors of an output."""
    return [value] if isinstance(value, torch.Tensor) else [t for v in value for t in leaves(v)]


@pytest.mark.parametrize("grad", [False, True], ids=["no grad", "grad"])
@pytest.mark.parametrize("training", [False, True], ids=["eval", "train"])
@pytest.mark.parametrize("make", TORCHS_OWN.values(), ids=TORCHS_OWN.keys())
def test_torchs_own_modules_compute_the_same_bits(make, training, grad):
    """Modules that ask whether they are watched take the path that they take unwatched."""
    torch.manual_seed(5)
    module, x = make().train(training), torch.randn(3, 7, 24)
    with torch.set_grad_enabled(grad):
        torch.manual_seed(7)
        plain = leaves(module(*call(module, x)))
        torch.manual_seed(7)
        traced = leaves(attntrace.trace(module, *call(module, x)).output)
    assert len(plain) == len(traced)
    assert all(torch.equal(a, b) for a, b in zip(plain, traced, strict=True))


@pytest.mark.parametrize("settings", SPECS.values(), ids=SPECS.keys())
def test_our_blocks_compute_the_same_bits_and_gradients(settings):
    """Output and gradients are those of the bare block."""
    block, x = block_and_input(settings)
    plain = block(x)
    plain.float().sum().backward()
    expected = [p.grad.clone() for p in block.parameters()]
    block.zero_grad()
    traced = attntrace.trace(block, x).output
    traced.float().sum().backward()
    assert torch.equal(plain, traced)
    assert all(torch.equal(a, p.grad) for a, p in zip(expected, block.parameters(), strict=True))


@pytest.mark.parametrize("fails", [False, True], ids=["returns", "raises"])
def test_everything_is_as_before(fails):
    """Hooks, modes, flags and random state are as before, also when forward raises."""
    block, x = block_and_input({"heads": 4, "run": {"mode": "train"}})
    block.attention.proj.weight.requires_grad_(requires_grad=False)
    flags = [(m.training, len(m._forward_hooks)) for m in block.modules()]
    wants = [p.requires_grad for p in block.parameters()]
    before = watched_state()
    if fails:
        with pytest.raises(attntrace.ForwardError):
            attntrace.trace(block, x[:, :, :-1])
    else:
        attntrace.trace(block, x)
    assert watched_state() == before
    assert [(m.training, len(m._forward_hooks)) for m in block.modules()] == flags
    assert [p.requires_grad for p in block.parameters()] == wants


def test_an_error_inside_a_standing_aside_module_restores_the_modes():
    """The function mode is off the stack afterwards although it was off when the error came."""
    module = nn.MultiheadAttention(24, 4, batch_first=True).eval()
    x = torch.randn(3, 7, 23)
    before = watched_state()
    with torch.no_grad(), pytest.raises(attntrace.ForwardError):
        attntrace.trace(module, x, x, x)
    assert watched_state() == before


def test_an_interrupt_restores_everything_and_passes():
    """What is no error of the forward's is not caught, but the witnesses go all the same."""

    def interrupted(x):
        raise KeyboardInterrupt

    x = torch.randn(2)
    before = watched_state()
    with pytest.raises(KeyboardInterrupt):
        attntrace.trace(interrupted, x)
    assert watched_state() == before


def test_the_authors_own_function_mode_is_left_on_the_stack():
    """Where a mode of the author's lies above ours, ours stays, and the trace says so."""

    class Theirs(TorchFunctionMode):
        def __torch_function__(self, func, types, args=(), kwargs=None):
            return func(*args, **(kwargs or {}))

    module = nn.MultiheadAttention(24, 4, batch_first=True).eval()

    def forward(x):
        with Theirs():
            return module(x, x, x)[0] + 1

    x = torch.randn(3, 7, 24)
    before = watched_state()
    with torch.no_grad():
        trace = attntrace.trace(forward, x)
    assert watched_state() == before
    assert [m.note for m in trace.modules] == [
        "asks whether it is watched, and was: it may run other kernels when it is not"
    ]


def test_no_tensor_is_kept_alive():
    """A trace without its output holds no tensor, no module and no storage."""
    block, x = block_and_input({"heads": 4})
    with torch.no_grad():
        trace = attntrace.trace(block, x)
    gone = [weakref.ref(thing) for thing in (trace.output, x, block)]
    trace.output = None
    del x, block
    gc.collect()
    assert [thing() for thing in gone] == [None, None, None]
    assert len(trace.tensors) == 18


def test_autograd_still_notices_a_change_in_place():
    """Nothing of ours in the graph turns off its check that saved tensors are unchanged."""
    weight = torch.randn(5, requires_grad=True)
    trace = attntrace.trace(lambda x: (x * weight).exp(), torch.randn(5))
    trace.output.detach().add_(1)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        trace.output.sum().backward()


def test_two_threads_do_not_mix():
    """Traces that run at once in two threads each see their own modules and nothing else."""
    blocks = [block_and_input({"heads": heads}) for heads in (2, 4)]
    alone = [attntrace.trace(block, x).facts for block, x in blocks]
    together = [None, None]
    start = threading.Barrier(2)

    def work(number):
        block, x = blocks[number]
        start.wait()
        for _ in range(20):
            together[number] = attntrace.trace(block, x).facts

    threads = [threading.Thread(target=work, args=(n,)) for n in (0, 1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [t.tensors for t in together] == [t.tensors for t in alone]
    assert [t.modules for t in together] == [t.modules for t in alone]


@pytest.mark.parametrize("as_device", ["cpu", "cuda"])
def test_a_run_on_meta_leaves_no_hook(as_device):
    """What makes a run on meta speak for a device is gone afterwards, marks of hooks included."""
    before = watched_state()
    attntrace.run({"heads": 4, "run": {"device": "meta", "as_device": as_device}})
    assert watched_state() == before
