"""What our modules are called in transformers and in torch, for copying weights.

A table maps our modules to theirs; `{n}` stands for the number of a layer.
"""

from __future__ import annotations

import re

import torch

LAYER = "stack.layers.{n}"


def table(front, within, layer, theirs):
    """Return one table of the parts in front and behind, and of those within a layer."""
    inside = {f"{layer}.{ours}": f"{theirs}.{other}" for ours, other in within.items()}
    return {**front, **inside}


def projections(q="q_proj", k="k_proj", v="v_proj", out="o_proj", *, part="attention", at=""):
    """Return the four projections of an attention layer."""
    names = {"project.q_proj": q, "project.k_proj": k, "project.v_proj": v, "proj": out}
    return {f"{part}.{ours}": f"{at}{theirs}" for ours, theirs in names.items()}


def feed_forward(at, **parts):
    """Return the linears of a feed-forward."""
    return {f"feed_forward.{ours}": f"{at}{theirs}" for ours, theirs in parts.items()}


GATED = feed_forward("mlp.", gate="gate_proj", up="up_proj", down="down_proj")
PRE = {
    "attention_residual.norm": "input_layernorm",
    "feed_forward_residual.norm": "post_attention_layernorm",
}
LLAMA_FRONT = {
    "embed.table": "model.embed_tokens",
    "stack.norm": "model.norm",
    "head.project": "lm_head",
}


def llama_like(*parts):
    """Return the table of a model whose embedding, layers and head are called as Llama's are."""
    within = {name: theirs for part in parts for name, theirs in part.items()}
    return table(LLAMA_FRONT, within, LAYER, "model.layers.{n}")


LLAMA_ATTENTION = projections(at="self_attn.")
LLAMA = llama_like(LLAMA_ATTENTION, PRE, GATED)
EXPERTS = feed_forward(
    "mlp.", **{"router.linear": "gate", "experts.up": "experts.gate_up_proj", "experts.down": "experts.down_proj"}
)  # fmt: skip
MIXTRAL = llama_like(LLAMA_ATTENTION, PRE, EXPERTS)
DEEPSEEK = llama_like(
    {
        "attention.project.q_a": "self_attn.q_a_proj",
        "attention.project.q_norm": "self_attn.q_a_layernorm",
        "attention.project.q_b": "self_attn.q_b_proj",
        "attention.project.kv_a": "self_attn.kv_a_proj_with_mqa",
        "attention.project.kv_norm": "self_attn.kv_a_layernorm",
        "attention.project.kv_b": "self_attn.kv_b_proj",
        "attention.proj": "self_attn.o_proj",
        "feed_forward.router": "mlp.gate",
    },
    PRE,
    GATED,
    EXPERTS,
    feed_forward("mlp.shared_experts.", **{"shared.gate": "gate_proj", "shared.up": "up_proj", "shared.down": "down_proj"}),
)  # fmt: skip
QWEN3 = LLAMA | {
    f"{LAYER}.attention.qk_norm.{norm}": f"model.layers.{{n}}.self_attn.{norm}"
    for norm in ("q_norm", "k_norm")
}
OLMO2 = llama_like(
    LLAMA_ATTENTION,
    GATED,
    {
        "attention.project.qk_norm.q_norm": "self_attn.q_norm",
        "attention.project.qk_norm.k_norm": "self_attn.k_norm",
        "attention_residual.norm_after": "post_attention_layernorm",
        "feed_forward_residual.norm_after": "post_feedforward_layernorm",
    },
)
GEMMA2 = llama_like(
    LLAMA_ATTENTION,
    GATED,
    {
        "attention_residual.norm": "input_layernorm",
        "attention_residual.norm_after": "post_attention_layernorm",
        "feed_forward_residual.norm": "pre_feedforward_layernorm",
        "feed_forward_residual.norm_after": "post_feedforward_layernorm",
    },
)
PHI = table(
    {**LLAMA_FRONT, "stack.norm": "model.final_layernorm"},
    {
        **projections(out="dense", at="self_attn."),
        **feed_forward("mlp.", up="fc1", down="fc2"),
        "norm": "input_layernorm",
    },
    LAYER,
    "model.layers.{n}",
)
GPT2 = table(
    {
        "embed.table": "transformer.wte",
        "embed.positions.table.table": "transformer.wpe",
        "stack.norm": "transformer.ln_f",
    },
    {
        "attention.project.qkv": "attn.c_attn",
        "attention.proj": "attn.c_proj",
        "attention_residual.norm": "ln_1",
        "feed_forward_residual.norm": "ln_2",
        **feed_forward("mlp.", up="c_fc", down="c_proj"),
    },
    LAYER,
    "transformer.h.{n}",
)
GPTJ = table(
    {
        "embed.table": "transformer.wte",
        "stack.norm": "transformer.ln_f",
        "head.project": "lm_head",
    },
    {
        **projections(out="out_proj", at="attn."),
        **feed_forward("mlp.", up="fc_in", down="fc_out"),
        "norm": "ln_1",
    },
    LAYER,
    "transformer.h.{n}",
)
NEOX = table(
    {
        "embed.table": "gpt_neox.embed_in",
        "stack.norm": "gpt_neox.final_layer_norm",
        "head.project": "lm_head",
    },
    {
        "attention.project.qkv": "attention.query_key_value",
        "attention.proj": "attention.dense",
        "norm": "input_layernorm",
        "norm_feed_forward": "post_attention_layernorm",
        **feed_forward("mlp.", up="dense_h_to_4h", down="dense_4h_to_h"),
    },
    LAYER,
    "gpt_neox.layers.{n}",
)
FUSED_BLOOM = {
    "attention.project.qkv": "self_attention.query_key_value",
    "attention.proj": "self_attention.dense",
    **feed_forward("mlp.", up="dense_h_to_4h", down="dense_4h_to_h"),
}
BLOOM = table(
    {
        "embed.table": "transformer.word_embeddings",
        "embed.norm": "transformer.word_embeddings_layernorm",
        "stack.norm": "transformer.ln_f",
    },
    {**FUSED_BLOOM, **PRE},
    LAYER,
    "transformer.h.{n}",
)
FALCON = table(
    {"embed.table": "transformer.word_embeddings", "stack.norm": "transformer.ln_f"},
    {**FUSED_BLOOM, "norm": "input_layernorm"},
    LAYER,
    "transformer.h.{n}",
)
BERT = table(
    {
        "embed.table": "embeddings.word_embeddings",
        "embed.types": "embeddings.token_type_embeddings",
        "embed.positions.table.table": "embeddings.position_embeddings",
        "embed.norm": "embeddings.LayerNorm",
        "pooler.project": "pooler.dense",
    },
    {
        **projections("self.query", "self.key", "self.value", "output.dense", at="attention."),
        "attention_residual.norm_after": "attention.output.LayerNorm",
        "feed_forward_residual.norm_after": "output.LayerNorm",
        **feed_forward("", up="intermediate.dense", down="output.dense"),
    },
    LAYER,
    "encoder.layer.{n}",
)
VIT = table(
    {
        "embed.proj": "vit.embeddings.patch_embeddings.projection",
        "embed.front.class_token": "vit.embeddings.cls_token",
        "embed.front.positions.positions.table.table.weight": "vit.embeddings.position_embeddings",
        "stack.norm": "vit.layernorm",
        "head.project": "classifier",
    },
    {
        **projections(at="attention."),
        "attention_residual.norm": "layernorm_before",
        "feed_forward_residual.norm": "layernorm_after",
        **feed_forward("mlp.", up="fc1", down="fc2"),
    },
    LAYER,
    "vit.layers.{n}",
)
SWIN = table(
    {},
    {
        "attention.bias.table.weight": "attention.relative_position_bias.relative_position_bias_table",
        **projections(part="attention.attention", at="attention."),
        "attention_residual.norm": "layernorm_before",
        "feed_forward_residual.norm": "layernorm_after",
        **feed_forward("mlp.", up="fc1", down="fc2"),
    },
    LAYER,
    "blocks.{n}",
)  # fmt: skip
WHISPER = table(
    {},
    {
        **projections(out="out_proj", at="self_attn."),
        **projections(out="out_proj", part="cross_attention", at="encoder_attn."),
        "attention_residual.norm": "self_attn_layer_norm",
        "cross_residual.norm": "encoder_attn_layer_norm",
        "feed_forward_residual.norm": "final_layer_norm",
        **feed_forward("", up="fc1", down="fc2"),
    },
    LAYER,
    "{n}",
)


def t5_side(side, feed_forward_at):
    """Return the table of T5's encoder or decoder."""
    first = "source" if side == "encoder" else "target"
    bias = f"{side}.block.0.layer.0.SelfAttention.relative_attention_bias"
    within = {
        **projections("q", "k", "v", "o", at="layer.0.SelfAttention."),
        **projections("q", "k", "v", "o", part="cross_attention", at="layer.1.EncDecAttention."),
        "attention_residual.norm": "layer.0.layer_norm",
        "cross_residual.norm": "layer.1.layer_norm",
        "feed_forward_residual.norm": f"layer.{feed_forward_at}.layer_norm",
        **feed_forward(f"layer.{feed_forward_at}.DenseReluDense.", up="wi", down="wo"),
    }
    front = {
        f"{first}.embed.table": "shared",
        f"{first}.guides.usual.bias.table": bias,
        f"{side}.norm": f"{side}.final_layer_norm",
    }
    return table(front, within, f"{side}.layers.{{n}}", f"{side}.block.{{n}}")


T5 = t5_side("encoder", 1) | t5_side("decoder", 2)


def detr_side(side):
    """Return the table of DETR's encoder or decoder."""
    within = {
        **projections(at="self_attn."),
        **projections(part="cross_attention", at="encoder_attn."),
        "attention_residual.norm_after": "self_attn_layer_norm",
        "cross_residual.norm_after": "encoder_attn_layer_norm",
        "feed_forward_residual.norm_after": "final_layer_norm",
        **feed_forward("mlp.", up="fc1", down="fc2"),
    }
    front = {"decoder.norm": "decoder.layernorm"}
    return table(front, within, f"{side}.layers.{{n}}", f"{side}.layers.{{n}}")


DETR = detr_side("encoder") | detr_side("decoder")


def translated(name, names):
    """Return their name of one of our tensors.

    The longest entry that the name starts with counts; an entry may name a module or a tensor.
    """
    number = re.search(r"(?<=layers\.)\d+", name)
    plain = name if number is None else name.replace(f".{number[0]}.", ".{n}.", 1)
    entries = [ours for ours in names if plain == ours or plain.startswith(f"{ours}.")]
    assert entries, f"no name for {name}"
    ours = max(entries, key=len)
    theirs = names[ours] + plain[len(ours) :]
    theirs = theirs.replace("gate.correction", "gate.e_score_correction_bias")
    return theirs if number is None else theirs.replace("{n}", number[0])


def copy_weights(ours, theirs, names, change=lambda _name, tensor: tensor):
    """Copy every weight of theirs into ours, each under its name.

    `change` may turn a tensor round. Fails where one side has a tensor that the other lacks.
    """
    state = dict(theirs.state_dict())
    wanted = {name: translated(name, names) for name in ours.state_dict()}
    missing = set(state) - set(wanted.values())
    tied = {name for name in missing if any(same(state[name], state[w]) for w in wanted.values())}
    assert missing == tied, missing - tied
    with torch.no_grad():
        for name, tensor in ours.state_dict().items():
            given = change(wanted[name], state[wanted[name]])
            tensor.copy_(given.reshape(tensor.shape) if given.dim() != tensor.dim() else given)


def same(one, other):
    """Return whether two tensors are one storage: tied weights have two names."""
    return one.data_ptr() == other.data_ptr()
