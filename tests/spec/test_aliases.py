"""Names of other projects: what they stand for, and what is said where they do not fit."""

from __future__ import annotations

from collections import Counter

import pytest

from attntrace.errors import SettingsError
from attntrace.spec import load
from attntrace.spec.aliases import BARE, COMPUTED, REFUSED, SWITCHES, WORDS, aliases, names_of
from attntrace.spec.fields import fields, members, sections


def problems_of(*args, **given):
    with pytest.raises(SettingsError) as caught:
        load(*args, **given)
    return str(caught.value).splitlines()


def value(spec, path):
    """Return the setting at a dotted path."""
    for name in path.split("."):
        spec = getattr(spec, name)
    return spec


def test_every_alias_has_one_meaning():
    """No name is the alias of two settings, or both a switch and an alias."""
    names = [name for field in fields().values() for name in field.aliases]
    counted = Counter([*names, *SWITCHES, *COMPUTED])
    assert [name for name, times in counted.items() if times > 1] == []
    assert aliases().keys() == counted.keys()


def test_no_alias_shadows_a_setting():
    """Neither at the top level nor in its section is an alias the name of a setting."""
    top = {field.name for field in members("")} | set(sections())
    for alias in aliases().values():
        section = fields()[alias.path].section
        here = {field.name for field in members(section)} if section else set()
        assert alias.name not in top | here, alias


def test_the_tables_speak_of_settings_that_there_are():
    """Every path and value in the tables of translations is one of ours."""
    assert WORDS.keys() <= fields().keys()
    for path, words in WORDS.items():
        assert set(words.values()) <= set(fields()[path].kind.choices), path
    for switch in SWITCHES.values():
        for meaning in switch.values():
            for path, meant in meaning.items():
                choices = fields()[path].kind.choices
                assert meant in (*choices, "none") or not choices, path
    assert {name for name, _ in REFUSED} <= aliases().keys()
    assert set(BARE.values()) <= fields().keys()


def test_a_name_of_our_own_without_its_section_means_one_setting():
    """What may stand at the top level under our own name is neither an alias nor ambiguous."""
    for name, path in BARE.items():
        assert [field.path for field in fields().values() if field.name == name] == [path]
        assert name not in aliases()


@pytest.mark.parametrize(
    ("given", "path", "expected"),
    [
        ({"hidden_size": 768}, "chan", 768),
        ({"num_attention_heads": 4}, "heads", 4),
        ({"seq_len": 77}, "tokens", 77),
        ({"nhead": 8, "num_key_value_heads": 2}, "kv_heads", 2),
        ({"attention_bias": True}, "attention.qkv_bias", True),
        ({"attention_bias": False}, "attention.qkv_bias", False),
        ({"attention_bias": False}, "attention.out_bias", False),
        ({"attention_bias": True, "attention": {"impl": "torch"}}, "attention.out_bias", True),
        ({"bias": True}, "attention.qkv_bias", True),
        ({"bias": False}, "attention.out_bias", False),
        ({"block": "encoder", "bias": False}, "feed_forward.bias", False),
        ({"block": "encoder", "bias": False}, "norm.bias", False),
        ({"block": "encoder", "mlp_bias": False}, "feed_forward.bias", False),
        ({"block": "encoder", "mlp_bias": False}, "norm.bias", True),
        ({"attention": {"bias": True}}, "attention.qkv_bias", True),
        ({"block": "encoder", "attention": {"bias": False}}, "attention.out_bias", False),
        ({"block": "encoder", "attention": {"bias": False}}, "feed_forward.bias", True),
        ({"qkv_bias": True}, "attention.qkv_bias", True),
        ({"block": "encoder", "activation": "gelu_new"}, "feed_forward.activation", "gelu-tanh"),
        ({"block": "encoder-decoder", "context_tokens": 7, "encoder_layers": 3}, "stack.encoder_layers", 3),
        ({"block": "encoder-decoder", "context_tokens": 7, "decoder_layers": 2}, "stack.decoder_layers", 2),
        ({"dtype": "bfloat16"}, "run.dtype", "bfloat16"),
        ({"torch_dtype": "half"}, "run.dtype", "float16"),
        ({"rope_theta": 500000, "positions": {"kind": "rope"}}, "positions.theta", 500000.0),
        ({"positions": {"kind": "rope", "rope_theta": 5e5}}, "positions.theta", 5e5),
        ({"block": "encoder", "hidden_act": "gelu_new"}, "feed_forward.activation", "gelu-tanh"),
        ({"block": "encoder", "hidden_act": "relu"}, "feed_forward.activation", "relu"),
        ({"block": "encoder", "activation_function": "swish"}, "feed_forward.activation", "silu"),
        ({"block": "encoder", "hidden_act": "quick_gelu"}, "feed_forward.activation", "quick-gelu"),
        ({"block": "encoder", "hidden_act": "gelu_pytorch_tanh"}, "feed_forward.activation", "gelu-tanh"),
        ({"heads": 4, "multi_query": True}, "kv_heads", 1),
        ({"heads": 4, "multi_query": False}, "kv_heads", 4),
        ({"block": "encoder", "parallel_attn": True}, "norm.place", "parallel"),
        ({"block": "encoder", "use_parallel_residual": True}, "norm.parallel_norms", 2),
        ({"block": "encoder", "norm_first": True}, "norm.place", "pre"),
        ({"block": "encoder", "normalize_before": False}, "norm.place", "post"),
        ({"block": "encoder", "norm": {"do_layer_norm_before": False}}, "norm.place", "post"),
        ({"is_causal": True}, "mask.kind", ("causal",)),
        ({"block": "decoder", "is_causal": False}, "mask.kind", ()),
        ({"query_pre_attn_scalar": 256}, "attention.qk_scale", 1 / 16),
        ({"query_pre_attn_scalar": None}, "attention.qk_scale", "head"),
        ({"scale_attn_weights": False}, "attention.qk_scale", "none"),
        ({"positions": {"kind": "rope"}, "rope_interleave": True}, "positions.style", "interleaved"),
        ({"attn_implementation": "sdpa"}, "attention.impl", "sdpa"),
        ({"position_embedding_type": "absolute"}, "positions.kind", "learned"),
        ({"block": "encoder", "feed_forward_proj": "gated-gelu"}, "feed_forward.kind", "glu"),
        ({"block": "patch-embed", "image_size": 32}, "image.size", (32, 32)),
        ({"block": "patch-embed", "image": {"size": 32}}, "image.size", (32, 32)),
        ({"block": "patch-embed", "img_size": "32x64"}, "image.size", (32, 64)),
        ({"block": "encoder", "n_inner": None}, "ff_dim", 256),
        ({"num_key_value_heads": None, "heads": 4}, "kv_heads", 4),
        ({"sliding_window": None}, "mask.window", None),
        ({"torch_dtype": "torch.bfloat16"}, "run.dtype", "bfloat16"),
    ],
)  # fmt: skip
def test_a_name_of_another_project(given, path, expected):
    """Names and values of other projects' configs are taken for ours."""
    assert value(load(**given).spec, path) == expected


def test_a_file_a_set_and_a_flag_may_use_them(write_yaml):
    """Other names work in a file, in `--set` and where a flag's path stands."""
    spec = load(
        write_yaml("hidden_size: 96\npositions:\n  kind: rope\n  rope_theta: 1e6\n"),
        sets=["positions.partial_rotary_factor=0.5", "batch_size=3"],
        flags={"num_attention_heads": "4"},
    ).spec
    assert (spec.chan, spec.heads, spec.batch) == (96, 4, 3)
    assert (spec.positions.theta, spec.rotary_dim) == (1e6, 12)


@pytest.mark.parametrize("name", sorted(aliases()))
def test_every_alias_is_a_name_of_its_settings(name):
    """What `attntrace fields` lists beside a setting is what is taken for it."""
    alias = aliases()[name]
    assert all(name in names_of(path) for path in alias.paths)
    assert alias.scopes[0] == name


def test_a_stronger_layer_wins_by_whatever_name(write_yaml):
    """A flag under our name overrides a file's alias, and an alias in `--set` our name there."""
    file = write_yaml("hidden_size: 60\nheads: 2\n")
    spec = load(file, sets=["num_heads=3"], flags={"chan": "96"}).spec
    assert (spec.chan, spec.heads) == (96, 3)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "hidden_size: 64\nchan: 96",
            "2:1: chan is given twice, as hidden_size (block.yaml:1:1 hidden_size) and as chan; leave one out",
        ),
        (
            "n_embd: 64\nd_model: 96",
            "2:1 d_model: chan is given twice, as n_embd (block.yaml:1:1 n_embd) and as d_model; leave one out",
        ),
        (
            "attention: {impl: sdpa}\nattention.impl: eager",
            "2:1: attention.impl is given twice, as attention.impl (block.yaml:1:13) and as attention.impl; leave one out",
        ),
        (
            "mask: {kind: padding}\nis_causal: true",
            "2:1 is_causal: mask.kind is given twice, as mask.kind (block.yaml:1:8) and as is_causal; leave one out",
        ),
    ],
)
def test_two_names_for_one_setting(text, message, write_yaml):
    """A setting that a file gives under two names is a problem that names both places."""
    assert problems_of(write_yaml(text)) == [f"block.yaml:{message}"]


def test_two_names_with_one_value_are_no_contradiction(write_yaml):
    """GPT-2's config says n_positions and n_ctx, nn.MultiheadAttention kdim and vdim."""
    text = "positions: {kind: learned}\nn_positions: 128\nn_ctx: 128\n"
    assert load(write_yaml(text)).spec.positions.max == 128


def test_two_names_in_python_and_in_sets():
    """So it is for keywords, and for `--set`, where only the same name may come again."""
    assert problems_of(chan=96, hidden_size=64) == [
        "hidden_size=64: chan is given twice, as chan (chan=96) and as hidden_size; leave one out"
    ]
    assert problems_of(sets=["heads=4", "nhead=2"]) == [
        "--set nhead=2: heads is given twice, as heads (--set heads=4) and as nhead; leave one out"
    ]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (
            {"hidden_size": "big"},
            "hidden_size='big': chan must be a whole number, got 'big'",
        ),
        (
            {"attn_implementation": "flash_attention_2"},
            "attn_implementation='flash_attention_2': attn_implementation flash_attention_2 is a kernel that scaled_dot_product_attention may choose by itself; use attention.impl sdpa",
        ),
        (
            {"attention": {"attn_implementation": "flex_attention"}},
            "attention.attn_implementation='flex_attention': attn_implementation flex_attention compiles its masks, which is not built here; use attention.impl sdpa",
        ),
        (
            {"use_qk_norm": True},
            "use_qk_norm=True: use_qk_norm true does not say which norm; write attention.qk_norm: rmsnorm or layernorm",
        ),
        (
            {"norm_first": "yes"},
            "norm_first='yes': norm_first must be true or false, got 'yes'",
        ),
        (
            {"feed_forward_proj": "gelu"},
            "feed_forward_proj='gelu': feed_forward_proj must be one of relu, gated-gelu, gated-silu; got 'gelu'",
        ),
        (
            {"query_pre_attn_scalar": 0},
            "query_pre_attn_scalar=0: query_pre_attn_scalar must be a finite number above 0, got 0",
        ),
        (
            {"hidden_act": "gelu_fst"},
            "hidden_act='gelu_fst': activation must be one of relu, relu2, gelu, gelu-tanh, silu, quick-gelu; got 'gelu_fst'; did you mean 'gelu-tanh'?",
        ),
    ],
)
def test_a_value_that_means_nothing_here(given, message):
    """What another project's value cannot mean is said in the user's own words."""
    assert problems_of(**given) == [message]


def test_a_rule_quotes_the_user_s_name(write_yaml):
    """A rule between settings is placed at the name that the user wrote."""
    assert problems_of(write_yaml("n_embd: 64\nn_head: 3")) == [
        (
            "block.yaml:2:1 n_head: chan 64 is not divisible by heads 3 (64 = 3*21 + 1); nearest "
            "heads that divide 64: 2, 4. Or set head_dim"
        )
    ]


def test_our_own_words_are_taken_at_their_word():
    """A setting under our name takes our values alone, and says which was meant."""
    assert problems_of(block="encoder", feed_forward={"activation": "swish"}) == [
        (
            "feed_forward.activation='swish': activation must be one of relu, relu2, gelu, gelu-tanh, "
            "silu, quick-gelu; got 'swish'; did you mean 'silu'?"
        )
    ]
