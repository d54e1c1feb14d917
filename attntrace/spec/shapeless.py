"""Keys of other projects' configs that say nothing about a shape: they are left out, with a note."""

from __future__ import annotations

from dataclasses import replace

from attntrace.errors import Problem
from attntrace.spec.document import Setting

SHAPELESS = frozenset(
    (
        # what the file is
        "_name_or_path", "architectures", "auto_map", "model_type", "transformers_version",
        "torchscript", "prefix", "finetuning_task", "task_specific_params", "problem_type",
        "id2label", "label2id", "tokenizer_class",
        # tokens
        "bos_token_id", "eos_token_id", "pad_token_id", "sep_token_id", "cls_token_id",
        "decoder_start_token_id", "forced_bos_token_id", "forced_eos_token_id",
        # how the model is called
        "return_dict", "use_return_dict", "output_hidden_states", "output_router_logits",
        "use_cache", "is_decoder", "is_encoder_decoder", "tie_encoder_decoder",
        "cross_attention_hidden_size", "pruned_heads", "chunk_size_feed_forward",
        "gradient_checkpointing", "pretraining_tp", "tf_legacy_loss", "use_bfloat16",
        "quantization_config", "reorder_and_upcast_attn",
        # how it is initialised and trained
        "initializer_range", "initializer_factor", "init_std", "router_aux_loss_coef",
        "router_jitter_noise", "embd_pdrop", "classifier_dropout", "encoder_layerdrop",
        "decoder_layerdrop", "layerdrop", "summary_type", "summary_use_proj", "summary_activation",
        "summary_proj_to_labels", "summary_first_dropout",
        # what changes numbers alone
        "rope_parameters", "rope_scaling", "scale_attn_by_inverse_layer_idx", "use_sliding_window",
        "max_window_layers", "layer_types",
        # true here
        "batch_first",
    )
)  # fmt: skip
"""Keys at the top level, whatever they are set to."""

ROPE = ("rope_parameters", "rope_scaling")
"""Sections of rope: what they have that is ours is read as if it stood at the top level."""
_IN_ROPE = ("rope_theta", "partial_rotary_factor")

SEQUENCE_FIRST = (
    "attntrace's inputs have the batch first; a sequence-first input would attend over the batch; "
    "leave batch_first out, or set it to true"
)


def without_shapeless(layer: list[Setting]) -> tuple[list[Setting], list[Problem], list[str]]:
    """Return one source's settings that may decide a shape, what is wrong with the others, a note."""
    kept: list[Setting] = []
    others: list[Setting] = []
    for given in layer:
        setting = _out_of_rope(given)
        (others if setting.path.partition(".")[0] in SHAPELESS else kept).append(setting)
    problems = [
        Problem(setting.path, SEQUENCE_FIRST, setting.where)
        for setting in others
        if setting.path == "batch_first" and setting.value is False
    ]
    return kept, problems, _note(others)


def _out_of_rope(setting: Setting) -> Setting:
    section, _, name = setting.path.partition(".")
    return replace(setting, path=name) if section in ROPE and name in _IN_ROPE else setting


def _note(others: list[Setting]) -> list[str]:
    """Return one note for all of them, placed at the first."""
    names = list(dict.fromkeys(_name(setting.path) for setting in others))
    if not names:
        return []
    says = "says" if len(names) == 1 else "say"
    return [f"{others[0].where}: {', '.join(names)} {says} nothing about a shape; left out"]


def _name(path: str) -> str:
    """Return a key as a note has it: of rope's sections each setting, as some of them are taken."""
    section = path.partition(".")[0]
    return path if section in ROPE else section
