"""Numbers of parameters against models of transformers that no preset is made of."""

from __future__ import annotations

import pytest
import torch
import transformers

import attntrace

POST = {"place": "post"}
EMBEDDED = {"project": True, "token_types": 2, "embedding_norm": True}


def albert(config):
    """One layer, called again and again; a table narrower than the layers."""
    return {
        "block": "encoder",
        "positions": {"kind": "learned", "max": config.max_position_embeddings},
        "attention": {"qkv_bias": True},
        "norm": POST,
        "stack": {**EMBEDDED, "embedding_dim": config.embedding_size, "shared_layers": True, "pooler": True},
    }  # fmt: skip


def electra(config):
    """A table narrower than the layers."""
    return {
        "block": "encoder",
        "positions": {"kind": "learned", "max": config.max_position_embeddings},
        "attention": {"qkv_bias": True},
        "norm": POST,
        "stack": {**EMBEDDED, "embedding_dim": config.embedding_size},
    }


def qwen2_moe(config):
    """Shared experts with a width and a gate of their own."""
    experts = {
        "experts": config.num_experts,
        "experts_per_token": config.num_experts_per_tok,
        "expert_dim": config.moe_intermediate_size,
        "shared_experts": 1,
        "shared_dim": config.shared_expert_intermediate_size,
        "shared_gate": True,
    }
    return {
        "block": "decoder",
        "kv_heads": config.num_key_value_heads,
        "positions": {"kind": "rope"},
        "attention": {"qkv_bias": True, "out_bias": False},
        "norm": {"kind": "rmsnorm"},
        "feed_forward": {"kind": "moe", "activation": "silu", "bias": False, **experts},
        "stack": {"head": "vocab"},
    }


def olmo(config):
    """Norms without weight and bias."""
    return {
        "block": "decoder",
        "positions": {"kind": "rope"},
        "attention": {"out_bias": False},
        "norm": {"weight": False},
        "feed_forward": {"kind": "glu", "activation": "silu", "bias": False},
        "stack": {"head": "vocab", "tied": config.tie_word_embeddings},
    }


@pytest.mark.parametrize(
    ("settings", "kind", "made"),
    [
        (albert, transformers.AlbertModel, transformers.AlbertConfig()),
        (electra, transformers.ElectraModel, transformers.ElectraConfig()),
        (
            qwen2_moe,
            transformers.Qwen2MoeForCausalLM,
            transformers.Qwen2MoeConfig(num_hidden_layers=2),
        ),
        (olmo, transformers.OlmoForCausalLM, transformers.OlmoConfig(num_hidden_layers=2)),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_as_many_parameters_as_theirs(settings, kind, made):
    """To the unit, at the published widths, on meta."""
    with torch.device("meta"):
        theirs = kind(made)
    own = settings(made)
    moe = own.get("feed_forward", {}).get("kind") == "moe"
    spec = {
        **own,
        "tokens": 16,
        "chan": made.hidden_size,
        "heads": made.num_attention_heads,
        "layers": made.num_hidden_layers,
        **({} if moe else {"ff_dim": made.intermediate_size}),
        "stack": {"vocab": made.vocab_size, **own["stack"]},
        "run": {"device": "meta"},
    }
    ours = attntrace.build(spec)
    assert sum(p.numel() for p in ours.parameters()) == sum(p.numel() for p in theirs.parameters())
