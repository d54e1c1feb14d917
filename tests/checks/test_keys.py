"""What a baseline is called: never as another, and whether what it is of is still there."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from attntrace.checks.keys import has_owner, key_of
from attntrace.errors import SettingsError

HERE = Path(".attntrace")


@pytest.mark.parametrize(
    ("target", "key"),
    [
        ("configs/gpt2.yaml", "configs/gpt2.yaml"),
        ("./configs/../gpt2.yml", "gpt2.yml"),
        ("gpt2", "gpt2"),
        ("models/vit.py:Block", "models/vit.py#Block"),
        ("vit.py:make.inner", "vit.py#make.inner"),
        ("package.module:Block", "package.module#Block"),
        ("hf:models/llama", "hf#/models/llama"),
        ("settings", "settings#"),
        ("a:b/#1 100%.yaml", "a%3Ab/%231 100%25.yaml"),
        ("層/é.yaml", "層/é.yaml"),
        ("odd\udcff.yaml", "odd%FF.yaml"),
    ],
)
def test_a_key_is_the_path_or_the_name(target, key, write):
    """It is relative to the folder that the baselines' folder is in, and safe on any system."""
    write({"settings": ""})
    assert key_of(target, HERE) == key
    assert not re.search(r'[<>:"\\|?*\x00-\x1f]', key)


def test_a_key_is_the_same_from_anywhere(write, monkeypatch):
    """Neither the current folder, nor an absolute path, nor a link to the project matters."""
    project = write({"project/configs/gpt2.yaml": ""}) / "project"
    (project.parent / "link").symlink_to(project)
    root = project / ".attntrace"
    monkeypatch.chdir(project / "configs")
    for name in ("gpt2.yaml", "../configs/gpt2.yaml", str(project / "configs/gpt2.yaml")):
        assert key_of(name, root) == key_of(name, Path("../.attntrace")) == "configs/gpt2.yaml"
    assert key_of(str(project.parent / "link/configs/gpt2.yaml"), root) == "configs/gpt2.yaml"


def test_a_file_outside_has_no_key(write):
    """A config that the folder cannot name is refused, with a folder that can."""
    there = write({"project/x": "", "other/gpt2.yaml": ""})
    with pytest.raises(SettingsError) as caught:
        key_of("other/gpt2.yaml", Path("project/.attntrace"))
    assert str(caught.value) == (
        f"other/gpt2.yaml: lies outside of {there}/project, below which project/.attntrace keeps "
        f"baselines by path; use --baselines {there}/other/.attntrace"
    )


names = st.text(st.sampled_from("ab.#%:3A é"), min_size=1, max_size=5).filter(
    lambda name: name not in (".", "..")
)
files = st.lists(names, min_size=1, max_size=2).map("/".join)
targets = st.one_of(
    files.map("{}.yaml".format),
    st.builds("{}.py:{}".format, files, st.sampled_from(["Block", "a", "a.b", "yaml"])),
    st.sampled_from(
        ["gpt2", "bert-base", "a:b", "a.py:b", "a.b:c", "hf:a", "hf:a/b.py", "hf:gpt2"]
    ),
)


@given(targets, targets)
def test_two_targets_never_share_a_key(one, other):
    """Different files, presets and names of code have different keys, whatever letters they have."""
    same = os.path.normpath(one) == os.path.normpath(other)
    assert (key_of(one, HERE) == key_of(other, HERE)) == same


CODE = "raise SystemExit('it was run')\nclass Block: ...\n"


@pytest.mark.parametrize(
    ("target", "there"),
    [
        ("configs/gpt2.yaml", True),
        ("configs/gone.yaml", False),
        ("gone/gpt2.yaml", False),
        ("a:b/#1 100%.yaml", True),
        ("settings", True),
        ("gpt2", True),
        ("vit.py:Block", True),
        ("vit.py:Block.part", True),
        ("vit.py:Gone", False),
        ("gone.py:Block", False),
        ("star.py:Gone", True),
        ("odd.py:Gone", True),
        ("package.module:Block", True),
        ("package.module:Gone", False),
        ("package.gone:Block", False),
        ("gone.module:Block", False),
        ("package.module.further:Block", False),
        ("torch.nn:Linear", True),
        ("hf:llama", True),
        ("hf:llama/config.json", True),
        ("hf:gone", False),
    ],
)
def test_whether_its_owner_is_there(target, there, write):
    """Files, names in code and modules are looked for, and nothing of the user's own is run."""
    write(
        {
            "configs/gpt2.yaml": "", "a:b/#1 100%.yaml": "", "settings": "", "vit.py": CODE,
            "star.py": "from vit import *\n", "package/__init__.py": "", "package/module.py": CODE,
            "llama/config.json": "{}",
        }
    )  # fmt: skip
    Path("odd.py").write_bytes(b"# \xff\n")
    assert has_owner(key_of(target, HERE), HERE) == there


def test_a_preset_that_is_gone(write):
    """A name that no preset has, or has no more, is nobody's."""
    write({})
    assert not has_owner("gpt1", HERE)


def test_where_nobody_may_look(write, monkeypatch):
    """A config in a folder that cannot be entered now may be there, and counts as that."""
    write({"configs/gpt2.yaml": ""})

    def refuse(path):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "lstat", refuse)
    assert has_owner("configs/gpt2.yaml", HERE)
