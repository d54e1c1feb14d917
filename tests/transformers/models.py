"""Tiny models of transformers with random weights: every family once, and its odd ones.

Sizes in one model differ pairwise where the family lets them; nothing is downloaded.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import torch
import transformers as hf

from attntrace.subjects.hugging_face_inputs import inputs_of

TEXT = {
    "hidden_size": 48, "num_hidden_layers": 2, "num_attention_heads": 6, "intermediate_size": 56,
    "vocab_size": 71, "max_position_embeddings": 40,
}  # fmt: skip
CAUSAL = {**TEXT, "num_key_value_heads": 2, "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2}
SEQ2SEQ = {
    "d_model": 48, "encoder_layers": 2, "decoder_layers": 2, "encoder_attention_heads": 6, "decoder_attention_heads": 4,
    "encoder_ffn_dim": 56, "decoder_ffn_dim": 52, "vocab_size": 71, "max_position_embeddings": 40,
    "pad_token_id": 1, "bos_token_id": 0, "eos_token_id": 2, "decoder_start_token_id": 2,
}  # fmt: skip
IMAGE = {
    "hidden_size": 48, "num_hidden_layers": 2, "num_attention_heads": 6, "intermediate_size": 56,
    "image_size": 24, "patch_size": 8,
}  # fmt: skip
MOE = {"num_local_experts": 5, "num_experts_per_tok": 2}
SWIN = {
    "image_size": 32, "patch_size": 4, "embed_dim": 12, "depths": [2, 1], "num_heads": [2, 3],
    "window_size": 4,
}  # fmt: skip
RESNET = {"embedding_size": 8, "hidden_sizes": [8, 12], "depths": [1, 1], "layer_type": "basic"}
PROJECTED = {"projection_dim": 20}

TINY: dict[str, tuple[str, dict[str, Any]]] = {
    "bert": ("BertForMaskedLM", TEXT),
    "gpt2": (
        "GPT2LMHeadModel",
        {"n_embd": 48, "n_head": 6, "n_layer": 2, "n_positions": 40, "vocab_size": 71},
    ),
    "llama": ("LlamaForCausalLM", CAUSAL),
    "t5": (
        "T5ForConditionalGeneration",
        {"d_model": 48, "d_kv": 7, "d_ff": 56, "num_heads": 6, "num_layers": 2, "vocab_size": 71},
    ),
    "vit": ("ViTForImageClassification", IMAGE),
    "mixtral": ("MixtralForCausalLM", {**CAUSAL, **MOE}),
    "whisper": (
        "WhisperForConditionalGeneration",
        {**SEQ2SEQ, "num_mel_bins": 10, "max_source_positions": 15, "max_target_positions": 40},
    ),
    "clip": ("CLIPModel", {"text_config": TEXT, "vision_config": IMAGE, **PROJECTED}),
    "roberta": ("RobertaForSequenceClassification", TEXT),
    "distilbert": (
        "DistilBertModel",
        {"dim": 48, "n_heads": 6, "n_layers": 2, "hidden_dim": 56, "vocab_size": 71},
    ),
    "albert": ("AlbertModel", {**TEXT, "embedding_size": 20}),
    "electra": ("ElectraForPreTraining", {**TEXT, "embedding_size": 20}),
    "deberta-v2": (
        "DebertaV2Model",
        {
            **TEXT,
            "relative_attention": True,
            "pos_att_type": ["c2p", "p2c"],
            "max_relative_positions": 9,
        },
    ),
    "xlnet": (
        "XLNetLMHeadModel",
        {"d_model": 48, "n_head": 6, "n_layer": 2, "d_inner": 56, "vocab_size": 71},
    ),
    "funnel": (
        "FunnelModel",
        {
            "d_model": 48,
            "n_head": 6,
            "d_head": 7,
            "d_inner": 56,
            "block_sizes": [1, 1],
            "vocab_size": 71,
        },
    ),
    "longformer": ("LongformerModel", {**TEXT, "attention_window": 4}),
    "opt": (
        "OPTForCausalLM",
        {**{k: v for k, v in TEXT.items() if k != "intermediate_size"}, "ffn_dim": 56},
    ),
    "bloom": ("BloomForCausalLM", {"hidden_size": 48, "n_head": 6, "n_layer": 2, "vocab_size": 71}),
    "falcon": ("FalconForCausalLM", {**TEXT, "alibi": False}),
    "gpt_neox": ("GPTNeoXForCausalLM", {**TEXT, "num_attention_heads": 3}),
    "phi": ("PhiForCausalLM", {**CAUSAL, "num_key_value_heads": 6}),
    "gemma2": ("Gemma2ForCausalLM", {**CAUSAL, "head_dim": 14, "sliding_window": 4}),
    "qwen2": ("Qwen2ForCausalLM", CAUSAL),
    "qwen2_moe": (
        "Qwen2MoeForCausalLM",
        {
            **CAUSAL,
            "num_experts": 5,
            "num_experts_per_tok": 2,
            "moe_intermediate_size": 20,
            "shared_expert_intermediate_size": 28,
        },
    ),
    "mistral": ("MistralForCausalLM", {**CAUSAL, "sliding_window": 4}),
    "deepseek_v3": (
        "DeepseekV3ForCausalLM",
        {
            **CAUSAL,
            "num_key_value_heads": 6,
            "q_lora_rank": 20,
            "kv_lora_rank": 12,
            "qk_nope_head_dim": 10,
            "qk_rope_head_dim": 4,
            "v_head_dim": 9,
            "first_k_dense_replace": 1,
            "n_routed_experts": 8,
            "num_experts_per_tok": 3,
            "moe_intermediate_size": 16,
            "n_group": 4,
            "topk_group": 2,
        },
    ),
    "bart": ("BartForConditionalGeneration", SEQ2SEQ),
    "pegasus": ("PegasusModel", SEQ2SEQ),
    "deit": ("DeiTModel", IMAGE),
    "beit": ("BeitModel", {**IMAGE, "use_relative_position_bias": True}),
    "swin": ("SwinModel", SWIN),
    "convnext": ("ConvNextModel", {"hidden_sizes": [12, 20], "depths": [1, 1], "num_stages": 2}),
    "segformer": (
        "SegformerForSemanticSegmentation",
        {
            "image_size": 32,
            "num_encoder_blocks": 2,
            "depths": [1, 1],
            "sr_ratios": [4, 2],
            "hidden_sizes": [12, 20],
            "num_attention_heads": [2, 4],
            "patch_sizes": [7, 3],
            "strides": [4, 2],
            "mlp_ratios": [2, 2],
            "decoder_hidden_size": 28,
        },
    ),
    "detr": (
        "DetrForObjectDetection",
        {
            **{k: v for k, v in SEQ2SEQ.items() if "token" not in k and "v" not in k},
            "use_timm_backbone": False,
            "use_pretrained_backbone": False,
            "backbone": None,
            "backbone_config": {"model_type": "resnet", **RESNET, "out_features": ["stage2"]},
            "num_queries": 5,
            "num_labels": 9,
        },
    ),
    "wav2vec2": (
        "Wav2Vec2ForCTC",
        {
            **TEXT,
            "conv_dim": [12, 20],
            "conv_stride": [50, 4],
            "conv_kernel": [60, 5],
            "num_feat_extract_layers": 2,
            "num_conv_pos_embeddings": 8,
            "num_conv_pos_embedding_groups": 2,
        },
    ),
    "mamba": (
        "MambaForCausalLM",
        {"hidden_size": 24, "num_hidden_layers": 2, "state_size": 5, "vocab_size": 71},
    ),
    "blip": ("BlipModel", {"text_config": TEXT, "vision_config": IMAGE, **PROJECTED}),
    "llava": (
        "LlavaForConditionalGeneration",
        {
            "text_config": {"model_type": "llama", **CAUSAL},
            "vision_config": {"model_type": "clip_vision_model", **IMAGE},
            "image_token_index": 70,
        },
    ),
}
"""The class of each model, and what is not as published in its config."""

SDPA = [
    "bert", "gpt2", "llama", "vit", "mixtral", "whisper", "clip", "roberta", "distilbert", "opt", "falcon", "gpt_neox", "phi",
    "qwen2", "mistral", "deepseek_v3", "bart", "deit", "wav2vec2",
]  # fmt: skip
"""Those that are run with scaled_dot_product_attention, too."""


def settings_of(name: str) -> dict[str, Any]:
    """Return what its config.json would hold."""
    architecture, fields = TINY[name]
    return {"model_type": name, "architectures": [architecture], **fields}


@cache
def model_of(name: str, attention: str = "eager") -> Any:
    """Return a model in eval mode."""
    settings = settings_of(name)
    kind = getattr(hf, settings.pop("architectures")[0])
    config = hf.CONFIG_MAPPING[settings.pop("model_type")](**settings)
    torch.manual_seed(3)
    return kind._from_config(config, attn_implementation=attention).eval()


def given_of(name: str) -> dict[str, Any]:
    """Return inputs for a model's forward."""
    return inputs_of(model_of(name))
