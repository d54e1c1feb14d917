"""Which attention kernel ran in a call, and what is said of those that did not."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel

import attntrace
from attntrace.analysis.kernel import absent_scores
from attntrace.render.notes import attention_notes

MHA, LAYER = "fused nn.MultiheadAttention", "fused nn.TransformerEncoderLayer"
MATH, STEPS = "math (bmm, softmax, bmm)", "bmm, softmax, bmm"


def calls(model, *args, **kwargs):
    """Return path, kernel and reasons of each call of attention in a trace."""
    facts = attntrace.trace(model, *args, **kwargs).facts
    return [(call.path, call.kernel, call.refused) for call in facts.attention]


def test_flash_keeps_its_scores():
    """The scores that SDPA's kernel never makes a tensor are said with axes and cost."""
    trace = attntrace.run({"heads": 4, "attention": {"impl": "sdpa"}})
    (call,) = trace.facts.attention
    assert (call.kernel, call.refused, call.unobserved) == ("flash (cpu)", (), None)
    (absent,) = absent_scores(trace.facts).values()
    assert absent.shape == call.scores == (13, 4, 100, 100)
    assert absent.axes == ("batch", "heads", "tokens", "tokens")
    assert absent.nbytes == attntrace.run({"heads": 4})["scores"].nbytes == 2_080_000
    assert "(scores)" in str(trace)
    assert "no memory: would be 2.0 MiB" in str(trace)


def test_the_fused_module_holds_its_scores():
    """What nn.MultiheadAttention's own kernel holds in scratch is not said to be never made."""
    trace = attntrace.run({"heads": 4, "attention": {"impl": "torch", "qkv_bias": True}})
    (absent,) = absent_scores(trace.facts).values()
    assert (absent.shape, absent.kept) == ((13, 4, 100, 100), True)
    assert "in scratch" in str(trace)
    assert "in the kernel's scratch: 2.0 MiB" in str(trace)
    assert "never" not in str(trace)


def q_k_v(tokens=5, dtype=torch.float32):
    """Return q, k, v of two batches and three heads."""
    return torch.randn(3, 2, 3, tokens, 8, dtype=dtype)


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ({"dropout_p": 0.25}, "dropout is 0.25 and the CPU kernel has none"),
        (
            {"attn_mask": torch.zeros(5, 5, requires_grad=True)},
            "the mask requires grad",
        ),
        (
            {"attn_mask": torch.zeros(3, 5, 5)},
            "the mask is (3, 5, 5), not (5, 5) or (2, 3, 5, 5) with 1 for any of them",
        ),
    ],
)
def test_why_sdpa_takes_the_math_path(given, reason):
    """The reason is a sentence with the numbers of the call."""
    q, k, v = q_k_v()
    found = calls(lambda: F.scaled_dot_product_attention(q, k, v, **given))
    assert found == [("", MATH, (f"not flash: {reason}",))]


def test_a_kernel_that_is_switched_off():
    """`sdpa_kernel` counts, as does a 3-D call."""
    q, k, v = q_k_v()
    with sdpa_kernel(SDPBackend.MATH):
        found = calls(F.scaled_dot_product_attention, q, k, v)
    assert found == [("", MATH, ("not flash: the flash kernel is switched off",))]
    found = calls(F.scaled_dot_product_attention, q[0], k[0], v[0])
    assert found[0][2] == ("not flash: q, k and v have 3, 3 and 3 dimensions, not 4",)


@pytest.mark.parametrize(
    ("spec", "kernel", "reasons"),
    [
        ({}, MHA, ()),
        (
            {"run": {"mode": "train"}},
            "flash (cpu)",
            (f"not {MHA}: the module is in training mode",),
        ),
        (
            {"attention": {"dropout": 0.1}, "run": {"mode": "train"}},
            MATH,
            (
                f"not {MHA}: the module is in training mode",
                "not flash: dropout is 0.1 and the CPU kernel has none",
            ),
        ),
        (
            {"attention": {"need_weights": "averaged"}, "run": {"grad": True}},
            STEPS,
            (
                f"not {MHA}: grad is on and the input or a weight requires it",
                "not flash: need_weights asks for the probs as a tensor",
            ),
        ),
        ({"heads": 1}, "flash (cpu)", (f"not {MHA}: the number of heads is odd: 1",)),
    ],
)
def test_multihead_attention_of_torch(spec, kernel, reasons):
    """nn.MultiheadAttention says why it left its fused path, and what ran inside instead."""
    attention = {"impl": "torch", "qkv_bias": True, **spec.get("attention", {})}
    trace = attntrace.run({"heads": 4, **spec, "attention": attention})
    (call,) = trace.facts.attention
    assert (call.kernel, call.refused, call.unobserved) == (kernel, reasons, None)


def test_encoder_layer_of_torch():
    """The layer's fused path has its own reasons; below it its attention has a path again."""
    layer = nn.TransformerEncoderLayer(16, 4, 32, batch_first=True).eval()
    x = torch.randn(2, 5, 16)
    with torch.no_grad():
        assert calls(layer, x) == [("", LAYER, ())]
        layer.linear1.register_forward_hook(lambda *_: None)
        outer, inner = calls(layer, x)
    assert outer[2] == (f"not {LAYER}: forward hooks are on the layer or in it",)
    assert inner == ("self_attn", MHA, ())


def test_the_notes_name_every_place_once():
    """What is true of many calls is one sentence, with the first places and how many more."""
    layers = [nn.MultiheadAttention(8, 2, batch_first=True) for _ in range(5)]

    def forward(x):
        for layer in layers:
            x = layer(x, x, x)[0]
        return x

    facts = attntrace.trace(forward, torch.randn(2, 3, 8)).facts
    (note,) = attention_notes(facts)
    places = [call.path for call in facts.attention]
    assert note.startswith(f"{', '.join(places[:3])} and 2 more: {STEPS} ran; not {MHA}: ")


def test_a_mode_of_the_authors_is_a_reason():
    """A function mode of the author's own keeps the fused path away, watched or not."""

    class Nothing(torch.overrides.TorchFunctionMode):
        def __torch_function__(self, func, types, args=(), kwargs=None):
            return func(*args, **(kwargs or {}))

    layer = nn.MultiheadAttention(8, 2, batch_first=True).eval()

    def forward(x):
        with Nothing():
            return layer(x, x, x, need_weights=False)[0]

    with torch.no_grad():
        (call,) = attntrace.trace(forward, torch.randn(2, 3, 8)).facts.attention
    assert (call.kernel, call.unobserved) == ("flash (cpu)", None)
    assert call.refused == (f"not {MHA}: an argument or a mode has __torch_function__",)


def test_what_watching_keeps_away_is_said(monkeypatch):
    """Where torch does not let attntrace step aside, the path that runs unobserved is named."""
    monkeypatch.delattr(torch.overrides, "_get_current_function_mode")
    layer = nn.MultiheadAttention(8, 2, batch_first=True).eval()
    x = torch.randn(2, 3, 8)
    with torch.no_grad():
        facts = attntrace.trace(layer, x, x, x, need_weights=False).facts
    (call,) = facts.attention
    assert (call.kernel, call.unobserved) == ("flash (cpu)", MHA)
    said = f"{MHA} runs when nobody watches; watched, flash (cpu) did"
    assert any(note.endswith(said) for note in attention_notes(facts))
