"""With the same weights our stacks return what the models of transformers return.

Every model is tiny and random, and is theirs as it is published in all but its sizes.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import pytest
import torch
import transformers as hf
from torch import nn
from transformers.models.detr.modeling_detr import (
    DetrDecoderLayer,
    DetrEncoderLayer,
    DetrSinePositionEmbedding,
)
from transformers.models.swin.modeling_swin import SwinStage
from transformers.models.whisper.modeling_whisper import WhisperDecoderLayer

import attntrace
from attntrace.blocks.guide import Past
from tests.blocks import weight_names as names

BATCH, TOKENS, CHAN, HEADS, KV_HEADS, LAYERS, WIDE, VOCAB = 3, 11, 48, 6, 2, 2, 56, 71
SIZES = {
    "batch": BATCH, "tokens": TOKENS, "chan": CHAN, "heads": HEADS, "layers": LAYERS,
    "ff_dim": WIDE,
}  # fmt: skip
LLAMA_SIZES = {
    "hidden_size": CHAN, "num_attention_heads": HEADS, "num_key_value_heads": KV_HEADS,
    "num_hidden_layers": LAYERS, "intermediate_size": WIDE, "vocab_size": VOCAB,
    "max_position_embeddings": 64, "rms_norm_eps": 1e-4, "attn_implementation": "eager",
    "pad_token_id": None, "bos_token_id": 1, "eos_token_id": 2,
}  # fmt: skip
CLOSE = {"rtol": 1e-4, "atol": 2e-5}


@dataclass(frozen=True)
class Pair:
    """One of their models, and the settings of ours; `change` turns their tensors into ours."""

    theirs: nn.Module
    names: dict[str, str]
    settings: dict[str, Any]
    change: Any = field(default=lambda _name, tensor: tensor)


def random(model):
    """Draw every parameter and buffer that is saved anew: some of theirs start at 0 or 1."""
    torch.manual_seed(7)
    for tensor in model.state_dict().values():
        nn.init.normal_(tensor, std=0.3)
    return model.eval()


def ours_of(pair, **settings):
    """Return our block with their weights."""
    block = attntrace.build(merged(pair.settings, settings))
    names.copy_weights(block, pair.theirs, pair.names, pair.change)
    return block


def merged(one, other):
    """Return nested settings with others put on top."""
    both = {**one, **other}
    for key in set(one) & set(other):
        if isinstance(one[key], dict) and isinstance(other[key], dict):
            both[key] = merged(one[key], other[key])
    return both


def decoder(**sections):
    """Return the settings of a decoder with an embedding table and a head, as of Llama."""
    plain = {
        "block": "decoder",
        **SIZES,
        "attention": {"scale_at": "scores", "out_bias": False},
        "stack": {"vocab": VOCAB, "head": "vocab"},
    }
    return merged(plain, sections)


RMS = {"kind": "rmsnorm", "eps": 1e-4}
SWIGLU = {"kind": "glu", "activation": "silu", "bias": False}
ROPE = {"kind": "rope"}


def gpt2():
    """Learned positions, fused qkv, tied head; their Conv1D holds weights the other way round."""
    config = hf.GPT2Config(
        n_embd=CHAN, n_head=HEADS, n_layer=LAYERS, n_positions=32, n_inner=WIDE, vocab_size=VOCAB,
        attn_implementation="eager",
    )  # fmt: skip
    turned = ("c_attn.weight", "c_proj.weight", "c_fc.weight")
    return Pair(
        random(hf.GPT2LMHeadModel(config)),
        names.GPT2,
        decoder(
            attention={"qkv_bias": True, "out_bias": True},
            positions={"kind": "learned", "max": 32},
            feed_forward={"activation": "gelu-tanh"},
            stack={"tied": True},
        ),
        lambda name, tensor: tensor.T if name.endswith(turned) else tensor,
    )


def llama(**settings):
    """Grouped queries, rotary positions by halves, SwiGLU, RMSNorm."""
    config = hf.LlamaConfig(
        **LLAMA_SIZES, rope_parameters={"rope_type": "default", "rope_theta": 500.0}
    )
    sections = {
        "kv_heads": KV_HEADS,
        "positions": {**ROPE, "theta": 500.0},
        "norm": RMS,
        "feed_forward": SWIGLU,
    }
    theirs = random(hf.LlamaForCausalLM(config))
    return Pair(theirs, names.LLAMA, decoder(**merged(sections, settings)))


def mistral():
    """Llama with a sliding window that is shorter than the sequence."""
    config = hf.MistralConfig(**LLAMA_SIZES, sliding_window=4)
    sections = {"kv_heads": KV_HEADS, "positions": ROPE, "norm": RMS, "feed_forward": SWIGLU}
    mask = {"kind": ["causal", "sliding"], "window": 4}
    theirs = random(hf.MistralForCausalLM(config))
    return Pair(theirs, names.LLAMA, decoder(**sections, mask=mask))


def mixtral():
    """Five experts, of which a token takes two."""
    config = hf.MixtralConfig(
        **LLAMA_SIZES, num_local_experts=5, num_experts_per_tok=2, rope_parameters={"rope_type": "default", "rope_theta": 10000.0}
    )  # fmt: skip
    moe = {**SWIGLU, "kind": "moe", "experts": 5, "experts_per_token": 2}
    sections = {"kv_heads": KV_HEADS, "positions": ROPE, "norm": RMS, "feed_forward": moe}
    theirs = random(hf.MixtralForCausalLM(config))
    return Pair(theirs, names.MIXTRAL, decoder(**sections))


def deepseek_v3():
    """Latent attention with rotary neighbours, a dense layer, then experts in groups."""
    config = hf.DeepseekV3Config(
        **{**LLAMA_SIZES, "num_key_value_heads": HEADS, "rms_norm_eps": 1e-6}, q_lora_rank=20, kv_lora_rank=12, qk_nope_head_dim=10,
        qk_rope_head_dim=4, v_head_dim=9, first_k_dense_replace=1, n_routed_experts=8, num_experts_per_tok=3,
        moe_intermediate_size=16, n_group=4, topk_group=2, n_shared_experts=2,
        rope_parameters={"rope_type": "default", "rope_theta": 10000.0},
    )  # fmt: skip
    moe = {
        "kind": "moe", "activation": "silu", "bias": False, "experts": 8, "experts_per_token": 3, "expert_dim": 16, "groups": 4,
        "groups_per_token": 2, "shared_experts": 2, "router": "sigmoid", "router_scale": 2.5, "dense_layers": 1,
    }  # fmt: skip
    latent = {
        "kind": "mla", "q_lora_rank": 20, "kv_lora_rank": 12, "nope_head_dim": 10, "rope_head_dim": 4,
    }  # fmt: skip
    settings = decoder(
        value_head_dim=9,
        attention=latent,
        positions={**ROPE, "style": "interleaved"},
        norm={**RMS, "eps": 1e-6},
        feed_forward=moe,
    )
    return Pair(random(hf.DeepseekV3ForCausalLM(config)), names.DEEPSEEK, settings)


def bloom():
    """ALiBi, heads folded into the batch, a norm on the embeddings, h3d projection, tied head."""
    config = hf.BloomConfig(
        hidden_size=CHAN, n_head=HEADS, n_layer=LAYERS, vocab_size=VOCAB, attn_implementation="eager"
    )  # fmt: skip
    attention = {
        "qkv": "fused", "qkv_layout": "h3d", "layout": "folded", "qkv_bias": True, "out_bias": True,
    }  # fmt: skip
    settings = decoder(
        ff_dim=4 * CHAN,
        attention=attention,
        positions={"kind": "alibi"},
        feed_forward={"activation": "gelu-tanh"},
        stack={"tied": True, "embedding_norm": True},
    )
    return Pair(random(hf.BloomForCausalLM(config)), names.BLOOM, settings)


def gpt_neox():
    """Two norms side by side, rotary positions on a part of each head."""
    config = hf.GPTNeoXConfig(
        hidden_size=CHAN, num_attention_heads=3, num_hidden_layers=LAYERS, intermediate_size=WIDE, vocab_size=VOCAB,
        attn_implementation="eager", rope_parameters={"rope_type": "default", "rope_theta": 10000.0, "partial_rotary_factor": 0.25},
    )  # fmt: skip
    settings = decoder(
        heads=3,
        attention={"qkv": "fused", "qkv_layout": "h3d", "qkv_bias": True, "out_bias": True},
        positions={**ROPE, "fraction": 0.25},
        norm={"place": "parallel", "parallel_norms": 2, "final": "all"},
    )
    return Pair(random(hf.GPTNeoXForCausalLM(config)), names.NEOX, settings)


def gpt_j():
    """One norm for both parts, rotary neighbours on a part of each head."""
    config = hf.GPTJConfig(
        n_embd=CHAN, n_head=3, n_layer=LAYERS, n_inner=WIDE, vocab_size=VOCAB, n_positions=32, rotary_dim=4,
        attn_implementation="eager",
    )  # fmt: skip
    settings = decoder(
        heads=3,
        attention={"qkv": "separate"},
        positions={**ROPE, "style": "interleaved", "fraction": 0.25},
        norm={"place": "parallel", "final": "all"},
        feed_forward={"activation": "gelu-tanh"},
        stack={"head_bias": True},
    )
    return Pair(random(hf.GPTJForCausalLM(config)), names.GPTJ, settings)


def falcon():
    """One head of k and v for all of q, parallel on one norm, no biases, tied head."""
    config = hf.FalconConfig(
        hidden_size=CHAN, num_attention_heads=HEADS, num_hidden_layers=LAYERS, ffn_hidden_size=WIDE, vocab_size=VOCAB,
        multi_query=True, parallel_attn=True, bias=False, alibi=False, new_decoder_architecture=False,
        attn_implementation="eager",
    )  # fmt: skip
    settings = decoder(
        kv_heads=1,
        attention={"kind": "mqa", "qkv": "fused", "kv_expand": "broadcast"},
        positions=ROPE,
        norm={"place": "parallel", "final": "all"},
        feed_forward={"bias": False},
        stack={"tied": True},
    )
    return Pair(random(hf.FalconForCausalLM(config)), names.FALCON, settings)


def phi():
    """Parallel on one norm, rotary halves on half of each head, biases everywhere."""
    config = hf.PhiConfig(
        **{**LLAMA_SIZES, "num_key_value_heads": HEADS},
        rope_parameters={"rope_type": "default", "rope_theta": 10000.0, "partial_rotary_factor": 0.5},
    )  # fmt: skip
    settings = decoder(
        attention={"qkv": "separate", "qkv_bias": True, "out_bias": True},
        positions={**ROPE, "fraction": 0.5},
        norm={"place": "parallel", "final": "all"},
        feed_forward={"activation": "gelu-tanh"},
        stack={"head_bias": True},
    )
    return Pair(random(hf.PhiForCausalLM(config)), names.PHI, settings)


def qwen3():
    """Each head's q and k are normed before they are turned; heads wider than chan / heads."""
    config = hf.Qwen3Config(**LLAMA_SIZES, head_dim=14)
    settings = decoder(
        kv_heads=KV_HEADS,
        head_dim=14,
        attention={"qk_norm": "rmsnorm"},
        positions=ROPE,
        norm=RMS,
        feed_forward=SWIGLU,
    )
    return Pair(random(hf.Qwen3ForCausalLM(config)), names.QWEN3, settings)


def olmo2():
    """Norms on what each part returns, q and k normed over all heads together."""
    config = hf.Olmo2Config(**{**LLAMA_SIZES, "num_key_value_heads": HEADS})
    settings = decoder(
        attention={"qkv": "separate", "qk_norm": "rmsnorm", "qk_norm_over": "width"},
        positions=ROPE,
        norm={**RMS, "place": "output", "final": "all"},
        feed_forward=SWIGLU,
    )
    return Pair(random(hf.Olmo2ForCausalLM(config)), names.OLMO2, settings)


def gemma2():
    """Sandwich norms, capped scores and logits, every second layer without a window."""
    config = hf.Gemma2Config(
        **LLAMA_SIZES, head_dim=14, query_pre_attn_scalar=20, attn_logit_softcapping=3.0, final_logit_softcapping=0.5,
        sliding_window=4, layer_types=["sliding_attention", "full_attention"] * (LAYERS // 2),
    )  # fmt: skip
    settings = decoder(
        kv_heads=KV_HEADS,
        head_dim=14,
        attention={"qk_scale": 20**-0.5, "softcap": 3.0},
        positions=ROPE,
        mask={"kind": ["causal", "sliding"], "window": 4, "full_every": 2},
        norm={**RMS, "place": "sandwich"},
        feed_forward={"kind": "glu", "activation": "gelu-tanh", "bias": False},
        stack={"tied": True, "embedding_scale": True, "head_softcap": 0.5},
    )
    one_less = lambda name, tensor: tensor + 1 if "norm" in name else tensor  # noqa: E731
    return Pair(random(hf.Gemma2ForCausalLM(config)), names.GEMMA2, settings, one_less)


DECODERS = [
    gpt2, llama, mistral, mixtral, deepseek_v3, bloom, gpt_neox, gpt_j, falcon, phi, qwen3, olmo2, gemma2,
]  # fmt: skip


def ids(*shape):
    """Return token ids."""
    return torch.randint(3, VOCAB, shape, generator=torch.Generator().manual_seed(5))


@pytest.mark.parametrize("model", DECODERS)
def test_a_decoder_returns_their_logits(model):
    """Embedding, layers, norms, masks, positions and head together."""
    pair, given = model(), ids(BATCH, TOKENS)
    with torch.no_grad():
        expected = pair.theirs(input_ids=given).logits
        torch.testing.assert_close(ours_of(pair)(x=given), expected, **CLOSE)


CACHED = [gpt2, llama, mistral, deepseek_v3, bloom, gpt_neox, falcon, qwen3]


def as_it_is(pair):
    """Return the pair, step by step."""
    return pair


def fused(pair):
    """Return the same pair with scaled_dot_product_attention in ours."""
    one_kernel = {"impl": "sdpa", "scale_at": "q", "layout": "heads-first"}
    return replace(pair, settings=merged(pair.settings, {"attention": one_kernel}))


@pytest.mark.parametrize("model", CACHED)
def test_sdpa_returns_their_logits_too(model):
    """The fused kernel computes the same, where it is legal."""
    pair, given = fused(model()), ids(BATCH, TOKENS)
    with torch.no_grad():
        expected = pair.theirs(input_ids=given).logits
        torch.testing.assert_close(ours_of(pair)(x=given), expected, **CLOSE)


def past_of(cache, number, pair):
    """Return what their cache holds for one layer, in the order of ours.

    Folded heads are beside the batch; DeepSeek's rotary neighbours stand apart in theirs.
    """
    keys, values = cache.layers[number].keys, cache.layers[number].values
    attention = pair.settings["attention"]
    if attention.get("layout") == "folded":
        return Past(keys.flatten(0, 1), values.flatten(0, 1))
    if attention.get("kind") == "mla":
        return Past(keys, values.unflatten(-1, (2, -1)).transpose(-2, -1).flatten(-2))
    return Past(keys, values)


@pytest.mark.parametrize("steps", [1, 3])
@pytest.mark.parametrize(
    ("model", "way"),
    [
        *((model, way) for model in CACHED for way in (as_it_is, fused)),
        (gemma2, as_it_is),  # sdpa cannot cap its scores
    ],
)
def test_a_decode_step_continues_from_their_cache(model, way, steps):
    """Prefill with theirs, decode with ours: the same logits, and the same cache afterwards."""
    pair, given = way(model()), ids(BATCH, TOKENS + steps)
    ours = ours_of(pair, tokens=steps, cache={"past": TOKENS})
    with torch.no_grad():
        cache = pair.theirs(input_ids=given[:, :TOKENS], use_cache=True).past_key_values
        past = tuple(past_of(cache, n, pair) for n in range(LAYERS))
        logits, present = ours(x=given[:, TOKENS:], past=past)
        theirs = pair.theirs(input_ids=given[:, TOKENS:], past_key_values=cache)
        whole = pair.theirs(input_ids=given).logits[:, TOKENS:]
    torch.testing.assert_close(logits, whole, **CLOSE)
    torch.testing.assert_close(logits, theirs.logits, **CLOSE)
    for number, mine in enumerate(present):
        expected = past_of(theirs.past_key_values, number, pair)
        kept = expected.k.shape[-2]  # a window keeps fewer than it used in this step
        torch.testing.assert_close(mine.k[..., -kept:, :], expected.k, **CLOSE)
        torch.testing.assert_close(mine.v[..., -kept:, :], expected.v, **CLOSE)


def test_bert_returns_their_states_and_pooled_vector():
    """Post-norm, segments, learned positions, padding."""
    config = hf.BertConfig(
        hidden_size=CHAN, num_attention_heads=HEADS, num_hidden_layers=LAYERS, intermediate_size=WIDE, vocab_size=VOCAB,
        max_position_embeddings=32, attn_implementation="eager",
    )  # fmt: skip
    lengths = (11, 4, 7)
    settings = {
        "block": "encoder", **SIZES,
        "attention": {"qkv": "separate", "qkv_bias": True, "scale_at": "scores"},
        "positions": {"kind": "learned", "max": 32},
        "mask": {"kind": "padding", "lengths": lengths},
        "norm": {"place": "post", "eps": 1e-12},
        "stack": {"vocab": VOCAB, "token_types": 2, "embedding_norm": True, "pooler": True},
    }  # fmt: skip
    pair = Pair(random(hf.BertModel(config)), names.BERT, settings)
    given, types = ids(BATCH, TOKENS), torch.randint(2, (BATCH, TOKENS))
    seen = torch.arange(TOKENS) < torch.tensor(lengths)[:, None]
    with torch.no_grad():
        theirs = pair.theirs(input_ids=given, attention_mask=seen.long(), token_type_ids=types)
        out, pooled = ours_of(pair)(x=given, token_types=types, lengths=torch.tensor(lengths))
    torch.testing.assert_close(out, theirs.last_hidden_state, **CLOSE)
    torch.testing.assert_close(pooled, theirs.pooler_output, **CLOSE)


def test_t5_returns_their_logits():
    """Encoder and decoder, a bias by bucket of distance, cross-attention, a tied and scaled head."""
    config = hf.T5Config(
        d_model=CHAN, d_kv=10, num_heads=HEADS, num_layers=LAYERS, d_ff=WIDE, vocab_size=VOCAB, relative_attention_num_buckets=8,
        relative_attention_max_distance=12, layer_norm_epsilon=1e-4, decoder_start_token_id=0,
    )  # fmt: skip
    settings = {
        "block": "encoder-decoder", **SIZES, "context_tokens": 17, "head_dim": 10,
        "attention": {"qkv": "separate", "qk_scale": "none", "out_bias": False},
        "positions": {"kind": "t5", "buckets": 8, "max_distance": 12},
        "norm": RMS,
        "feed_forward": {"activation": "relu", "bias": False},
        "stack": {"vocab": VOCAB, "head": "vocab", "tied": True, "head_scale": True},
    }  # fmt: skip
    theirs = random(hf.T5ForConditionalGeneration(config))
    pair = Pair(theirs, names.T5, settings)
    source, target = ids(BATCH, 17), ids(BATCH, TOKENS).flip(0)
    with torch.no_grad():
        expected = theirs(input_ids=source, decoder_input_ids=target).logits
        logits = ours_of(pair)(context=source, x=target)
    torch.testing.assert_close(logits, expected, **CLOSE)


def test_vit_returns_their_logits():
    """Patches, class token, learned positions, class head; image higher than wide."""
    config = hf.ViTConfig(
        hidden_size=CHAN, num_attention_heads=HEADS, num_hidden_layers=LAYERS, intermediate_size=WIDE, image_size=(20, 12),
        patch_size=4, num_labels=7, attn_implementation="eager",
    )  # fmt: skip
    settings = {
        "block": "encoder", **{k: v for k, v in SIZES.items() if k != "tokens"},
        "image": {"stem": "patch", "size": "20x12", "patch": 4, "class_token": True},
        "positions": {"kind": "learned"},
        "attention": {"qkv": "separate", "qkv_bias": True},
        "norm": {"eps": 1e-12},
        "stack": {"head": "classes", "classes": 7, "head_bias": True},
    }  # fmt: skip
    pair = Pair(random(hf.ViTForImageClassification(config)), names.VIT, settings)
    image = torch.randn(BATCH, 3, 20, 12)
    with torch.no_grad():
        expected = pair.theirs(pixel_values=image).logits
        torch.testing.assert_close(ours_of(pair)(image), expected, **CLOSE)


@pytest.mark.parametrize("impl", ["eager", "sdpa"])
def test_swin_returns_their_tokens(impl):
    """Windows, their bias by relative place, and in the second layer their shift and its mask."""
    config = hf.SwinConfig(window_size=4, mlp_ratio=1.5, attn_implementation="eager")
    grid, drops = (8, 12), [0.0, 0.0]
    stage = SwinStage(config, CHAN, grid, 2, HEADS, drops, downsample=None)
    settings = {
        "block": "encoder", "batch": BATCH, "chan": CHAN, "heads": HEADS, "layers": 2, "ff_dim": 72,
        "image": {"map": "8x12"},
        "attention": {"kind": "window", "window": 4, "shift": 2, "qkv": "separate", "qkv_bias": True, "impl": impl},
        "positions": {"kind": "swin"},
        "norm": {"final": "none"},
    }  # fmt: skip
    pair = Pair(random(stage), names.SWIN, settings)
    x = torch.randn(BATCH, 96, CHAN)
    with torch.no_grad():
        expected, *_ = pair.theirs(x, grid)
        torch.testing.assert_close(ours_of(pair)(x), expected, **CLOSE)


def test_whisper_returns_their_tokens():
    """A decoder that attends to a context, with biases on q and v and none on k."""
    config = hf.WhisperConfig(
        d_model=CHAN, decoder_attention_heads=HEADS, decoder_ffn_dim=WIDE, attn_implementation="eager"
    )  # fmt: skip
    layers = nn.ModuleList(WhisperDecoderLayer(config, n) for n in range(LAYERS))
    settings = {
        "block": "decoder", **SIZES, "context_tokens": 17,
        "attention": {"qkv": "separate", "q_bias": True, "k_bias": False, "v_bias": True},
        "norm": {"final": "none"},
        "stack": {"cross": True},
    }  # fmt: skip
    pair = Pair(random(layers), names.WHISPER, settings)
    x, context = torch.randn(BATCH, TOKENS, CHAN), torch.randn(BATCH, 17, CHAN)
    hidden = torch.full((TOKENS, TOKENS), float("-inf")).triu(1)
    with torch.no_grad():
        out = ours_of(pair)(x, context=context)
        for layer in layers:
            x = layer(x, attention_mask=hidden, encoder_hidden_states=context)
    torch.testing.assert_close(out, x, **CLOSE)


class Detr(nn.Module):
    """Their layers, called as their DetrEncoder and DetrDecoder call them."""

    def __init__(self, config):
        super().__init__()
        self.encoder, self.decoder = nn.Module(), nn.Module()
        self.encoder.layers = nn.ModuleList(DetrEncoderLayer(config) for _ in range(LAYERS))
        self.decoder.layers = nn.ModuleList(DetrDecoderLayer(config) for _ in range(LAYERS))
        self.decoder.layernorm = nn.LayerNorm(CHAN)

    def forward(self, x, places, queries, mask):
        """Return what every layer of the decoder made, normed, and the memory."""
        for layer in self.encoder.layers:
            x = layer(x, mask, spatial_position_embeddings=places)
        out, made = torch.zeros_like(queries), []
        for layer in self.decoder.layers:
            out = layer(
                out, None, places, queries, encoder_hidden_states=x, encoder_attention_mask=mask
            )  # fmt: skip
            made.append(self.decoder.layernorm(out))
        return torch.stack(made), x


def test_detr_returns_their_states():
    """Queries that start from zeros, sines of the map on q and k and never on v, padding."""
    config = hf.DetrConfig(
        use_timm_backbone=False, backbone_config=hf.ResNetConfig(), d_model=CHAN, encoder_attention_heads=HEADS, decoder_attention_heads=HEADS,
        encoder_ffn_dim=WIDE, decoder_ffn_dim=WIDE, attn_implementation="eager",
    )  # fmt: skip
    lengths = torch.tensor([35, 20, 28])
    settings = {
        "block": "encoder-decoder", **SIZES, "image": {"map": "5x7"},
        "attention": {"qkv_bias": True},
        "positions": {"kind": "sine-2d", "on": "qk"},
        "mask": {"kind": "padding"},
        "norm": {"place": "post", "final": "decoder"},
        "feed_forward": {"activation": "relu"},
        "stack": {"queries": True, "all_layers": True},
    }  # fmt: skip
    pair = Pair(random(Detr(config)), names.DETR, settings)
    image, queries = torch.randn(BATCH, CHAN, 5, 7), torch.randn(TOKENS, CHAN)
    places = DetrSinePositionEmbedding(CHAN // 2, normalize=True)(
        image.shape, image.device, image.dtype
    )
    places = places.flatten(2).transpose(1, 2) if places.dim() == 4 else places
    padding = torch.arange(35) >= lengths[:, None]
    mask = torch.zeros(BATCH, 1, 1, 35).masked_fill(padding[:, None, None], float("-inf"))
    with torch.no_grad():
        out, memory = ours_of(pair)(image, queries=queries, lengths=lengths)
        expected = pair.theirs(
            image.flatten(2).transpose(1, 2), places, queries.expand(BATCH, -1, -1), mask
        )
    torch.testing.assert_close(out, expected[0], **CLOSE)
    torch.testing.assert_close(memory.flatten(2).transpose(1, 2), expected[1], **CLOSE)
