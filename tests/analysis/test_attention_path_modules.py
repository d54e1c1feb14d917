"""Why fused modules leave their fast path: our rules, against real modules and the ops they run."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.overrides import TorchFunctionMode

from attntrace.analysis.paths import (
    EncoderLayerFacts,
    MultiheadFacts,
    encoder_layer_refusals,
    multihead_refusals,
)
from tests.analysis.op_names import OpNames

MULTIHEAD = "aten._native_multi_head_attention"
LAYER = "aten._transformer_encoder_layer_fwd"
CAUSAL = nn.Transformer.generate_square_subsequent_mask(3)
COMMON = {
    "disabled": "torch.backends.mha's fast path is disabled",
    "training": "the module is in training mode",
    "autocast": "autocast is on",
    "function": "an argument or a mode has __torch_function__",
    "grad": "grad is on and the input or a weight requires it",
    "unbatched": "the input has 2 dimensions, not 3",
    "sequence first": "batch_first is False",
}


class Watched(TorchFunctionMode):
    """A mode that changes nothing."""

    def __torch_function__(self, func, types, args=(), kwargs=None):
        return func(*args, **(kwargs or {}))


def surroundings(odd):
    """Return the state around a forward: grad, autocast, a mode, the switch of the fast path."""
    stack = ExitStack()
    if "grad" not in odd:
        stack.enter_context(torch.no_grad())
    if "autocast" in odd:
        torch.set_autocast_enabled("cuda", True)
        stack.callback(torch.set_autocast_enabled, "cuda", False)
    if "disabled" in odd:
        torch.backends.mha.set_fastpath_enabled(False)
        stack.callback(torch.backends.mha.set_fastpath_enabled, True)
    if "function" in odd:
        stack.enter_context(Watched())
    return stack


def common(module, x, odd):
    """Return the facts that all modules have."""
    return {
        "training": module.training,
        "dims": x.dim(),
        "device": x.device.type,
        "grad": "grad" in odd,
        "autocast": "autocast" in odd,
        "torch_function": "function" in odd,
        "fastpath_enabled": "disabled" not in odd,
    }


def name(tensor):
    """Return the dtype of a tensor without its module."""
    return None if tensor is None else str(tensor.dtype).removeprefix("torch.")


def multihead(odd):
    """Return the facts of an nn.MultiheadAttention with these oddities, and the ops of its run."""
    module = nn.MultiheadAttention(
        12,
        3 if "odd heads" in odd else 2,
        bias="no bias" not in odd,
        add_bias_kv="bias_kv" in odd,
        add_zero_attn="zero" in odd,
        kdim=6 if "kdim" in odd else None,
        batch_first="sequence first" not in odd,
    ).train("training" in odd)
    query = torch.zeros((3, 12) if "unbatched" in odd else (2, 3, 12))
    key = value = query
    if {"cross", "kdim"} & odd:
        value = query.clone()
        key = query[..., :6] if "kdim" in odd else query.clone()
    mask = CAUSAL if "float mask" in odd else CAUSAL.bool() if "bool mask" in odd else None
    if mask is not None and "sequence first" in odd and "unbatched" not in odd:
        mask = mask[:2, :2]
    with surroundings(odd), OpNames() as ops:
        module(query, key, value, attn_mask=mask, need_weights=False)
    facts = MultiheadFacts(
        **common(module, query, odd),
        same_qkv=query is key is value,
        dtype=name(query),
        weight_dtype=name(module.in_proj_weight),
        bias_dtype=name(module.in_proj_bias),
        heads=module.num_heads,
        batch_first=module.batch_first,
        bias_kv=module.bias_k is not None,
        add_zero_attn=module.add_zero_attn,
        float_mask=mask is not None and mask.is_floating_point(),
    )
    return facts, ops.names


MULTIHEAD_REASONS = {
    **COMMON,
    "float mask": "a mask is floating point",
    "cross": "query, key and value are not the same tensor",
    "odd heads": "the number of heads is odd: 3",
    "bias_kv": "key and value have added biases (add_bias_kv)",
    "zero": "add_zero_attn is on",
    "no bias": "the projections have no bias",
}


@pytest.mark.parametrize("odd", MULTIHEAD_REASONS)
def test_multihead_reason(odd):
    """One thing that keeps nn.MultiheadAttention off its fast path is one reason."""
    facts, names = multihead({odd})
    assert multihead_refusals(facts) == (MULTIHEAD_REASONS[odd],)
    assert MULTIHEAD not in names


def test_multihead_own_weights():
    """kdim gives q, k and v weights of their own, and means that key is another tensor."""
    facts, names = multihead({"kdim"})
    own = "q, k and v have weights of their own"
    assert multihead_refusals(facts) == (MULTIHEAD_REASONS["cross"], own)
    assert MULTIHEAD not in names


@settings(max_examples=60, deadline=None)
@given(st.sets(st.sampled_from((*MULTIHEAD_REASONS, "kdim", "bool mask")), max_size=2))
def test_multihead_runs_what_is_said(odd):
    """Fused where nothing refuses, and through SDPA elsewhere, as the ops of a real module show."""
    facts, names = multihead(odd)
    sdpa = {"aten._scaled_dot_product_flash_attention_for_cpu", "aten._safe_softmax"}
    assert (MULTIHEAD in names) == (not multihead_refusals(facts))
    assert (MULTIHEAD in names) != bool(sdpa & names)


def test_multihead_devices():
    """nn.MultiheadAttention is fused on fewer devices than the layer around it."""
    facts, _ = multihead(set())
    assert not multihead_refusals(replace(facts, device="cuda"))
    xpu = replace(facts, device="xpu")
    assert multihead_refusals(xpu) == ("the device is xpu, not cpu or cuda",)


def test_multihead_under_autocast_of_the_cpu():
    """Torch asks about CUDA's autocast alone: that of the CPU leaves the fast path open."""
    with torch.autocast("cpu", torch.bfloat16):
        facts, names = multihead(set())
        assert facts.autocast == torch.is_autocast_enabled()
    assert not multihead_refusals(facts)
    assert MULTIHEAD in names


def test_multihead_dtypes():
    """A query of another dtype than the weights is said of bias and weight."""
    facts, _ = multihead(set())
    assert multihead_refusals(replace(facts, dtype="float64")) == (
        "the query is float64 and in_proj_bias float32",
        "the query is float64 and in_proj_weight float32",
    )


def layer(odd, device="cpu"):
    """Return the facts of an nn.TransformerEncoderLayer with these oddities, and its ops."""
    module = nn.TransformerEncoderLayer(
        12,
        3 if "odd heads" in odd else 2,
        16,
        dropout=0.0,
        activation=torch.tanh if "tanh" in odd else "gelu",
        batch_first="sequence first" not in odd,
        bias="no bias" not in odd,
        device=device,
    ).train("training" in odd)
    if "eps" in odd:
        module.norm2.eps = 0.5
    if "hooks" in odd:
        module.linear1.register_forward_hook(lambda *_: None)
    x = torch.zeros((3, 12) if "unbatched" in odd else (2, 3, 12), device=device)
    with surroundings(odd), OpNames() as ops:
        module(x)
    facts = EncoderLayerFacts(
        **common(module, x, odd),
        batch_first=module.self_attn.batch_first,
        bias=module.self_attn.in_proj_bias is not None,
        activation={0: None, 1: "relu", 2: "gelu"}[module.activation_relu_or_gelu],
        norm_eps=(module.norm1.eps, module.norm2.eps),
        heads=module.self_attn.num_heads,
        hooks=any(m._forward_hooks or m._forward_pre_hooks for m in module.modules()),
        fused_qkv=module.self_attn._qkv_same_embed_dim,
    )
    return facts, ops.names


LAYER_REASONS = {
    **COMMON,
    "no bias": "the layer has no bias",
    "tanh": "the activation is neither relu nor gelu",
    "eps": "eps of norm1 is 1e-05, of norm2 0.5",
    "odd heads": "the number of heads is odd: 3",
    "hooks": "forward hooks are on the layer or in it",
}


@settings(max_examples=60, deadline=None)
@given(st.sets(st.sampled_from(tuple(LAYER_REASONS)), max_size=2))
def test_layer_runs_what_is_said(odd):
    """nn.TransformerEncoderLayer is fused where nothing is odd; each oddity is one reason."""
    facts, names = layer(odd)
    assert set(encoder_layer_refusals(facts)) == {LAYER_REASONS[one] for one in odd}
    assert (LAYER in names) == (not odd)


def test_layer_reasons_are_in_the_order_of_torch():
    """The first reason is the one that torch stops at."""
    facts, _ = layer({"hooks", "training", "unbatched"})
    reasons = [LAYER_REASONS[odd] for odd in ("unbatched", "training", "hooks")]
    assert encoder_layer_refusals(facts) == tuple(reasons)


def test_layer_on_meta():
    """No fast path on meta, though the device that it stands for may have one."""
    facts, names = layer(set(), device="meta")
    assert encoder_layer_refusals(facts) == ("the device is meta, not cpu, cuda or xpu",)
    assert LAYER not in names
    assert not encoder_layer_refusals(replace(facts, device="cuda"))


def test_layer_with_an_attention_of_other_weights():
    """An attention with a kdim, put into a layer by hand, is a reason."""
    facts, _ = layer(set())
    other = replace(facts, fused_qkv=False)
    assert encoder_layer_refusals(other) == ("q, k and v have weights of their own",)


def test_a_refused_layer_may_hold_a_fused_attention():
    """The attention inside decides for itself: odd eps does not concern it."""
    _, names = layer({"eps"})
    assert MULTIHEAD in names
