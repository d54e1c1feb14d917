"""The modules of published models, and what in our blocks does their work.

An entry maps a module of theirs to a module of ours, to a row of ours (`module/row`), to several
modules of ours whose parameters add up (the last one returns the tensor), or to a reason why
there is none. The oracles show the first of many equal layers, and so do the tables.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Why:
    """A reason why a module of theirs has no row of ours."""

    reason: str


@dataclass(frozen=True)
class Published:
    """One oracle: our preset, a table of its modules, and our rows of its facts."""

    preset: str
    modules: dict[str, Any]
    facts: dict[str, str] = field(default_factory=dict)
    decode: str | None = None
    """Our preset of a decode step, and the rows in which it differs."""
    decode_facts: dict[str, str] = field(default_factory=dict)
    turned: bool = False
    """Their tokens come first and the batch second."""


NO_DROPOUT = Why("dropout 0, or in eval mode: it returns its input")
ROUTED = Why("one of our rows shows all experts, theirs are those that were hit")
IN_HALVES = Why("theirs repeats cos and sin for neighbours, ours has each once")

L0 = "stack.layers.0"
ATTEND = f"{L0}.attention.attend"
PARTS = {
    "q": f"{L0}.attention.project/q",
    "k_T": f"{ATTEND}/k_t",
    "scores": f"{ATTEND}/scores",
    "weights": f"{ATTEND}/probs",
    "weights_in_av": f"{ATTEND}/probs",
    "v": f"{L0}.attention.project/v",
    "context_heads": f"{ATTEND}/context",
}
GROUPED = PARTS | {"q": f"{L0}.attention.rope/q_rope", "v": f"{L0}.attention.repeat/v_repeated"}
PROJECTIONS = {
    "q_proj": f"{L0}.attention.project.q_proj",
    "k_proj": f"{L0}.attention.project.k_proj",
    "v_proj": f"{L0}.attention.project.v_proj",
    "o_proj": f"{L0}.attention.proj",
}


def under(theirs, ours, table):
    """Return a table with prefixes in front of the names of both sides."""
    return {f"{theirs}{name}": prefixed(ours, entry) for name, entry in table.items()}


def prefixed(ours, entry):
    """Return an entry with a prefix, whatever its kind."""
    if isinstance(entry, str):
        return f"{ours}{entry}"
    return entry if isinstance(entry, Why) else tuple(f"{ours}{part}" for part in entry)


LLAMA_LAYER = {
    "input_layernorm": ".attention_residual.norm",
    "self_attn.q_proj": ".attention.project.q_proj",
    "self_attn.k_proj": ".attention.project.k_proj",
    "self_attn.v_proj": ".attention.project.v_proj",
    "self_attn.o_proj": ".attention.proj",
    "self_attn": ".attention",
    "post_attention_layernorm": ".feed_forward_residual.norm",
}
SWIGLU = {
    "mlp.gate_proj": ".feed_forward.gate",
    "mlp.act_fn": ".feed_forward/activated",
    "mlp.up_proj": ".feed_forward.up",
    "mlp.down_proj": ".feed_forward.down",
    "mlp": ".feed_forward",
}
LLAMA_FRONT = {
    "model.embed_tokens": "embed.table",
    "model.rotary_emb": "guides.usual.rotary/cos",
    "model.layers.0": L0,
    "model.norm": "stack.norm",
    "model": ("embed", "stack"),
    "lm_head": "head.project",
    "": "",
}
LLAMA = LLAMA_FRONT | under("model.layers.0.", L0, LLAMA_LAYER | SWIGLU)
MIXTRAL = LLAMA_FRONT | under("model.layers.0.", L0, LLAMA_LAYER | {
    "mlp.gate": ".feed_forward.router.linear",
    "mlp.experts.act_fn": ROUTED,
    "mlp.experts": (".feed_forward.experts", ".feed_forward/routed"),
    "mlp": ".feed_forward",
})  # fmt: skip
LATENT_LAYER = {
    "input_layernorm": ".attention_residual.norm",
    "self_attn.q_a_proj": ".attention.project.q_a",
    "self_attn.q_a_layernorm": ".attention.project.q_norm",
    "self_attn.q_b_proj": ".attention.project.q_b",
    "self_attn.kv_a_proj_with_mqa": ".attention.project.kv_a",
    "self_attn.kv_a_layernorm": ".attention.project.kv_norm",
    "self_attn.kv_b_proj": ".attention.project.kv_b",
    "self_attn.o_proj": ".attention.proj",
    "self_attn": ".attention",
    "post_attention_layernorm": ".feed_forward_residual.norm",
}
EXPERTS = {
    "mlp.gate": ".feed_forward.router.linear",
    "mlp.experts.act_fn": ROUTED,
    "mlp.experts": (".feed_forward.experts", ".feed_forward/routed"),
    "mlp.shared_experts.gate_proj": ".feed_forward.shared.gate",
    "mlp.shared_experts.act_fn": ".feed_forward.shared/activated",
    "mlp.shared_experts.up_proj": ".feed_forward.shared.up",
    "mlp.shared_experts.down_proj": ".feed_forward.shared.down",
    "mlp.shared_experts": ".feed_forward.shared",
    "mlp": ".feed_forward",
}
DEEPSEEK = {
    **LLAMA_FRONT,
    "model.rotary_emb": IN_HALVES,
    "model.layers.1": "stack.layers.1",
    **under("model.layers.0.", L0, LATENT_LAYER | SWIGLU),
    **under("model.layers.1.", "stack.layers.1", LATENT_LAYER | EXPERTS),
}
LATENT = {
    "q_a_proj": f"{L0}.attention.project.q_a",
    "q_b_proj": f"{L0}.attention.project.q_b",
    "kv_a_proj_with_mqa": f"{L0}.attention.project.kv_a",
    "kv_b_proj": f"{L0}.attention.project.kv_b",
    "o_proj": f"{L0}.attention.proj",
}
GPT2 = {
    "transformer.wte": "embed.table",
    "transformer.wpe": "embed.positions.table.table",
    "transformer.drop": NO_DROPOUT,
    **under("transformer.h.0.", L0, {
        "ln_1": ".attention_residual.norm",
        "attn.c_attn": ".attention.project.qkv",
        "attn.c_proj": ".attention.proj",
        "attn.resid_dropout": NO_DROPOUT,
        "attn": ".attention",
        "ln_2": ".feed_forward_residual.norm",
        "mlp.c_fc": ".feed_forward.up",
        "mlp.act": ".feed_forward/activated",
        "mlp.c_proj": ".feed_forward.down",
        "mlp.dropout": NO_DROPOUT,
        "mlp": ".feed_forward",
    }),
    "transformer.h.0": L0,
    "transformer.ln_f": "stack.norm",
    "transformer": ("embed", "stack"),
    "lm_head": ("embed.table", "head"),
    "": "",
}  # fmt: skip
BERT = {
    "embeddings.word_embeddings": "embed.table",
    "embeddings.token_type_embeddings": "embed.types",
    "embeddings.position_embeddings": "embed.positions.table.table",
    "embeddings.LayerNorm": "embed.norm",
    "embeddings.dropout": NO_DROPOUT,
    "embeddings": "embed",
    **under("encoder.layer.0.", L0, {
        "attention.self.query": ".attention.project.q_proj",
        "attention.self.key": ".attention.project.k_proj",
        "attention.self.value": ".attention.project.v_proj",
        "attention.self": (".attention.project", ".attention/context_merged"),
        "attention.output.dense": ".attention.proj",
        "attention.output.dropout": NO_DROPOUT,
        "attention.output.LayerNorm": ".attention_residual.norm_after",
        "attention.output": (".attention.proj", ".attention_residual.norm_after"),
        "attention": (".attention", ".attention_residual.norm_after"),
        "intermediate.dense": ".feed_forward.up",
        "intermediate.intermediate_act_fn": ".feed_forward/activated",
        "intermediate": (".feed_forward.up", ".feed_forward/activated"),
        "output.dense": ".feed_forward.down",
        "output.dropout": NO_DROPOUT,
        "output.LayerNorm": ".feed_forward_residual.norm_after",
        "output": (".feed_forward.down", ".feed_forward_residual.norm_after"),
    }),
    "encoder.layer.0": L0,
    "encoder": "stack",
    "pooler.dense": "pooler.project",
    "pooler.activation": "pooler/pooled",
    "pooler": "pooler",
    "": "",
}  # fmt: skip
VIT_MLP = {
    "mlp.fc1": ".feed_forward.up",
    "mlp.fc2": ".feed_forward.down",
    "mlp": ".feed_forward",
}
VIT = {
    "vit.embeddings.patch_embeddings.projection": "embed.proj",
    "vit.embeddings.patch_embeddings": ("embed.proj", "embed/patches"),
    "vit.embeddings.dropout": NO_DROPOUT,
    "vit.embeddings": "embed",
    **under("vit.layers.0.", L0, VIT_MLP | {
        "layernorm_before": ".attention_residual.norm",
        "attention.q_proj": ".attention.project.q_proj",
        "attention.k_proj": ".attention.project.k_proj",
        "attention.v_proj": ".attention.project.v_proj",
        "attention.o_proj": ".attention.proj",
        "attention": ".attention",
        "dropout": NO_DROPOUT,
        "layernorm_after": ".feed_forward_residual.norm",
        "mlp.activation_fn": ".feed_forward/activated",
    }),
    "vit.layers.0": L0,
    "vit.layernorm": "stack.norm",
    "vit": ("embed", "stack"),
    "classifier": "head.project",
    "": "",
}  # fmt: skip
T2T_STEP = {
    "norm1": ".attention_residual.norm",
    "kqv": ".attention.project.qkv",
    "proj": ".attention.proj",
    "dp": NO_DROPOUT,
    "norm2": ".feed_forward_residual.norm",
    "mlp.0": ".feed_forward.up",
    "mlp.1": ".feed_forward/activated",
    "mlp.2": ".feed_forward.down",
    "mlp.3": NO_DROPOUT,
    "mlp": ".feed_forward",
}
T2T = {
    "tokens_to_token.soft_split0": "embed.splits.0.unfold",
    **under("tokens_to_token.attention1.", "embed.steps.0.layer", T2T_STEP),
    "tokens_to_token.attention1": "embed.steps.0.layer",
    "tokens_to_token.soft_split1": "embed.splits.1.unfold",
    **under("tokens_to_token.attention2.", "embed.steps.1.layer", T2T_STEP),
    "tokens_to_token.attention2": "embed.steps.1.layer",
    "tokens_to_token.soft_split2": "embed.splits.2.unfold",
    "tokens_to_token.project": "embed.project",
    "tokens_to_token": ("embed.steps.0.layer", "embed.steps.1.layer", "embed.project"),
    **under("blocks.0.", L0, VIT_MLP | {
        "norm1": ".attention_residual.norm",
        "attn.qkv": ".attention.project.qkv",
        "attn.attn_drop": NO_DROPOUT,
        "attn.proj": ".attention.proj",
        "attn.proj_drop": NO_DROPOUT,
        "attn": ".attention",
        "drop_path": NO_DROPOUT,
        "norm2": ".feed_forward_residual.norm",
        "mlp.act": ".feed_forward/activated",
        "mlp.drop": NO_DROPOUT,
    }),
    "blocks.0": L0,
    "norm": "stack.norm",
    "head": "head.project",
    "": "",
}  # fmt: skip


def t5_attention(theirs, ours):
    """Return the table of one of T5's attention layers; its bias is made beside the layers."""
    return {
        f"{theirs}.q": f".{ours}.project.q_proj",
        f"{theirs}.k": f".{ours}.project.k_proj",
        f"{theirs}.v": f".{ours}.project.v_proj",
        f"{theirs}.o": f".{ours}.proj",
        theirs: f".{ours}",
    }


def t5_side(side, first, parts):
    """Return the table of T5's encoder or decoder."""
    layer, last = f"{side}.layers.0", parts - 1
    bias, own = f"{first}.guides.usual.bias.table", f"{side}.block.0.layer.0"
    attention = under(f"{own}.", layer, t5_attention("SelfAttention", "attention"))
    attention[f"{own}.SelfAttention"] = (bias, f"{layer}.attention")
    stack = (f"{first}.guides.usual.bias", side)
    return {
        f"{side}.embed_tokens": "source.embed.table",
        f"{side}.dropout": NO_DROPOUT,
        **attention,
        f"{own}.SelfAttention.relative_attention_bias": bias,
        f"{own}.layer_norm": f"{layer}.attention_residual.norm",
        f"{own}.dropout": NO_DROPOUT,
        own: (bias, f"{layer}.attention", f"{layer}.attention_residual.norm", f"{layer}/residual"),
        **under(f"{side}.block.0.layer.{last}.", layer, {
            "layer_norm": ".feed_forward_residual.norm",
            "DenseReluDense.wi": ".feed_forward.up",
            "DenseReluDense.act": ".feed_forward/activated",
            "DenseReluDense.dropout": NO_DROPOUT,
            "DenseReluDense.wo": ".feed_forward.down",
            "DenseReluDense": ".feed_forward",
            "dropout": NO_DROPOUT,
        }),
        f"{side}.block.0.layer.{last}": (f"{layer}.feed_forward_residual.norm", f"{layer}.feed_forward"),
        f"{side}.block.0": (bias, layer),
        f"{side}.final_layer_norm": f"{side}.norm",
        side: ("source.embed.table", *stack),
    }  # fmt: skip


CROSS = "decoder.layers.0"
T5 = {
    **t5_side("encoder", "source", 2),
    **t5_side("decoder", "target", 3),
    **under("decoder.block.0.layer.1.", CROSS, t5_attention("EncDecAttention", "cross_attention")),
    "decoder.block.0.layer.1.layer_norm": f"{CROSS}.cross_residual.norm",
    "decoder.block.0.layer.1.dropout": NO_DROPOUT,
    "decoder.block.0.layer.1": (f"{CROSS}.cross_residual.norm", f"{CROSS}.cross_attention"),
    "lm_head": ("source.embed.table", "head"),
    "": "",
}


def torch_layer(side):
    """Return the table of torch's encoder or decoder layer, which DETR's are like."""
    layer = f"{side}.layers.0"
    last = 2 if side == "encoder" else 3
    table = {
        "self_attn": ".attention",
        "dropout1": NO_DROPOUT,
        "norm1": ".attention_residual.norm_after",
        "linear1": ".feed_forward.up",
        "dropout": NO_DROPOUT,
        "linear2": ".feed_forward.down",
        "dropout2": NO_DROPOUT,
        f"dropout{last}": NO_DROPOUT,
        f"norm{last}": ".feed_forward_residual.norm_after",
    }
    if side == "decoder":
        table |= {
            "multihead_attn": ".cross_attention",
            "norm2": ".cross_residual.norm_after",
        }
    return {
        **under(f"{layer}.", layer, table),
        layer: layer,
        side: side,
        f"{side}.norm": f"{side}.norm",
    }


TORCH = {**torch_layer("encoder"), **torch_layer("decoder"), "": ""}
X_TRANSFORMERS = {
    "to_q": "attention.project.q_proj",
    "to_k": "attention.project.k_proj",
    "to_v": "attention.project.v_proj",
    "split_q_heads": "attention.project/q",
    "split_k_heads": "attention.project/k",
    "split_v_heads": "attention.project/v",
    "attend.attn_dropout": "attention.attend/probs",
    "attend": "attention.attend",
    "merge_heads": "attention/context_merged",
    "to_out": "attention.proj",
    "": "",
}


def t5_facts(layer, part):
    """Return our rows of the parts of one of T5's attention layers."""
    return {
        name: row.replace(L0, layer).replace(".attention", f".{part}")
        for name, row in PARTS.items()
    }


T5_FACTS = {
    "encoder_self": t5_facts("encoder.layers.0", "attention"),
    "decoder_self": t5_facts("decoder.layers.0", "attention"),
    "decoder_cross": t5_facts("decoder.layers.0", "cross_attention"),
    "cross_cache_keys": "decoder.layers.0.cross_attention.project/k",
    "self_cache_keys": "decoder.layers.0.attention.project/k",
}
DETR_FACTS = {
    "enc_self_out": "encoder.layers.0.attention",
    "enc_ffn_hidden": "encoder.layers.0.feed_forward/hidden",
    "dec_ffn_hidden": "decoder.layers.0.feed_forward/hidden",
    "hs": "decoder/all_layers",
    "memory": "/memory_map",
}

PUBLISHED = {
    "gpt2": Published(
        "gpt2",
        GPT2,
        {**PARTS, "c_attn_out": f"{L0}.attention.project.qkv", "kv_cache_layer_after_prefill": f"{L0}.attention.project/k"},
        "gpt2-decode",
        {"v": f"{L0}.attention.cache/v_cache"},
    ),
    "bert_base": Published("bert-base", BERT, {**PARTS, "ffn_hidden": f"{L0}.feed_forward/hidden"}),
    "vit_b16": Published("vit-b-16", VIT, PARTS),
    "llama3_8b_gqa": Published(
        "llama3-8b",
        LLAMA,
        {**GROUPED, **PROJECTIONS, "kv_cache_layer": f"{L0}.attention.rope/k_rope"},
        "llama3-8b-decode",
    ),
    "mistral_small_window8": Published(
        "mistral-window8", LLAMA, GROUPED, "mistral-window8-decode"
    ),
    "mixtral_8x7b_moe": Published(
        "mixtral-8x7b",
        MIXTRAL,
        {**GROUPED, **PROJECTIONS, "kv_cache_layer": f"{L0}.attention.rope/k_rope"},
    ),
    "deepseek_v3_small_cpu": Published(
        "deepseek-v3-small", DEEPSEEK, {**PARTS, **LATENT}, "deepseek-v3-small-decode"
    ),
    "t5_small_cross": Published("t5-small", T5, T5_FACTS),
    "t2t_vit_14": Published("t2t-vit-14", T2T, {
        "block0": PARTS,
        "soft_split0": "embed.splits.0.unfold",
        "soft_split1": "embed.splits.1.unfold",
        "soft_split2": "embed.splits.2.unfold",
        "attention1_out": "embed.steps.0.layer",
        "attention2_out": "embed.steps.1.layer",
        "project": "embed.project",
        "block0_out": L0,
        "mlp_hidden": f"{L0}.feed_forward/hidden",
    }),
    "detr_own_transformer": Published("detr-r50", TORCH, DETR_FACTS, turned=True),
    "nn_transformer_base": Published("transformer-base", TORCH),
    "x_transformers_kv2": Published(
        "x-transformers-kv2",
        X_TRANSFORMERS,
        {"to_k": "attention.project.k_proj", "to_q": "attention.project.q_proj"},
    ),
}  # fmt: skip
