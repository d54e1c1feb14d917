"""YAML files: what is read, and where each thing that is wrong stands."""

from __future__ import annotations

import pytest

from attntrace.errors import SettingsError
from attntrace.spec import load

WRONG = """\
batch: 0
tokens: -3
hedas: 4
chan: 64.5
attention:
  qk_scale: .nan
  qkv_bias: off
  skipp: none
  impl: flash
run:
  dtype: float33
  device: tpu
  seed: "7"
  mode: training
"""
MESSAGES = [
    "1:1: batch must be a whole number >= 1, got 0",
    "2:1: tokens must be a whole number >= 1, got -3",
    "3:1: unknown key 'hedas'; did you mean 'heads'?",
    "4:1: chan must be a whole number, got 64.5",
    "6:3: qk_scale must be a finite number or one of head, none, embed, input; got nan",
    "7:3: qkv_bias must be true or false, got 'off'",
    "8:3: unknown key 'attention.skipp'; did you mean 'attention.skip'?",
    "9:3: impl must be one of eager, sdpa, torch; got 'flash'",
    "11:3: dtype must be one of float64, float32, bfloat16, float16; got 'float33'; did you mean 'float32'?",
    "12:3: device must be one of cpu, cuda, cuda:N, mps, meta; got 'tpu'",
    "13:3: seed must be a whole number, got '7'",
    "14:3: mode must be one of eval, train; got 'training'; did you mean 'train'?",
]
TOP_LEVEL = (
    "there are block, batch, tokens, context_tokens, chan, heads, kv_heads, dim, context_dim, "
    "head_dim, value_head_dim, ff_dim, layers, attention, positions, mask, cache, norm, "
    "feed_forward, stack, image, recurrent, run, expect"
)
NO_MAPPING = "a mapping of settings was expected, got a {}; write lines like 'heads: 4'"
HEADS_3 = (
    "chan 64 is not divisible by heads 3 (64 = 3*21 + 1); nearest heads that divide 64: 2, 4. "
    "Or set head_dim"
)


def problems_of(file):
    with pytest.raises(SettingsError) as caught:
        load(file)
    return str(caught.value).splitlines()


def test_every_mistake_of_a_file_comes_in_one_error(write_yaml):
    """A file with twelve mistakes gives twelve messages, each with its line and column."""
    found = problems_of(write_yaml(WRONG))
    assert found == [f"block.yaml:{message}" for message in MESSAGES]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("headss: 4", "1:1: unknown key 'headss'; did you mean 'heads'?"),
        ("device: meta", "1:1: unknown key 'device'; did you mean 'run.device'?"),
        ("Heads: 4", "1:1: unknown key 'Heads'; did you mean 'heads'?"),
        ("HIDDEN_SIZE: 4", "1:1: unknown key 'HIDDEN_SIZE'; did you mean 'chan'?"),
        ("dropout: 0.1", ("1:1: unknown key 'dropout'; did you mean 'attention.dropout' or "
         "'feed_forward.dropout' or 'stack.dropout'?")),
        ("qk_scale: 1", "1:1: unknown key 'qk_scale'; did you mean 'attention.qk_scale'?"),
        ("run: {sed: 7}", "1:7: unknown key 'run.sed'; did you mean 'run.seed'?"),
        ("batch: 7\nrun:\n  impl: sdpa", ("3:3: unknown key 'run.impl'; did you mean "
         "'attention.impl'?")),
        ("zzz: 1", f"1:1: unknown key 'zzz'; {TOP_LEVEL}"),
        ("run:\n  zzz: 1", ("2:3: unknown key 'run.zzz'; there are run.device, run.as_device, run.dtype, "
         "run.seed, run.mode, run.grad, run.optimizer, run.checkpoint, run.allow")),
        ("4: 4", f"1:1: unknown key '4'; {TOP_LEVEL}"),
        ("attention:\n  zzz: 1", ("2:3: unknown key 'attention.zzz'; `attntrace fields attention` "
         "lists what there is")),
        ("hiden_size: 64", "1:1: unknown key 'hiden_size'; did you mean 'hidden_size'?"),
        ("attention: {num_heads: 4}", ("1:13: unknown key 'attention.num_heads'; did you mean "
         "'heads'?")),
        ("run: {rope_theta: 4}", ("1:7: unknown key 'run.rope_theta'; did you mean "
         "'positions.theta'?")),
        ("window: 4", "1:1: unknown key 'window'; did you mean 'attention.window' or 'mask.window'?"),
    ],
)  # fmt: skip
def test_an_unknown_key(text, message, write_yaml):
    """An unknown key is an error that names the key meant, or all that there are."""
    assert problems_of(write_yaml(text)) == [f"block.yaml:{message}"]


@pytest.mark.parametrize(("wrong", "meant"), [("atention", "attention"), ("runs", "run")])
def test_a_misspelt_section(wrong, meant, write_yaml):
    """A section with a wrong name is an error at that name, with the section meant."""
    file = write_yaml(f"heads: 4\n{wrong}:\n  zzz: 1\n")
    assert problems_of(file) == [f"block.yaml:2:1: unknown key {wrong!r}; did you mean {meant!r}?"]


@pytest.mark.parametrize("word", ["off", "on", "yes", "no", "False_"])
def test_words_are_words_as_in_yaml_1_2(word, write_yaml):
    """In YAML 1.2 only true and false are truth values, and `off` is a text."""
    assert problems_of(write_yaml(f"attention:\n  qkv_bias: {word}")) == [
        f"block.yaml:2:3: qkv_bias must be true or false, got {word!r}"
    ]


def test_a_key_given_twice(write_yaml):
    """A key that stands twice is an error at the second place."""
    assert problems_of(write_yaml("heads: 4\nbatch: 7\nheads: 2\n")) == [
        (
            "block.yaml:3:1: is not YAML: while constructing a mapping, found duplicate key "
            '"heads" with value "2" '
            '(original value: "4")'
        )
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "heads: [4\n",
            (
                "2:1: is not YAML: while parsing a flow sequence, "
                "expected ',' or ']', but got '<stream end>'"
            ),
        ),
        (
            "expect:\n  flops: > 5\n",
            (
                "2:12: is not YAML: while scanning a block scalar, expected a comment or a line "
                "break, but found '5'; > is put in quotes: '> 0'"
            ),
        ),
        ("heads: *four", "1:8: is not YAML: found undefined alias 'four'"),
        (
            "heads: 4\n---\nheads: 2\n",
            "2:1: is not YAML: expected a single document in the stream, but found another document",
        ),
        (
            "heads:\t4\n\tx: 4",
            "1:7: is not YAML: while scanning for the next token, found character '\\t' that cannot start any token",
        ),
    ],
)
def test_malformed_yaml(text, message, write_yaml):
    """A file that is not YAML is an error at the place where reading stopped."""
    assert problems_of(write_yaml(text)) == [f"block.yaml:{message}"]


def test_a_control_character_is_one_problem_on_one_line(write_yaml):
    """A file with a control character is refused in a single line."""
    [line] = problems_of(write_yaml("heads: 4\x01\n"))
    assert line.startswith("block.yaml")


@pytest.mark.parametrize(
    ("text", "kind"),
    [("- heads\n- 4\n", "list"), ("heads 4", "text"), ("4", "number"), ("4.5", "number")],
)
def test_yaml_that_is_no_mapping(text, kind, write_yaml):
    """A file that holds one value or a list is refused, in words that a user of YAML knows."""
    assert problems_of(write_yaml(text)) == [f"block.yaml: {NO_MAPPING.format(kind)}"]


@pytest.mark.parametrize("text", ["", "\n\n", "# nothing yet\n", "---\n", "\ufeff# a BOM\n", "{}"])
def test_an_empty_file_is_the_defaults(text, write_yaml):
    """A file that says nothing changes nothing."""
    assert load(write_yaml(text)).spec == load().spec


def test_a_missing_file(write_yaml):
    """A file that is not there is one problem."""
    write_yaml("heads: 4")
    assert problems_of("none.yaml") == ["none.yaml: cannot be read: No such file or directory"]


def test_a_folder_is_no_file(tmp_path):
    """A folder given as the file is one problem."""
    assert problems_of(tmp_path) == [f"{tmp_path}: cannot be read: Is a directory"]


def test_a_file_that_is_not_utf_8(write_yaml):
    """A file in another encoding is refused, with the byte that shows it."""
    file = write_yaml("heads: 4  # Köpfe".encode("latin-1"))
    assert problems_of(file) == ["block.yaml: is not UTF-8 text (byte 13)"]


def test_a_value_where_a_section_was_expected(write_yaml):
    """A section given as a value is one problem, also where it has other settings."""
    assert problems_of(write_yaml("attention: sdpa\nrun: 7")) == [
        (
            "block.yaml:1:1: attention is a section; a setting such as attention.kind was expected, "
            "got sdpa"
        ),
        "block.yaml:2:1: run is a section; a setting such as run.device was expected, got 7",
    ]


def test_settings_where_a_value_was_expected(write_yaml):
    """A size given as a section is one problem."""
    assert problems_of(write_yaml("heads:\n  four: 4")) == [
        ("block.yaml:2:3: heads is a single setting, with nothing below it; leave 'heads.four' out")
    ]


def test_a_value_that_is_missing(write_yaml):
    """A key with nothing after it is a problem, and not the default; null is the default."""
    assert problems_of(write_yaml("heads:\nbatch: 7")) == [
        "block.yaml:1:1: heads must be a whole number, got nothing"
    ]
    assert problems_of(write_yaml("attention: {impl: , kind: null}")) == [
        "block.yaml:1:13: impl must be one of eager, sdpa, torch; got nothing"
    ]


@pytest.mark.parametrize(
    "text",
    [
        "heads: null",
        "heads: ~   # four",
        "heads: !!null null",
        "attention: {kind: Null, scale_at: NULL}",
        "run:\n  <<: {device: null}\n",
        "hidden_size:\nmask:\n  window:\nn_inner: &n null\nhead_dim: *n",
        '{"heads": null, "attention": {"impl":\n null}}',
    ],
)
def test_null_is_as_good_as_not_given(text, write_yaml):
    """Null, in each of YAML's words, is the default; where null is it anyway, nothing is, too."""
    assert load(write_yaml(text)).spec == load().spec


def test_an_unreadable_file_hides_no_other_problem():
    """What is wrong with the flags is said beside a file that is missing."""
    with pytest.raises(SettingsError) as caught:
        load("none.yaml", flags={"heads": "3"})
    assert str(caught.value).splitlines() == [
        "none.yaml: cannot be read: No such file or directory",
        f"--heads 3: {HEADS_3}",
    ]


def test_merged_keys_are_read(write_yaml):
    """A YAML merge (`<<:`) sets what it brings in."""
    spec = load(write_yaml("run:\n  <<: {device: meta}\n  seed: 7\n")).spec
    assert (spec.run.device, spec.run.seed) == ("meta", 7)


def test_dotted_keys_are_paths(write_yaml):
    """A dotted key is the path of a setting."""
    assert load(write_yaml("attention.impl: sdpa")).spec.attention.impl == "sdpa"
