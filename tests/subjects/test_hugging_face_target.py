"""`hf:PATH`: a model from its config.json, with random weights and inputs that fit it."""

from __future__ import annotations

import json
import re
import socket
import sys

import pytest
import torch
import transformers

import attntrace
from attntrace.errors import BuildError, SettingsError
from attntrace.subjects import hugging_face
from attntrace.subjects.hugging_face_inputs import inputs_of
from tests.transformers.models import TINY, model_of, settings_of


@pytest.fixture
def config_of(tmp_path):
    """Return a function that writes a config.json and returns its path."""

    def write(settings):
        file = tmp_path / "config.json"
        file.write_text(settings if isinstance(settings, str) else json.dumps(settings))
        return str(file)

    return write


@pytest.fixture
def no_network(monkeypatch):
    """Let every connection fail."""

    def refuse(*_):
        raise AssertionError("a connection was tried")

    monkeypatch.setattr(socket.socket, "connect", refuse)


@pytest.mark.parametrize("name", TINY)
def test_a_config_becomes_its_model_and_inputs(name, config_of, no_network):
    """The class that it names, with as many parameters, and a forward that runs on what is made."""
    model, args, kwargs = hugging_face.recipe(config_of(settings_of(name)))
    assert type(model).__name__ == TINY[name][0]
    assert not model.training
    count = sum(p.numel() for p in model.parameters())
    assert count == sum(p.numel() for p in model_of(name).parameters())
    with torch.no_grad():
        assert model(*args, **kwargs) is not None
    assert args == ()


def test_a_folder_and_a_config_that_transformers_wrote(tmp_path):
    """A folder of a saved model is read for its config alone."""
    model_of("llama").config.save_pretrained(tmp_path)
    (tmp_path / "model.safetensors").write_text("not read")
    model, _, kwargs = hugging_face.recipe(str(tmp_path))
    assert kwargs["input_ids"].shape == (2, 16)
    assert type(model).__name__ == "LlamaModel"  # config.save_pretrained names no class


def test_attention_is_eager_unless_something_is_chosen(config_of):
    """By init before the config, and the config before the default."""
    plain, chosen = settings_of("llama"), {**settings_of("llama"), "attn_implementation": "sdpa"}

    def used(settings, **init):
        return hugging_face.recipe(config_of(settings), init)[0].config._attn_implementation

    assert used(plain) == "eager"
    assert used(chosen) == "sdpa"
    assert used(plain, attn_implementation="sdpa") == "sdpa"
    assert used(chosen, attn_implementation="eager") == "eager"


def test_init_replaces_fields_also_of_a_part(config_of):
    """Flat names, dotted names, nested ones, and the names that a family has of its own."""
    clip = config_of(settings_of("clip"))
    init = {
        "projection_dim": 28,
        "vision_config.num_hidden_layers": 1,
        "text_config": {"num_hidden_layers": 3},
    }
    model, _, _ = hugging_face.recipe(clip, init)
    assert len(model.vision_model.encoder.layers) == 1
    assert len(model.text_model.encoder.layers) == 3
    assert model.config.projection_dim == 28
    model, _, _ = hugging_face.recipe(config_of(settings_of("gpt2")), {"num_hidden_layers": 3})
    assert len(model.transformer.h) == 3


def test_without_architectures_the_bare_model_is_built(config_of):
    """`model_type` alone is enough."""
    settings = {key: value for key, value in settings_of("bert").items() if key != "architectures"}
    assert type(hugging_face.recipe(config_of(settings))[0]).__name__ == "BertModel"


def test_on_meta_nothing_is_allocated(config_of):
    """A model of 8 billion parameters is built, and its inputs are on meta, too."""
    with torch.device("meta"):
        model, _, kwargs = hugging_face.recipe(config_of({"model_type": "llama"}))
    assert {p.device.type for p in model.parameters()} == {"meta"}
    assert {tensor.device.type for tensor in kwargs.values()} == {"meta"}
    with torch.no_grad():
        assert model(**kwargs).last_hidden_state.shape == (2, 16, 4096)


def test_numbers_have_the_dtype_of_the_config(config_of):
    """A config in bfloat16 makes weights and images in bfloat16; ids stay whole."""
    model, _, kwargs = hugging_face.recipe(config_of({**settings_of("clip"), "dtype": "bfloat16"}))
    assert model.dtype is kwargs["pixel_values"].dtype is torch.bfloat16
    assert kwargs["input_ids"].dtype is torch.int64


def test_inputs_leave_the_random_state_alone(config_of):
    """Inputs come from a generator of their own, the same in every run."""
    model = model_of("clip")
    before = torch.get_rng_state()
    first, second = (inputs_of(model) for _ in range(2))
    assert torch.equal(torch.get_rng_state(), before)
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_a_traced_model_shows_its_inputs(config_of):
    """The recipe is what `attntrace.trace` takes."""
    model, args, kwargs = hugging_face.recipe(config_of(settings_of("whisper")))
    with torch.no_grad():
        trace = attntrace.trace(model, *args, **kwargs)
    assert [(r.name, r.shape) for r in trace.tensors if r.kind == "input"] == [
        ("input_features", (2, 10, 30)),
        ("decoder_input_ids", (2, 16)),
    ]


LLAMA = settings_of("llama")
REFUSED = {
    "no model type": ({"hidden_size": 48}, "model_type is missing, so that nothing tells what model it is"),
    "unknown model type": (
        {"model_type": "lama"},
        "unknown model_type 'lama'; did you mean 'llama'?",
    ),
    "unknown class": (
        {**LLAMA, "architectures": ["LlamaForCausalLm"]},
        "unknown architectures 'LlamaForCausalLm'; did you mean 'LlamaForCausalLM'?",
    ),
    "a wrong type": (
        {**LLAMA, "hidden_size": "wide"},
        "LlamaConfig refuses it: Validation error for field 'hidden_size': TypeError: Field 'hidden_size' expected int, got str (value: 'wide')",
    ),
    "sizes that do not go together": (
        {**LLAMA, "hidden_size": 49},
        "LlamaConfig refuses it: Class validation error for validator 'validate_architecture': ValueError: The hidden size (49) is not a multiple of the number of attention heads (6).",
    ),
    "no bare model": (
        {"model_type": "encoder-decoder"},
        "transformers has no bare encoder-decoder model; name a class in architectures",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("settings", "message"), REFUSED.values(), ids=REFUSED)
def test_a_config_that_describes_no_model_is_refused(settings, message, config_of):
    """The path, what is wrong, and what was probably meant."""
    path = config_of(settings)
    with pytest.raises(SettingsError, match=f"^{re.escape(f'hf:{path}: {message}')}"):
        hugging_face.recipe(path)


@pytest.mark.parametrize(
    ("init", "message"),
    [
        ({"num_layers": 2}, "unknown field 'num_layers'; did you mean 'vision_config.num_hidden_layers'?"),
        ({"projection": 2}, "unknown field 'projection'; did you mean 'projection_dim'?"),
        ({"xyz": 2}, "unknown field 'xyz'"),
        ({"vision_config.patchsize": 4}, "unknown field 'vision_config.patchsize'; did you mean 'vision_config.patch_size'?"),
        ({"attn_implementation": 3}, "attn_implementation takes a name such as eager or sdpa, got 3"),
    ],
)  # fmt: skip
def test_an_unknown_field_is_refused(init, message, config_of):
    """A field that the config does not have, with the one that was meant."""
    path = config_of(settings_of("clip"))
    with pytest.raises(SettingsError) as refused:
        hugging_face.recipe(path, init)
    assert str(refused.value) == f"hf:{path}: {message}"


def test_what_cannot_be_read_is_refused(config_of, tmp_path):
    """No file, a folder without one, no JSON, JSON that is no object."""
    (tmp_path / "empty").mkdir()
    texts = {f"{tmp_path}/none": None, f"{tmp_path}/empty": None, "{": "{", "[]": "[]"}
    found = []
    for path, text in texts.items():
        with pytest.raises(SettingsError) as refused:
            hugging_face.recipe(path if text is None else config_of(text))
        found.append(str(refused.value).replace(str(tmp_path), ""))
    wanted = "give a config.json, or a folder that holds one; nothing is downloaded"
    assert found == [
        f"hf:/none: /none: No such file or directory; {wanted}",
        f"hf:/empty: /empty/config.json: No such file or directory; {wanted}",
        "hf:/config.json: /config.json is not JSON: Expecting property name enclosed in double quotes: line 1 column 2 (char 1)",
        "hf:/config.json: /config.json is no config: a JSON object was expected",
    ]


def test_what_transformers_cannot_build_is_a_build_error(config_of):
    """An attention that a model does not have."""
    path = config_of(settings_of("deberta-v2"))
    with pytest.raises(BuildError, match=f"^hf:{path}: DebertaV2Model: DebertaV2Model does not"):
        hugging_face.recipe(path, {"attn_implementation": "sdpa"})


def test_without_transformers_the_message_says_what_to_install(monkeypatch):
    """The extra is optional."""
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(SettingsError) as caught:
        hugging_face.recipe("config.json")
    assert str(caught.value) == "hf: needs transformers: pip install 'attntrace[transformers]'"


def test_the_oldest_version_is_that_of_the_extra():
    """What is tested is what the extra asks for."""
    assert int(transformers.__version__.split(".")[0]) >= 5
