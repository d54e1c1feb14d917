"""A config.json of Hugging Face is a file of settings; torch's keywords are settings."""

from __future__ import annotations

import json

import pytest
import torch
import transformers
from torch import nn

from attntrace import api
from attntrace.errors import SettingsError
from attntrace.spec import load
from attntrace.spec.aliases import aliases
from attntrace.spec.fields import members, sections
from attntrace.spec.shapeless import SHAPELESS

CALLED = (
    "transformers_version, architectures, output_hidden_states, return_dict, "
    "chunk_size_feed_forward, is_encoder_decoder, id2label, label2id, problem_type, "
)
GATED = ["norm.kind=rmsnorm", "positions.kind=rope", "feed_forward.kind=glu", "stack.head=vocab"]
NO_MAX = "max_position_embeddings: max means nothing here; it goes with positions.kind learned"
NO_WINDOW = (
    "sliding_window: window means nothing here; it goes with mask.kind sliding; mask.window 4096 "
    "is left out"
)


def parameters(module):
    return sum(parameter.numel() for parameter in module.parameters())


def on_meta(build, *args, **kwargs):
    """Return the number of parameters of what a function builds, without their memory."""
    with torch.device("meta"):
        return parameters(build(*args, **kwargs))


def ours(loaded):
    return parameters(api.build(loaded.spec))


@pytest.fixture
def write_json(tmp_path, monkeypatch):
    """Return a function that writes `config.json` into the current folder."""
    monkeypatch.chdir(tmp_path)

    def write(settings):
        (tmp_path / "config.json").write_text(json.dumps(settings, indent=2))
        return "config.json"

    return write


LLAMA_3 = transformers.LlamaConfig(
    vocab_size=128256,
    hidden_size=4096,
    intermediate_size=14336,
    num_hidden_layers=32,
    num_attention_heads=32,
    num_key_value_heads=8,
    max_position_embeddings=8192,
    rope_parameters={"rope_type": "default", "rope_theta": 500000.0},
    dtype="bfloat16",
)
LLAMA_LIKE = ("chan", "layers", "heads", "kv_heads", "head_dim", "ff_dim")
MODELS = [
    pytest.param(
        LLAMA_3, transformers.LlamaForCausalLM, GATED, (4096, 32, 32, 8, 128, 14336),
        [
            (f"2:3: {CALLED}initializer_range, use_cache, pad_token_id, bos_token_id, "
             "eos_token_id, pretraining_tp, rope_parameters.rope_type, _name_or_path, model_type "
             "say nothing about a shape; left out"),
            f"25:3 {NO_MAX}; positions.max 8192 is left out",
        ],
        id="Llama 3",
    ),
    pytest.param(
        transformers.MistralConfig(), transformers.MistralForCausalLM,
        [*GATED, "bias=false"], (4096, 32, 32, 8, 128, 14336),
        [
            (f"2:3: {CALLED}initializer_range, use_cache, pad_token_id, bos_token_id, "
             "eos_token_id, rope_parameters.rope_type, _name_or_path, model_type say nothing about "
             "a shape; left out"),
            f"26:3 {NO_MAX}; positions.max 131072 is left out",
            f"38:3 {NO_WINDOW}",
        ],
        id="Mistral",
    ),
    pytest.param(
        transformers.Qwen2Config(num_key_value_heads=8), transformers.Qwen2ForCausalLM,
        [*GATED, "qkv_bias=true", "attention.out_bias=false", "mlp_bias=false"],
        (4096, 32, 32, 8, 128, 22016),
        [
            (f"2:3: {CALLED}initializer_range, use_cache, rope_parameters.rope_type, "
             "use_sliding_window, max_window_layers, layer_types, pad_token_id, bos_token_id, "
             "eos_token_id, _name_or_path, model_type say nothing about a shape; left out"),
            f"25:3 {NO_MAX}; positions.max 32768 is left out",
        ],
        id="Qwen 2",
    ),
    pytest.param(
        transformers.GPT2Config(), transformers.GPT2LMHeadModel,
        ["positions.kind=learned", "stack.head=vocab", "qkv_bias=true"],
        (768, 12, 12, 12, 64, 3072),
        [
            (f"2:3: {CALLED}embd_pdrop, initializer_range, summary_type, summary_use_proj, "
             "summary_activation, summary_proj_to_labels, summary_first_dropout, use_cache, "
             "bos_token_id, eos_token_id, pad_token_id, scale_attn_by_inverse_layer_idx, "
             "reorder_and_upcast_attn, _name_or_path, model_type say nothing about a shape; "
             "left out"),
        ],
        id="GPT-2",
    ),
    pytest.param(
        transformers.BertConfig(), transformers.BertModel,
        ["block=encoder", "positions.kind=learned", "norm.place=post", "qkv_bias=true",
         "stack.embedding_norm=true", "stack.pooler=true"],
        (768, 12, 12, 12, 64, 3072),
        [
            (f"2:3: {CALLED}initializer_range, pad_token_id, use_cache, classifier_dropout, "
             "is_decoder, bos_token_id, eos_token_id, _name_or_path, model_type say nothing about "
             "a shape; left out"),
            ("37:3 tie_word_embeddings: tied means nothing here; it goes with stack.head vocab; "
             "stack.tied true is left out"),
        ],
        id="BERT",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("config", "model", "sets", "sizes", "notes"), MODELS)
def test_a_config_json_is_a_file_of_settings(config, model, sets, sizes, notes, write_json):
    """A config and what it does not say make a block of its sizes, with all its parameters."""
    file = write_json(config.to_dict())
    block = [] if "block=encoder" in sets else ["block=decoder"]
    loaded = load(file, sets=[*block, *sets, "run.device=meta"])
    assert tuple(getattr(loaded.spec, name) for name in LLAMA_LIKE) == sizes
    assert list(loaded.notes) == [f"config.json:{note}" for note in notes]
    assert ours(loaded) == on_meta(model, config)


@pytest.mark.parametrize(("config", "model", "sets", "sizes", "notes"), MODELS)
@pytest.mark.parametrize("block", ["attention", "encoder", "decoder"])
def test_a_config_alone_is_a_block(block, config, model, sets, sizes, notes, write_json):
    """Given nothing but the block, in a file or in Python, a config loads."""
    from_file = load(write_json(config.to_dict()), flags={"block": block})
    assert from_file.spec == load(**{**config.to_dict(), "block": block}).spec
    assert (from_file.spec.chan, from_file.spec.heads) == (sizes[0], sizes[2])


def test_what_is_in_a_config_reaches_the_run(write_json):
    """Llama 3's config says its dtype, its theta inside rope_parameters, and its eps."""
    sets = ["block=decoder", *GATED]
    spec = load(write_json(LLAMA_3.to_dict()), sets=sets).spec
    assert (spec.run.dtype, spec.positions.theta, spec.norm.eps) == ("bfloat16", 500000.0, 1e-6)


def test_rope_scaling_is_noted():
    """What rope_scaling does is no shape; a theta or a share of features in it counts."""
    scaling = {"rope_type": "llama3", "factor": 8.0, "rope_theta": 5e5}
    loaded = load(positions={"kind": "rope"}, rope_scaling=scaling)
    assert loaded.spec.positions.theta == 5e5
    assert loaded.notes == (
        (
            "rope_scaling.rope_type='llama3': rope_scaling.rope_type, rope_scaling.factor say "
            "nothing about a shape; left out"
        ),
    )
    part = {"rope_type": "default", "partial_rotary_factor": 0.25}
    assert load(positions={"kind": "rope"}, rope_parameters=part).spec.rotary_dim == 16


def test_one_key_says_nothing():
    """A single key has its note, wherever it was given."""
    assert load(sets=["use_cache=true"]).notes == (
        "--set use_cache=true: use_cache says nothing about a shape; left out",
    )


def test_no_key_without_a_shape_is_one_of_ours():
    """What is left out unread is neither a setting nor another name of one."""
    names = {field.name for field in members("")} | set(sections()) | aliases().keys()
    assert not names & SHAPELESS


def test_batch_first():
    """torch's batch_first is true here, and false is refused with what it would do."""
    assert load(batch_first=True).notes == (
        "batch_first=True: batch_first says nothing about a shape; left out",
    )
    with pytest.raises(SettingsError) as caught:
        load(batch_first=False)
    assert str(caught.value) == (
        "batch_first=False: attntrace's inputs have the batch first; a sequence-first input would "
        "attend over the batch; leave batch_first out, or set it to true"
    )


@pytest.mark.parametrize("bias", [False, True])
def test_attention_bias_is_of_all_four_projections(bias):
    """Llama's attention_bias is of q, k, v and of the output."""
    config = transformers.LlamaConfig(
        vocab_size=101,
        hidden_size=48,
        intermediate_size=80,
        num_hidden_layers=2,
        num_attention_heads=6,
        num_key_value_heads=3,
        head_dim=None,
        attention_bias=bias,
    )
    loaded = load(**{**config.to_dict(), "block": "decoder"}, **dict(s.split("=") for s in GATED))
    assert ours(loaded) == on_meta(transformers.LlamaForCausalLM, config)


@pytest.mark.parametrize("bias", [False, True])
def test_bias_is_of_the_whole_layer(bias):
    """The bias of nn.TransformerEncoderLayer is of attention, feed-forward and norms."""
    asked = {"d_model": 48, "nhead": 6, "dim_feedforward": 80, "bias": bias}
    loaded = load(block="encoder", **asked, norm_first=True, norm={"final": "none"})
    assert loaded.notes == ()
    assert ours(loaded) == on_meta(nn.TransformerEncoderLayer, **asked)


@pytest.mark.parametrize("bias", [False, True])
def test_bias_is_of_the_attention_layer(bias):
    """The bias of nn.MultiheadAttention is of its projections."""
    loaded = load(embed_dim=48, num_heads=6, bias=bias, attention={"impl": "torch"})
    assert loaded.notes == ()
    assert ours(loaded) == on_meta(nn.MultiheadAttention, 48, 6, bias=bias)
