"""The blocks and their taps: axes that fit, formulas that hold, seeds that repeat."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

import attntrace
from attntrace.blocks import make_inputs
from attntrace.capture.tap import Tap, Taps


def size_of(axis, sizes):
    """Return the number that a symbol or a product of symbols stands for."""
    factors = axis.split("*")
    return math.prod(int(f) if f.isdigit() else sizes[f] for f in factors)


@settings(max_examples=40, deadline=None)
@given(
    heads=st.sampled_from([1, 2, 3]),
    head_dim=st.sampled_from([None, 5, 7]),
    impl=st.sampled_from(["eager", "sdpa", "torch"]),
    bias=st.booleans(),
    weights=st.sampled_from(["none", "averaged", "per-head"]),
    train=st.booleans(),
)
def test_axes_are_true_of_every_tapped_row(heads, head_dim, impl, bias, weights, train):
    """Each declared axis, worked out from the spec's sizes, is the size of its dimension."""
    torchs = impl == "torch"
    trace = attntrace.run(
        {
            "batch": 2,
            "tokens": 11,
            "chan": 42,
            "heads": heads,
            **({} if head_dim is None or torchs else {"head_dim": head_dim}),
            "attention": {
                "impl": impl,
                "qkv_bias": bias,
                "skip": "none",
                "need_weights": weights if torchs else "none",
            },
            "run": {"mode": "train" if train else "eval"},
        }
    )
    sizes = trace.facts.sizes
    tapped = [row for row in trace.tensors if row.axes is not None]
    assert len(tapped) >= 2
    for row in tapped:
        assert tuple(size_of(axis, sizes) for axis in row.axes) == row.shape, row
    if not torchs:
        assert len(tapped) == len(trace.tensors)


def test_a_tap_is_the_identity_and_owns_nothing():
    """A tap returns the very object, and adds no parameter and no key to a state dict."""
    taps = Taps(Tap("scores", "batch tokens", "q k^T"), Tap("probs", "batch tokens", "softmax"))
    tensor = torch.randn(2, 3)
    assert taps.scores(tensor) is tensor
    assert list(taps.parameters()) == []
    assert taps.state_dict() == {}


def test_an_ordinary_hook_sees_every_named_intermediate():
    """Taps are submodules, so a plain forward hook of the user's sees them too."""
    block = attntrace.build({"heads": 4})
    seen = {}
    for path, module in block.named_modules():
        if isinstance(module, Tap):
            module.register_forward_hook(
                lambda m, args, out, path=path: seen.update({path: tuple(out.shape)})
            )
    block(**make_inputs(attntrace.load(heads=4)))
    assert seen["attention.attend.tap.scores"] == (13, 4, 100, 100)
    assert len(seen) == 18


@pytest.mark.parametrize(
    ("qk_scale", "factor"),
    [("head", 16**-0.5), ("embed", 64**-0.5), ("input", 49**-0.5), ("none", 1.0), (0.0, 0.0)],
)
def test_scale(qk_scale, factor):
    """Each way to scale multiplies q by what it says; 0.0 is not taken for unset."""
    spec = {"heads": 4, "attention": {"qk_scale": qk_scale, "skip": "none"}}
    block, given = attntrace.build(spec), make_inputs(attntrace.load(**spec))
    kept = {}
    taps, made = block.attention.attend.tap, block.attention.project.tap
    taps.scores.register_forward_hook(lambda m, args, out: kept.update(scores=out))
    made.q.register_forward_hook(lambda m, args, out: kept.update(q=out))
    made.k.register_forward_hook(lambda m, args, out: kept.update(k=out))
    with torch.no_grad():
        block(**given)
    expected = (kept["q"] * factor) @ kept["k"].transpose(-2, -1)
    torch.testing.assert_close(kept["scores"], expected)
    names = [row.name for row in attntrace.run(spec).tensors]
    assert ("q_scaled" in names) == (qk_scale != "none")


def test_skips():
    """The skip adds the input, the values, or nothing."""
    x = torch.randn(3, 7, 64)

    def out(skip):
        block = attntrace.build({"dim": 64, "heads": 4, "attention": {"skip": skip}})
        with torch.no_grad():
            v = block.attention.project.qkv(x)[..., 128:]
            return block(x), v

    bare, v = out("none")
    torch.testing.assert_close(out("input")[0], x + bare)
    torch.testing.assert_close(out("value")[0], v + bare)


def test_formulas_name_earlier_rows():
    """The formulas of the article's layer speak of rows above and of the spec's symbols."""
    rows = attntrace.run({"heads": 4}).tensors
    by_name = {row.name: row.formula for row in rows}
    assert by_name["scores"] == "q k^T * head_dim^-0.5"
    assert by_name["context"] == "probs v"
    assert by_name["out"] == "v_merged + proj"
    assert all(by_name.values())
    tenth = attntrace.run({"attention": {"qk_scale": 0.1, "qkv_bias": True}})
    assert tenth["q_scaled"].formula == "q * 0.1"
    assert tenth["qkv"].formula == "x W_qkv^T + b_qkv"


def test_a_seed_repeats_and_leaves_the_global_generator_alone():
    """Weights and input follow the seed alone, and drawing them moves no global state."""
    before = torch.get_rng_state()
    spec = attntrace.load(heads=4, run={"seed": 3})
    one, other = attntrace.build(spec), attntrace.build(spec)
    for name, weight in one.state_dict().items():
        assert torch.equal(weight, other.state_dict()[name])
    assert torch.equal(make_inputs(spec)["x"], make_inputs(spec)["x"])
    again = attntrace.load(run={"seed": 4})
    assert not torch.equal(make_inputs(spec)["x"], make_inputs(again)["x"])
    assert torch.equal(before, torch.get_rng_state())


def test_every_tensor_of_the_articles_layer_is_tapped():
    """No step of the layer that the README shows goes without axes and formula."""
    for row in attntrace.run({"heads": 4}).tensors:
        assert row.axes is not None, row
        assert row.formula, row


def test_meta_builds_and_runs_without_memory():
    """On meta a block far larger than this machine is built and traced."""
    trace = attntrace.run({"chan": 2**20, "heads": 4, "tokens": 10**6, "run": {"device": "meta"}})
    assert trace["scores"].nbytes == 13 * 4 * 10**12 * 4


def test_meta_has_the_peak_of_the_real_run():
    """Eager, the peak on meta is the peak on cpu, row for row."""
    real = attntrace.run({"heads": 4})
    meta = attntrace.run({"heads": 4, "run": {"device": "meta"}})
    assert meta.memory.peak_nbytes == real.memory.peak_nbytes
    assert [r.shape for r in meta.tensors] == [r.shape for r in real.tensors]


def test_a_block_that_torch_cannot_build_is_a_build_error(monkeypatch):
    """What torch raises in a constructor comes out as BuildError with its cause."""

    def refuse(*args, **kwargs):
        message = "no such luck"
        raise RuntimeError(message)

    monkeypatch.setattr(nn.Linear, "__init__", refuse)
    with pytest.raises(attntrace.BuildError) as caught:
        attntrace.build({"heads": 4})
    assert str(caught.value) == "the block could not be built: no such luck"
    assert isinstance(caught.value.__cause__, RuntimeError)
