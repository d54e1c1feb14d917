"""Scratch inside kernels: with it, the peak is that of a profiler that runs without our modes."""

from __future__ import annotations

from decimal import Decimal

import pytest
import torch

import attntrace
from attntrace import SettingsError
from attntrace.blocks import make_inputs
from attntrace.capture import measure, meter_for
from attntrace.capture.measure import Change, CudaMeter, Span, scratch_of
from attntrace.capture.structure import tensors_in
from tests.blocks.variants import VARIANTS
from tests.capture.recorders import profiled_peak

SOME = [*list(VARIANTS)[::40], "softcap", "psa", "t2t", "decoder-moe-step"]
LAYER = {"batch": 3, "tokens": 40, "chan": 64, "heads": 2}
FUSED = {**LAYER, "attention": {"impl": "torch", "qkv_bias": True}}
BROKEN = "scratch is not measured: torch's profiler "


def unwatched_peak(spec):
    """Return the profiler's peak of a forward, and with grad of backward from ones.

    Of the second one: what a first one sets up is not of it.
    """
    block = attntrace.build(spec)

    def step(inputs):
        torch.manual_seed(spec.run.seed)
        out = block(**inputs)
        outs = [tensor for tensor in tensors_in(out) if tensor.grad_fn is not None]
        if outs:
            torch.autograd.backward(outs, [torch.ones_like(tensor) for tensor in outs])

    with torch.set_grad_enabled(spec.run.grad):
        step(make_inputs(spec))
        block.zero_grad(set_to_none=True)
        inputs = make_inputs(spec)
        return profiled_peak(lambda: step(inputs))[0]


def measured_peak(spec):
    """Return our peak of the same."""
    memory = attntrace.run(spec, measure=True).memory
    return max(memory.peak_nbytes, memory.training_peak_nbytes or 0)


@pytest.mark.parametrize("grad", [False, True], ids=["forward", "training"])
@pytest.mark.parametrize("name", dict.fromkeys(SOME))
def test_peak_of_a_variant_is_the_profilers(name, grad):
    """Every kind of block, forward and backward: the profiler's peak, nothing set apart."""
    settings = VARIANTS[name]
    spec = attntrace.load(**{**settings, "run": {**settings.get("run", {}), "grad": grad}})
    assert measured_peak(spec) == unwatched_peak(spec)


@pytest.mark.parametrize("grad", [False, True], ids=["forward", "training"])
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("impl", ["eager", "sdpa", "torch"])
def test_peak_of_each_implementation_is_the_profilers(impl, dtype, grad):
    """oneDNN's buffers, flash attention's for each thread, and all of the fused layer's inside."""
    attention = {"impl": impl, "qkv_bias": True}
    spec = attntrace.load(**LAYER, attention=attention, run={"dtype": dtype, "grad": grad})
    assert measured_peak(spec) == unwatched_peak(spec)


def test_scratch_stands_on_its_op_and_is_in_the_peak():
    """The fused layer holds q, k, v twice, one of them where its output will be."""
    plain, trace = attntrace.run(FUSED), attntrace.run(FUSED, measure=True)
    scratch = {op.op: op.scratch_nbytes for op in trace.ops if op.scratch_nbytes}
    part = 3 * 40 * 64 * 4
    assert scratch == {"aten._native_multi_head_attention.default": 5 * part}
    assert (plain.memory.peak_nbytes, trace.memory.peak_nbytes) == (2 * part, 6 * part)
    assert plain.memory.not_counted == (
        "scratch inside kernels, above all _native_multi_head_attention",
    )
    assert trace.memory.not_counted == ()


def test_a_wrapped_number_is_scratch_of_its_op():
    """`q * 0.25` makes a tensor of 8 bytes for the number, and one of 4 in q's dtype."""
    trace = attntrace.run(LAYER, measure=True)
    [scale] = [op for op in trace.ops if op.op == "aten.mul.Tensor"]
    assert scale.scratch_nbytes == 12


def test_every_op_of_a_step_is_measured():
    """Backward and the optimizer, too."""
    run = {"mode": "train", "grad": True, "optimizer": "adamw"}
    trace = attntrace.run({**LAYER, "run": run}, measure=True)
    assert {op.phase for op in trace.ops} == {"forward", "backward", "optimizer"}
    assert all(op.scratch_nbytes is not None for op in trace.ops)


def test_nothing_else_changes():
    """Rows, storages, output and random state are those of a run that is not measured."""
    spec = attntrace.load(**LAYER, attention={"dropout": 0.2}, run={"mode": "train"})
    torch.manual_seed(5)
    plain, state = attntrace.run(spec), torch.get_rng_state()
    torch.manual_seed(5)
    trace = attntrace.run(spec, measure=True)
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.equal(trace.output, plain.output)
    assert trace.facts.storages == plain.facts.storages
    assert trace.tensors == plain.tensors
    assert {op.scratch_nbytes for op in plain.ops} == {None}


def test_a_run_on_meta_is_refused():
    """What allocates nothing has no scratch."""
    with pytest.raises(SettingsError) as error:
        attntrace.run({**LAYER, "run": {"device": "meta"}}, measure=True)
    assert (
        str(error.value) == "run.device: --measure needs a run that allocates: device cpu or cuda"
    )


def test_a_device_without_statistics_says_so():
    """On mps nothing is measured, and a note tells."""
    meter = meter_for("mps")
    assert meter.call(torch.add, (torch.ones(2), 1), {}).tolist() == [2, 2]
    assert meter.found == {}
    assert meter.notes == ["scratch is not measured: torch has no such statistics for mps"]


def unmeasured(trace, note):
    """Return whether a trace has a note, its rows, and scratch nowhere."""
    known = {op.scratch_nbytes for op in trace.ops} == {None} and trace["out"].shape is not None
    return known and note in trace.facts.notes and "scratch" in str(trace.memory.not_counted)


def test_another_profiler_goes_on():
    """The author's own profiler is not ended; a note says why nothing is measured."""
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU]) as profiler:
        trace = attntrace.run(LAYER, measure=True)
    assert unmeasured(trace, BROKEN + "is already at work")
    assert any(event.name == "aten::bmm" for event in profiler.events())


def test_a_torch_without_a_profiler_still_runs(monkeypatch):
    """A profiler that refuses is a note."""

    def refuse(*_, **__):
        raise RuntimeError("no Kineto")

    monkeypatch.setattr(torch.profiler, "profile", refuse)
    trace = attntrace.run(LAYER, measure=True)
    assert unmeasured(trace, BROKEN + "does not start: no Kineto")


@pytest.mark.parametrize(
    ("events", "reason"),
    [
        ('{"traceEvents": []}', "shows no memory events"),
        ("{}", "wrote no trace that can be read: KeyError('traceEvents')"),
    ],
)
def test_a_trace_without_memory_events_is_a_note(monkeypatch, events, reason):
    """Where the profiler's file is not what it is now, nothing is measured and nothing breaks."""

    def write(_, path):
        with open(path, "w", encoding="utf-8") as file:  # noqa: PTH123 - as torch does
            file.write(events)

    monkeypatch.setattr(torch.profiler.profile, "export_chrome_trace", write)
    assert unmeasured(attntrace.run(LAYER, measure=True), BROKEN + reason)


@pytest.mark.parametrize(
    ("changes", "scratch"),
    [
        ([], 0),
        ([+100], 0),
        ([+100, +30, -30], 30),
        ([+30, -30, +100], 0),
        ([+30, +8, -8, +100, -30], 30),
        ([-50], 0),
        ([+100, -50], 50),
    ],
    ids=["nothing", "output", "after", "before", "both", "frees", "moves"],
)
def test_scratch_is_the_highest_level_above_the_last(changes, scratch):
    """What was alive besides what the op left behind; memory that it only frees is none."""
    events = [Change(Decimal(5), 1000)]
    events += [Change(Decimal(10 + n), nbytes) for n, nbytes in enumerate(changes)]
    events += [Change(Decimal(30), 7), Change(Decimal(31), -7)]
    assert scratch_of(events, [Span(3, Decimal(10), Decimal(20))]) == {3: scratch}


class Allocator:
    """CUDA's statistics, of an allocator that is made up."""

    def __init__(self):
        self.alive = self.peak = 4096

    def reset_peak_memory_stats(self, _):
        self.peak = self.alive

    def memory_allocated(self, _):
        return self.alive

    def max_memory_allocated(self, _):
        return self.peak

    def change(self, *sizes):
        """Allocate, or below zero free, one after the other."""
        for nbytes in sizes:
            self.alive += nbytes
            self.peak = max(self.peak, self.alive)


def test_on_cuda_the_allocators_peak_of_each_op_counts(monkeypatch):
    """The most that was allocated while the op ran, less what was left; nothing where it freed."""
    allocator, meter, ledger = Allocator(), CudaMeter("cuda:0"), measure.Ledger()
    monkeypatch.setattr(torch, "cuda", allocator)
    with meter.attached(ledger):
        for sizes in ((1024, 512, -512), (2048,), (-2048,), (512, -512)):
            meter.call(allocator.change, sizes, {})
            ledger.ops.append(None)
    assert [one.nbytes for one in meter.found.values()] == [512, 0, 0, 512]
    assert list(meter.found) == [0, 1, 2, 3]
    assert meter.notes == []
