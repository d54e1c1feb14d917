"""The JSON Schema accepts what YAML accepts, as far as a schema can say."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import pytest

from attntrace.errors import SettingsError
from attntrace.spec import load
from attntrace.spec.aliases import aliases
from attntrace.spec.document import parse_value
from attntrace.spec.fields import fields, members, sections
from attntrace.spec.schema import schema

ROOT = Path(__file__).parents[2]
CONFIGS = sorted((ROOT / "configs").glob("*.yaml"))
VALIDATOR = jsonschema.Draft7Validator(schema())
NOT_IN_DRAFT_7 = {
    "prefixItems",
    "$defs",
    "dependentRequired",
    "unevaluatedProperties",
    "minContains",
}


def keywords(node):
    """Yield every key of a schema, at any depth."""
    if isinstance(node, dict):
        for key, inner in node.items():
            yield key
            yield from keywords(inner)
    elif isinstance(node, list):
        for inner in node:
            yield from keywords(inner)


def loads(document, folder):
    """Whether the loader finds no fault with single settings; rules between them apart."""
    file = folder / "block.yaml"
    file.write_text(json.dumps(document), encoding="utf-8")  # JSON is YAML
    try:
        load(file)
    except SettingsError as error:
        return not any(
            (" got " in p.message and " must be " in p.message)
            or "unknown key" in p.message
            or "is a section" in p.message
            or p.path.startswith("expect")
            for p in error.problems
        )
    return True


def test_it_is_a_schema_of_draft_7():
    """The schema is one, says which draft, survives JSON, and has no keyword of a later draft."""
    jsonschema.Draft7Validator.check_schema(schema())
    assert schema()["$schema"] == "http://json-schema.org/draft-07/schema#"
    assert json.loads(json.dumps(schema())) == schema()
    assert not set(keywords(schema())) & NOT_IN_DRAFT_7


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_every_config_is_valid(path):
    """Each file in configs/ is what the schema describes."""
    VALIDATOR.validate(parse_value(path.read_text(encoding="utf-8")))


def test_every_setting_and_alias_is_described():
    """Each setting, and each alias at both its places, has a description."""
    whole = schema()
    for section in ("", *sections()):
        where = whole["definitions"][section] if section else whole
        assert {f.name for f in members(section)} <= where["properties"].keys()
        assert all(known["description"] for known in where["properties"].values())
    for alias in aliases().values():
        assert alias.name in whole["properties"]
        section = fields()[alias.path].section
        assert not section or alias.name in whole["definitions"][section]["properties"]


def test_every_default_is_valid():
    """A default that a setting has by itself is a value that the schema takes."""
    for field in fields().values():
        if field.derived:
            continue
        value = list(field.default) if isinstance(field.default, tuple) else field.default
        inner = {field.name: value}
        VALIDATOR.validate({field.section: inner} if field.section else inner)


GOOD = [
    {},
    {"attention": None},
    {"mask": {"kind": "causal"}},
    {"mask": {"kind": "causal, sliding", "window": 3}},
    {"mask": {"kind": ["causal", "padding"]}},
    {"mask": {"kind": "none"}},
    {"mask": {"kind": []}},
    {"mask": {"window": None, "lengths": None}},
    {"mask": {"lengths": [3, 4]}},
    {"mask": {"fill": -1e4}},
    {"image": {"map": "8x12"}},
    {"image": {"map": [8, 12]}},
    {"attention": {"qk_scale": 0}},
    {"attention": {"qk_scale": "none"}},
    {"attention.impl": "sdpa"},
    {"positions.rope_theta": 5e5},
    {"hidden_size": 64},
    {"num_key_value_heads": None},
    {"heads": None, "attention": {"impl": None, "qk_scale": None}},
    {"image": {"map": 8, "size": 32}},
    {"kv_lora_rank": 8, "dtype": "half"},
    {
        "architectures": ["LlamaForCausalLM"],
        "rope_parameters": {"rope_theta": 5e5},
        "use_cache": True,
    },
    {"block": "encoder", "bias": False},
    {"block": "encoder", "hidden_act": "gelu_new"},
    {"norm_first": True},
    {"query_pre_attn_scalar": 256},
    {"norm": {"parallel_norms": 1}},
    {"run": {"device": "cuda:1", "seed": 0}},
    {"expect": None},
    {"expect": {"q": ["batch", "heads", 4, "_", "..."], "y@view": "batch tokens chan", "loss": []}},
    {"expect": {"stack": {"layers.*.k": ["batch", "3*chan"]}, "tensors": {"dtype": [3]}}},
    {"expect": {"dtype": {"q": "float32", "k": "torch.half", "stack": {"v": "bf16"}}}},
    {"expect": {"peak_memory": "<= 1.5 MiB", "saved_for_backward": 0, "flops": "> 1_000"}},
    {"expect": {"parameters": "13,568", "kernel": "flash (cpu)", "warnings": "none"}},
    {"expect": {"kernel": ["flash", "math"], "warnings": []}},
    {"expect.q": ["batch"], "expect.dtype.q": "half", "expect.parameters": 3},
]
BAD = [
    {"hedas": 4},
    {"heads": 0},
    {"heads": "4"},
    {"heads": True},
    {"attention": {"impl": "flash"}},
    {"attention": {"skipp": "none"}},
    {"attention": 4},
    {"attention.skipp": "none"},
    {"attention": {"dropout": 1}},
    {"attention": {"qk_scale": "heads"}},
    {"attention": {"qkv_bias": "off"}},
    {"mask": {"kind": "foo"}},
    {"mask": {"kind": "causal,"}},
    {"mask": {"kind": ["causal", "auto"]}},
    {"mask": {"lengths": [0]}},
    {"mask": {"lengths": []}},
    {"image": {"size": "224"}},
    {"image": {"size": "3x224x224"}},
    {"image": {"size": 0}},
    {"kv_lora_rank": 0},
    {"bias": "no"},
    {"image": {"size": [224]}},
    {"image": {"size": "0x4"}},
    {"image": {"kernels": []}},
    {"positions": {"fraction": 0}},
    {"feed_forward": {"activation": "gelu_new"}},
    {"feed_forward": {"ratio": 0}},
    {"norm": {"parallel_norms": 3}},
    {"norm_first": "yes"},
    {"query_pre_attn_scalar": 0},
    {"positions": {"hidden_size": 4}},
    {"run": {"device": "tpu"}},
    {"run": {"seed": 2**63}},
    {"batch": 2**41},
    {"expect": 3},
    {"expect": {"q": 3}},
    {"expect": {"q": [-1]}},
    {"expect": {"q": [[3]]}},
    {"expect": {"stack": {"q": 0.5}}},
    {"expect": {"dtype": "float32"}},
    {"expect": {"dtype": {"q": "flot32"}}},
    {"expect": {"peak_memory": "6 mib"}},
    {"expect": {"peak_memory": -3}},
    {"expect": {"parameters": "<= 6 MiB"}},
    {"expect": {"parameters": {"q": 3}}},
    {"expect": {"kernel": "flsh"}},
    {"expect": {"kernel": []}},
    {"expect": {"warnings": "some"}},
    {"expect.dtype.q": 3},
    {"expect.parameters": "many"},
    {"expect.q": 3},
]


@pytest.mark.parametrize("document", GOOD, ids=str)
def test_what_the_loader_takes_is_valid(document, tmp_path):
    """A document that the loader takes is valid."""
    assert loads(document, tmp_path)
    VALIDATOR.validate(document)


@pytest.mark.parametrize("document", BAD, ids=str)
def test_what_the_loader_refuses_is_not(document, tmp_path):
    """A document with a setting that the loader refuses is not valid."""
    assert not loads(document, tmp_path)
    assert not VALIDATOR.is_valid(document)


OF_TARGETS = [
    {"target": "model.py:Net"},
    {"target": "hf:config.json", "init": {"num_hidden_layers": 2}, "run": {"device": "meta"}},
    {
        "target": "model.py:Net",
        "init": None,
        "inputs": {"x": ["batch", 16], "mask": {"shape": [2, 8], "dtype": "bool"}, "n": 5},
        "sizes": {"batch": 3},
        "run": {"mode": "train", "grad": True},
    },
    {"target": "model.py:Net", "inputs": ["2,16", [2, 16]], "torch_dtype": "float64"},
    {"target": "a.b:Net", "expect": {"y": ["batch", "any_word"]}, "expect.parameters": 3},
    {"target": "a.b:Net", "init.dim": 16, "inputs.x": "2,16", "sizes.n": 3, "run.seed": 3},
]
NO_TARGETS = [
    {"init": {"dim": 16}},
    {"inputs.x": "2,16"},
    {"target": 3},
    {"target": "model.py:Net", "heads": 4},
    {"target": "model.py:Net", "attention": {"impl": "sdpa"}},
    {"target": "model.py:Net", "input": {"x": "2,16"}},
    {"target": "model.py:Net", "init": [16]},
    {"target": "model.py:Net", "sizes": {"batch": 0}},
    {"target": "model.py:Net", "run": {"device": "gpu"}},
]


@pytest.mark.parametrize("document", OF_TARGETS, ids=str)
def test_a_file_with_a_target_is_valid(document):
    """No key of a file with a target of the user's own is underlined in an editor."""
    VALIDATOR.validate(document)


@pytest.mark.parametrize("document", NO_TARGETS, ids=str)
def test_what_only_a_target_or_only_a_block_has_is_not_valid_elsewhere(document):
    """A block has no inputs, code of the user's own no heads, and a size is a whole number."""
    assert not VALIDATOR.is_valid(document)
