"""What of a run is compared: all that its code decides, and nothing of machine, torch or kernel."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel

import attntrace
from attntrace.analysis.memory import memory_report
from attntrace.analysis.snapshot import device_key, snapshot_of
from attntrace.record.snapshot import Measured
from attntrace.record.snapshot_text import from_text, to_text
from tests.builders import fake_environment, fake_row, fake_trace, fake_training


class Attention(nn.Module):
    """Fused attention over (batch 2, tokens 7, chan 12) with 3 heads, and a norm behind it."""

    def __init__(self):
        """Draw the weights."""
        super().__init__()
        self.qkv = nn.Linear(12, 36)
        self.norm = nn.RMSNorm(12)

    def forward(self, x):
        """Return (batch, tokens, chan)."""
        q, k, v = self.qkv(x).unflatten(-1, (3, 3, 4)).permute(2, 0, 3, 1, 4)
        context = F.scaled_dot_product_attention(q, k, v)
        return self.norm(context.transpose(1, 2).flatten(2))


def step_of(optimizer, **settings):
    """Return a function that takes one step of training."""
    model = Attention()
    steps = optimizer(model.parameters(), lr=0.1, **settings)

    def step(x):
        loss = model(x).square().mean()
        loss.backward()
        steps.step()
        return loss

    return step


def rows_of(subject, *inputs):
    """Return the rows of the snapshot of a run."""
    return snapshot_of(attntrace.trace(subject, *inputs).facts).rows


def test_a_row_is_what_the_table_shows():
    """Path, name, op, shape, axes, dtype and bytes are those of the trace, in order."""
    facts = attntrace.run("multi-head", axes=True).facts
    found = snapshot_of(facts)
    assert len(found.rows) == len(facts.tensors) == 18
    for row, tensor in zip(found.rows, facts.tensors, strict=True):
        for name in row.__slots__:
            assert getattr(row, name) == getattr(tensor, name)
    assert (found.sizes, found.parameters) == (facts.sizes, 13_568)
    assert [(one.path, one.parameters) for one in found.modules] == [
        (one.path, one.parameters) for one in facts.modules
    ]
    assert found.measured == {"cpu": Measured(peak_nbytes=memory_report(facts).peak_nbytes)}


@pytest.mark.parametrize(
    ("config", "changes"),
    [("t5-small", {}), ("llama3-8b", {"layers": 8}), ("rnn-additive", {}), ("separate-heads", {})],
)
def test_the_text_of_a_model_has_its_layers_once(config, changes):
    """Nothing is lost, and the file is a small part of the rows."""
    found = snapshot_of(attntrace.run(attntrace.load(config, **changes)).facts)
    text = to_text(found)
    assert from_text(text, config) == found
    assert text.count("\n") < 0.55 * (len(found.rows) + len(found.modules))


@pytest.mark.parametrize("make", [fake_trace, fake_training])
def test_another_machine_and_another_torch(make):
    """Versions, the processor, places in source, kernels, storages and notes are not in the text."""
    here = make()
    other = replace(
        here,
        environment=replace(
            here.environment, torch="3.1.4", python="3.19.0", attntrace="9.0", device_name="aarch64"
        ),
        tensors=tuple(
            replace(row, source="/home/me/m.py:9", line="x", seen_by=("hook",), inputs=(), flops=3)
            for row in here.tensors
        ),
        ops=tuple(replace(op, op=f"prims.{op.op}") for op in here.ops),
        notes=("it was warm",),
    )
    assert to_text(snapshot_of(other)) == to_text(snapshot_of(here))


@pytest.mark.parametrize(
    ("where", "key"),
    [
        ({}, "cpu"),
        ({"device": "meta", "as_device": "cpu"}, "meta as cpu"),
        ({"device": "meta", "as_device": "cuda"}, "meta as cuda"),
        ({"device": "cuda:1", "device_name": "NVIDIA H100 PCIe"}, "cuda NVIDIA H100 PCIe"),
    ],
)
def test_bytes_are_filed_under_the_device(where, key):
    """Which GPU of a machine it is does not matter, which model of GPU does."""
    assert device_key(fake_environment(**where)) == key
    assert list(snapshot_of(fake_trace(environment=fake_environment(**where))).measured) == [key]


def test_training_is_measured_too():
    """With backward there are its peak and what autograd kept."""
    memory = memory_report(fake_training())
    assert snapshot_of(fake_training()).measured["cpu"] == Measured(
        peak_nbytes=memory.peak_nbytes,
        training_peak_nbytes=memory.training_peak_nbytes,
        saved_for_backward_nbytes=memory.saved_for_backward_nbytes,
    )


def trained(**changes):
    """Return the facts of a step of training of a block."""
    run = {"grad": True, "optimizer": "adam"}
    return attntrace.run(attntrace.load("multi-head", run=run, **changes)).facts


def test_gradients_do_not_tell_the_kernel():
    """Backward through either kernel of attention has the same rows, though torch runs others."""
    with sdpa_kernel(SDPBackend.MATH):
        plain = trained(attention={"impl": "sdpa"})
    with sdpa_kernel(SDPBackend.FLASH_ATTENTION):
        flash = trained(attention={"impl": "sdpa"})
    assert [row.op for row in plain.tensors] != [row.op for row in flash.tensors]
    assert snapshot_of(plain).rows == snapshot_of(flash).rows


def test_each_gradient_is_there_once():
    """Whole and not in parts, in the order of the forward; then those of parameters, then steps."""
    facts = trained()
    rows = snapshot_of(facts).rows
    forward = [row.name for row in rows if row.phase == "forward"]
    gradients = [row.name for row in rows if row.kind == "gradient"]
    assert {row.op for row in rows if row.kind == "gradient"} == {"gradient"}
    assert gradients == [*(f"d {name}" for name in forward[1:]), "d weight", "d bias", "d weight"]
    assert len(gradients) < sum(row.kind == "gradient" for row in facts.tensors)
    assert [(row.path, row.name, row.op) for row in rows if row.phase == "optimizer"] == [
        ("attention.project.qkv", "weight", "Adam"),
        ("attention.proj", "weight", "Adam"),
        ("attention.proj", "bias", "Adam"),
    ]


def test_parameters_are_in_the_order_of_their_modules():
    """The gradients of parameters follow the calls, whatever order autograd has."""
    model = nn.Sequential(*(nn.Linear(4, 4) for _ in range(11)))

    def step(x):
        loss = model(x).sum()
        loss.backward()
        return loss

    paths = [row.path for row in rows_of(step, torch.ones(1, 4)) if row.name == "d weight"]
    assert paths == [f"<Sequential>.{number}" for number in range(11)]


@pytest.mark.parametrize("way", [{"foreach": True}, {"fused": True}])
def test_an_optimizer_keeps_its_steps_to_itself(way):
    """One by one, many at once or in a kernel of its own, a step has the same rows: none."""
    x = torch.randn(2, 7, 12)
    found = rows_of(step_of(torch.optim.AdamW, foreach=False), x)
    assert found == rows_of(step_of(torch.optim.AdamW, **way), x)
    assert {row.phase for row in found} == {"forward", "backward"}


WRITTEN = """
import torch
def forward(x):
    d = {'a': x}
    kept = [d['a'].sum( dim = -1 ), torch.einsum('bd,bd->b', x,x).view(
        x.shape[0])]
    return torch.stack( kept )
"""
FORMATTED = """
import torch


def forward(x):
    d = {"a": x}
    kept = [
        d["a"].sum(dim=-1),
        torch.einsum("bd,bd->b", x, x).view(
            x.shape[0],
        ),
    ]
    return torch.stack(kept)
"""


def test_a_formatter_changes_no_name(tmp_path):
    """Quotes, spaces, commas and lines of an expression are not part of its name."""
    found = []
    for number, text in enumerate((WRITTEN, FORMATTED)):
        file = tmp_path / f"written_{number}.py"
        file.write_text(text)
        names = {"__name__": file.stem}
        exec(compile(text, str(file), "exec"), names)  # noqa: S102 - the text above
        found.append(rows_of(names["forward"], torch.ones(2, 3)))
    assert found[0] == found[1]
    assert [row.name for row in found[0]] == [
        "x", "d['a'].sum(dim=-1)", "torch.einsum('bd,bd->b', x, x)",
        "torch.einsum('bd,bd->b', x, x).view(x.shape[0])", "torch.stack(kept)",
    ]  # fmt: skip


def test_a_name_that_is_the_path_is_left_out():
    """A row in a list has no name besides its path, nor has its gradient; that of a variable has."""

    def named(path, name, kind):
        row = replace(fake_row(0, name, "relu", (2, 3)), path=path, kind=kind)
        return snapshot_of(fake_trace(tensors=(row,), ops=(), storages=(), outputs=())).rows[0].name

    assert named("mlp.0", "mlp.0", "module") == ""
    assert named("mlp.0", "d mlp.0", "gradient") == "d "
    assert named("proj", "proj", "op") == "proj"
    assert named("mlp.0", "d  {'a'}", "op") == "d  {'a'}"


def test_no_address_is_in_a_name():
    """What Python calls by where it lies is called so without the place."""
    key = fake_row(0, "past[<__main__.Key object at 0x7f3a90>].k", "input", (2, 3))
    [row] = snapshot_of(fake_trace(tensors=(key,), ops=(), storages=(), outputs=())).rows
    assert row.name == "past[<__main__.Key object>].k"
