"""What people do with models of transformers: name tensors, generate, train, save the trace."""

from __future__ import annotations

import pytest
import torch

import attntrace
from tests.capture.recorders import profiled_peak
from tests.transformers.models import given_of, model_of

NAMES = {
    "bert": ["query_layer", "attn_weights", "attn_output", "hidden_states"],
    "gpt2": ["query_states", "key_states", "value_states", "attn_weights", "attn_output", "logits"],
    "llama": ["query_states", "q_embed", "attn_weights", "inputs_embeds", "variance", "logits"],
    "t5": ["query_states", "attn_weights", "position_bias", "relative_buckets"],
    "vit": ["query_states", "attn_weights", "logits"],
    "mixtral": ["query_states", "router_logits", "tokens_per_expert", "weighted_out", "logits"],
    "whisper": ["query_states", "attn_weights", "inputs_embeds"],
    "clip": ["attn_weights", "image_embeds", "text_embeds", "logits_per_image"],
}


@pytest.mark.parametrize("name", NAMES)
def test_names_are_those_of_the_modeling_source(name):
    """A tensor has the name that the model's authors gave it, and the place where they did."""
    with torch.no_grad():
        trace = attntrace.trace(model_of(name), **given_of(name))
    assert [wanted for wanted in NAMES[name] if wanted not in trace] == []
    file = f"modeling_{name}.py"
    assert all(file in (trace[wanted].source or "") for wanted in NAMES[name][:1])
    assert all(row.source for row in trace.tensors if row.kind == "op")


@pytest.mark.parametrize("attention", ["eager", "sdpa"])
def test_scores_are_seen_unless_a_kernel_keeps_them(attention):
    """Eager attention shows (batch, heads, tokens, tokens); in sdpa the kernel has them."""
    with torch.no_grad():
        trace = attntrace.trace(model_of("llama", attention), **given_of("llama"))
    square = [row.path for row in trace.tensors if row.name == "attn_weights"]
    assert bool(square) == (attention == "eager")
    assert [call.scores for call in trace.facts.attention] == (
        [] if attention == "eager" else [(2, 6, 16, 16)] * 2
    )


CACHES = {
    "gpt2": ("self.keys", "cat", [7, 8, 9]),
    "llama": ("self.keys", "cat", [7, 8, 9]),
    "mistral": ("full_key_states", "cat", [7, 4, 4]),  # a window of 4 keeps 3 for the next step
    "whisper": ("self.keys", "cat", [1, 15, 2, 3]),  # of its own tokens, and of what it hears
}
"""What holds the keys of a layer, and how many positions are in it, step by step."""


@pytest.mark.parametrize("name", CACHES)
def test_a_generate_loop_shows_its_cache_grow(name):
    """Prefill and decode: the model is called for each new token, and its keys get longer."""
    model, given = model_of(name), given_of(name)
    ids = given[model.main_input_name][:, :7] if name != "whisper" else given["input_features"]
    wanted = {"max_new_tokens": 3, "do_sample": False, "eos_token_id": None, "pad_token_id": 0}
    plain = model.generate(ids, **wanted)
    trace = attntrace.trace(model.generate, ids, **wanted)
    assert torch.equal(plain, trace.output)
    calls = [module for module in trace.modules if module.type == type(model).__name__]
    assert [module.path for module in calls] == ["", "", ""]
    assert trace.memory.parameters == sum(p.numel() for p in model.parameters())
    keys, op, lengths = CACHES[name]
    found = [row for row in trace.tensors if (row.name, row.op) == (keys, op)]
    layer = [row for row in found if "layers.1" not in row.path and "h.1" not in row.path]
    assert [row.shape[-2] for row in layer] == lengths


@pytest.mark.parametrize("name", ["bert", "gpt2", "t5", "mixtral"])
def test_a_training_step_leaves_the_same_gradients(name):
    """Loss and backward in one traced call: the loss and every gradient to the bit."""
    model, given = model_of(name), given_of(name)
    labels = given["decoder_input_ids" if name == "t5" else "input_ids"]

    def step():
        model.zero_grad()
        torch.manual_seed(4)
        loss = model(**given, labels=labels).loss
        loss.backward()
        return loss.detach()

    model.train()
    try:
        plain, expected = step(), [p.grad.clone() for p in model.parameters() if p.grad is not None]
        trace = attntrace.trace(step)
        found = [p.grad for p in model.parameters() if p.grad is not None]
    finally:
        model.eval()
        model.zero_grad()
    assert torch.equal(plain, trace.output)
    assert all(torch.equal(a, b) for a, b in zip(expected, found, strict=True))
    assert {op.phase for op in trace.ops} == {"forward", "backward"}


@pytest.mark.parametrize("name", ["bert", "mixtral", "whisper", "clip", "swin"])
def test_a_trace_goes_through_json(name):
    """What was written is read back, equal."""
    with torch.no_grad():
        trace = attntrace.trace(model_of(name), **given_of(name))
    assert attntrace.Trace.from_json(trace.to_json()).facts == trace.facts


@pytest.mark.parametrize("attention", ["eager", "sdpa"])
@pytest.mark.parametrize("name", ["bert", "gpt2", "llama", "vit", "mixtral"])
def test_peak_is_the_profilers(name, attention):
    """The peak of a whole model, once the scratch of kernels is taken off."""
    model, given = model_of(name, attention), given_of(name)
    with torch.no_grad():
        model(**given)
        _, without_scratch = profiled_peak(lambda: model(**given))
        trace = attntrace.trace(model, **given)
    assert trace.memory.peak_nbytes == without_scratch
