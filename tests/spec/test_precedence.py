"""Flag over Python setting over `--set` over file over default."""

from __future__ import annotations

from itertools import combinations

import pytest

from attntrace.spec import load

LAYERS = ("file", "--set", "python", "flag")
VALUES = {"file": 2, "--set": 4, "python": 8, "flag": 16}
SUBSETS = [layers for n in range(5) for layers in combinations(LAYERS, n)]


@pytest.fixture
def yaml(tmp_path):
    """Return a function that writes a YAML file."""

    def write(text, name="block.yaml"):
        path = tmp_path / name
        path.write_text(text)
        return path

    return write


@pytest.mark.parametrize("layers", SUBSETS, ids="+".join)
def test_the_strongest_layer_wins(layers, yaml):
    """Of every combination of layers that set the heads, the strongest one's value stands."""
    loaded = load(
        yaml(f"heads: {VALUES['file']}") if "file" in layers else None,
        sets=[f"heads={VALUES['--set']}"] if "--set" in layers else [],
        flags={"heads": str(VALUES["flag"])} if "flag" in layers else {},
        **({"heads": VALUES["python"]} if "python" in layers else {}),
    )
    assert loaded.spec.heads == (VALUES[layers[-1]] if layers else 1)
    assert [s.origin for s in loaded.given.values()] == list(layers[-1:])


def test_layers_mix_inside_a_section(yaml):
    """Layers that set different fields of one section all count."""
    spec = load(
        yaml("attention:\n  impl: sdpa\n  skip: none\n"),
        sets=["attention.qkv_bias=true"],
        flags={"attention.skip": "value"},
        attention={"qk_scale": 0.5},
    ).spec
    given = {"impl": "sdpa", "qkv_bias": True, "qk_scale": 0.5, "skip": "value"}
    assert spec.attention.model_dump(include={*given}) == given
    assert spec.attention.model_fields_set == {*given}


def test_the_last_of_several_sets_wins():
    """A `--set` overrides an earlier one of the same path."""
    assert load(sets=["heads=2", "heads=4"]).spec.heads == 4


def test_a_wrong_value_below_a_right_one_is_no_problem(yaml):
    """What a stronger layer overrides is not judged."""
    assert load(yaml("heads: many"), flags={"heads": "4"}).spec.heads == 4


@pytest.mark.parametrize(
    ("text", "value"),
    [("0.0", 0.0), ("-1", -1.0), ("1e-3", 0.001), ("none", "none"), ("2", 2.0)],
)
def test_a_flag_and_a_set_read_a_value_alike(text, value):
    """The text of a flag means what the same text means in YAML."""
    by_flag = load(flags={"attention.qk_scale": text}).spec
    by_set = load(sets=[f"attention.qk_scale={text}"]).spec
    assert by_flag.attention.qk_scale == by_set.attention.qk_scale == value


@pytest.mark.parametrize("name", ["heads", "num_heads"])
def test_null_takes_a_weaker_layer_back_to_the_default(name, yaml):
    """Null in a `--set`, a keyword or a flag is as if the file had not said anything."""
    file = yaml("heads: 4")
    assert load(file, sets=[f"{name}=null"]).spec == load().spec
    assert load(file, flags={name: "null"}).spec == load().spec
    assert load(file, **{name: None}).spec == load().spec


def test_null_beside_a_value_is_no_contradiction():
    """Of two names for one setting the one that is not null counts."""
    assert load(num_heads=None, heads=4).spec.heads == load(heads=4, num_heads=None).spec.heads == 4


def test_spaces_around_a_set_do_not_matter():
    """A `--set` with spaces around its equals sign is read."""
    assert load(sets=["heads = 4"]).spec.heads == 4


def test_a_file_may_be_a_text(yaml):
    """The name of a file may be a string as well as a Path."""
    assert load(str(yaml("heads: 4"))).spec.heads == 4
