"""Shipped configs: found by name from a checkout and from a wheel, and what they say of themselves."""

from __future__ import annotations

import re

import pytest

import attntrace
from attntrace.errors import SettingsError
from attntrace.spec import load, presets, show
from attntrace.spec.presets import folder, is_name, names, no_such

PRESETS = [pytest.param(preset, id=preset.name) for preset in presets.presets()]


def problems_of(file):
    with pytest.raises(SettingsError) as caught:
        load(file)
    return str(caught.value)


def test_a_checkout_has_them_beside_the_package(tmp_path):
    """Where the package has no configs of its own, those beside it are meant."""
    package = tmp_path / "attntrace"
    package.mkdir()
    (tmp_path / "configs").mkdir()
    (tmp_path / "configs" / "mine.yaml").write_text("# Mine.\nheads: 4\n")
    assert folder(package) == tmp_path / "configs"
    assert names(package) == ["mine"]


def test_a_wheel_has_them_inside(tmp_path):
    """Where the package brings configs, no folder beside it counts: it may be anybody's."""
    package = tmp_path / "attntrace"
    for place, name in ((package, "ours"), (tmp_path, "theirs")):
        (place / "configs").mkdir(parents=True)
        (place / "configs" / f"{name}.yaml").write_text("# A file.\n")
    assert folder(package) == package / "configs"
    assert names(package) == ["ours"]


def test_what_a_file_says_of_itself(tmp_path):
    """A preset is a block, a number of parameters, and the first line of its comment."""
    package = tmp_path / "attntrace"
    (package / "configs").mkdir(parents=True)
    text = "# A thing: with a colon.\n# 1,234,567 parameters\n# More.\nblock: encoder  # yes\n"
    (package / "configs" / "a.yaml").write_text(text)
    (package / "configs" / "b.yaml").write_text("heads: 4\n")
    one, other = presets.presets(package)
    assert (one.name, one.block, one.parameters) == ("a", "encoder", 1_234_567)
    assert one.meaning == "A thing: with a colon."
    assert (other.block, other.parameters, other.meaning) == ("attention", None, "")


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("gpt2", True),
        ("llama3.1-8b", True),
        ("gpt2.yaml", False),
        ("gpt2.yml", False),
        ("./gpt2", False),
        ("configs/gpt2", False),
        ("", False),
        ("a b", False),
        ("x" * 5000, False),
    ],
)
def test_what_may_be_a_name(text, answer):
    """A name has no folder, no ending of YAML, and no blanks."""
    assert is_name(text) is answer


def test_a_preset_is_loaded_by_name():
    """The name is as good as the path, in `attntrace.load` too."""
    by_path = load(folder() / "multi-head.yaml").spec
    assert load("multi-head").spec == attntrace.load("multi-head") == by_path


def test_settings_win_over_a_preset():
    """A preset is the weakest layer but the defaults, as a file is."""
    assert load("multi-head", heads=8).spec.heads == 8


def test_a_preset_s_lines_are_shown_with_its_name():
    """In messages and `--show-config` a preset is its file's name, not a long path."""
    shown = show(load("multi-head"))
    assert re.search(r"^heads: 4 +# preset: multi-head\.yaml:\d+:1$", shown, re.MULTILINE)
    with pytest.raises(SettingsError, match=r"^multi-head\.yaml:\d+:3: skip=value adds v"):
        load("multi-head", head_dim=15)


def test_a_file_of_that_name_goes_first(tmp_path, monkeypatch):
    """A file that exists is meant, also where a preset has its name."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "multi-head").write_text("batch: 77\n")
    assert load("multi-head").spec.batch == 77


def test_a_name_that_is_none(tmp_path, monkeypatch):
    """A name that no preset has is a problem, with the nearest one that there is."""
    monkeypatch.chdir(tmp_path)
    assert problems_of("multi-hed") == (
        "multi-hed: no preset or file 'multi-hed'; did you mean 'multi-head'? See attntrace presets"
    )
    assert problems_of("zzz") == "zzz: no preset or file 'zzz'; see attntrace presets"
    assert no_such("GPT2") == (
        "no preset or file 'GPT2'; did you mean 'gpt2'? See attntrace presets"
    )
    assert no_such("zzz") == "no preset or file 'zzz'; see attntrace presets"


@pytest.mark.parametrize("preset", PRESETS)
def test_a_preset_says_what_it_is(preset):
    """The first line of a preset's comment says what it is, and the listed block is the spec's."""
    assert preset.meaning
    assert preset.block == load(preset.path).spec.block


@pytest.mark.parametrize("preset", PRESETS)
def test_a_preset_s_parameters_are_those_of_its_block(preset):
    """The number in the second line is what the block has, built on meta."""
    spec = attntrace.load(preset.path, run={"device": "meta"})
    block = attntrace.build(spec)
    assert preset.parameters == sum(p.numel() for p in block.parameters())
