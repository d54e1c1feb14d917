"""A run on meta allocates nothing and shows what the run on a CPU shows, to the byte.

Every variant and every config, as it is, is compared in tests/blocks and tests/configs.
"""

from __future__ import annotations

import itertools

import pytest
import torch
import torch.nn.functional as F
from torch import nn

import attntrace
from tests.blocks.variants import VARIANTS, layer, stack
from tests.capture.predictions import both, check

STACKS = {
    "encoder": stack("encoder", norm={"place": "pre"}, mask={"kind": "padding"}),
    "causal decoder": stack("decoder", kv_heads=2, positions={"kind": "rope"}),
    "layer": layer(mask={"kind": "causal"}),
}
CASES = list(
    itertools.product(
        ("eager", "sdpa", "torch"), ("float32", "bfloat16"), (0.0, 0.1), (False, True)
    )
)


@pytest.mark.parametrize("name", list(VARIANTS)[::6])
def test_training_of_a_variant_is_predicted(name):
    """In bfloat16, with dropout and backward."""
    spec = dict(VARIANTS[name])
    attention = dict(spec.get("attention", {}))
    if attention.get("kind") != "linear" and not name.startswith(("rnn", "patch", "t2t", "psa")):
        attention["dropout"] = 0.1
    run = {"dtype": "bfloat16", "mode": "train", "grad": True}
    check(*both(attntrace.load(None, **{**spec, "attention": attention, "run": run})))


@pytest.mark.parametrize(("impl", "dtype", "dropout", "grad"), CASES)
@pytest.mark.parametrize("name", STACKS)
def test_every_way_to_run_is_predicted(name, impl, dtype, dropout, grad):
    """Implementation, dtype, dropout and grad in every combination."""
    run = {"dtype": dtype, "mode": "train" if dropout else "eval", "grad": grad}
    given = {**STACKS[name], "attention": {"impl": impl, "dropout": dropout}, "run": run}
    if impl == "torch":
        for setting in ("kv_heads", "positions"):
            given.pop(setting, None)
    check(*both(attntrace.load(None, **given)))


class Calls(nn.Module):
    """What torch does in other ways on meta, called by somebody's own module."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(6, 5, 3, padding=1)
        self.norm = nn.BatchNorm2d(5)

    def forward(self, x):
        """Return (2, 5, 4, 7) for x (2, 6, 4, 7)."""
        last = x.permute(0, 2, 3, 1).contiguous().permute(0, 3, 1, 2)
        of_each = torch.tensor([1.0, 2.0, 3.0, 4.0, 5.0], device=x.device, dtype=x.dtype)
        x = self.norm(self.conv(last)) * of_each[:, None, None]
        return F.elu(x) + F.scaled_dot_product_attention(x, x, x, dropout_p=0.1)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize(
    ("module", "shape"),
    [
        (lambda: nn.TransformerEncoderLayer(24, 4, 40, batch_first=True), (2, 9, 24)),
        (lambda: nn.TransformerEncoderLayer(24, 3, 40, batch_first=True), (2, 9, 24)),
        (lambda: nn.TransformerEncoderLayer(24, 4, 40), (2, 9, 24)),
        (Calls, (2, 6, 4, 7)),
    ],
    ids=["fused", "odd heads", "batch second", "calls"],
)
@pytest.mark.parametrize("training", [False, True])
def test_a_module_of_ones_own_is_predicted(module, shape, dtype, training):
    """Modules that nobody built from a spec, torch's fused encoder layer among them."""
    traces = []
    for device in ("cpu", "meta"):
        subject = module().to(device=device, dtype=dtype).train(training)
        with torch.set_grad_enabled(training):
            x = torch.ones(shape, device=device, dtype=dtype)
            traces.append(attntrace.trace(subject, x))
    real, meta = traces
    assert meta.facts.environment.as_device == "cpu"
    check(real, meta)


def test_nothing_is_left_behind_by_a_prediction():
    """After a run on meta the same module takes the path that it took before."""
    layer = nn.MultiheadAttention(24, 4, batch_first=True).eval()
    x = torch.ones(2, 9, 24)
    with torch.no_grad():
        before = [record.op for record in attntrace.trace(layer, x, x, x).ops]
        attntrace.run({"attention": {"impl": "torch"}, "run": {"device": "meta"}})
        assert [record.op for record in attntrace.trace(layer, x, x, x).ops] == before


def test_an_error_on_meta_is_the_error_of_the_call():
    """What torch refuses it refuses on meta in the same words, and the stack of modes is left."""
    q, k = torch.ones(2, 4, 9, 6, device="meta"), torch.ones(2, 4, 9, 6, device="meta").double()
    with pytest.raises(attntrace.ForwardError) as raised:
        attntrace.trace(F.scaled_dot_product_attention, q, k, k)
    assert "to have the same dtype" in str(raised.value.__cause__)
    assert not torch.overrides.has_torch_function((q,))


@pytest.mark.parametrize(
    ("given", "kernel"),
    [
        ({"run": {"dtype": "bfloat16"}}, "_scaled_dot_product_flash_attention"),
        ({}, "_scaled_dot_product_efficient_attention"),
        (
            {"run": {"dtype": "bfloat16"}, "mask": {"kind": "padding"}},
            "_scaled_dot_product_efficient_attention",
        ),
        ({"run": {"dtype": "float64"}}, "_safe_softmax"),
    ],
)
def test_as_cuda_the_kernel_is_that_of_a_gpu(given, kernel):
    """On an A100: flash for 16 bits without a mask, efficient for the rest, math for float64."""
    run = {**given.get("run", {}), "device": "meta", "as_device": "cuda", "grad": True}
    spec = layer(chan=64, heads=4, attention={"impl": "sdpa"}, **{**given, "run": run})
    trace = attntrace.run(spec)
    names = [record.op.split(".")[1] for record in trace.ops]
    assert kernel in names
    if "attention" in kernel:
        assert f"{kernel}_backward" in names


def test_as_cuda_dropout_keeps_a_mask_of_bools():
    """One kernel on a GPU, which keeps a byte an element; on a CPU the noise is of the dtype."""
    run = {"mode": "train", "grad": True, "device": "meta"}
    spec = layer(attention={"dropout": 0.1}, run={**run, "as_device": "cuda"})
    ops = [
        record for record in attntrace.run(spec).ops if record.op == "aten.native_dropout.default"
    ]
    assert [output.dtype for output in ops[0].outputs] == ["float32", "bool"]
    on_cpu = attntrace.run({**spec, "run": run}).ops
    assert "aten.native_dropout.default" not in [record.op for record in on_cpu]
