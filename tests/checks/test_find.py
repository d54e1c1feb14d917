"""Which configs a check is about: folders, files, presets, targets, and what is none of these."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from attntrace.checks.find import Checked, find
from attntrace.errors import SettingsError
from attntrace.spec.presets import names
from tests.checks.small import BLOCK


@pytest.fixture
def here(write):
    """Return a function that makes configs of these names below the current folder."""
    return lambda *files: write(dict.fromkeys(files, BLOCK))


def found(*arguments, **more):
    return [one.name for one in find(arguments, **more)]


def problems(*arguments):
    with pytest.raises(SettingsError) as caught:
        find(arguments)
    return str(caught.value).splitlines()


def test_a_folder_is_every_yaml_below_it(here):
    """Both endings count, in order of paths; hidden files and folders do not, nor other files."""
    here("m/b.yml", "m/a.yaml", "m/a/z.yaml", "m/.hidden/x.yaml", "m/.x.yaml", "m/read.me")
    assert found("m") == found("m/") == ["m/a/z.yaml", "m/a.yaml", "m/b.yml"]


def test_nothing_named_is_the_folder_configs(here):
    """Without arguments `configs/` is checked, and where there is none, the error says so."""
    (said,) = problems()
    assert said == (
        "configs/: there is no such folder here, which is what is checked where nothing is named; "
        "name a folder, a YAML file, a preset or a target, such as attntrace check models/"
    )
    here("configs/a.yaml")
    assert found() == ["configs/a.yaml"]


def test_the_folder_of_the_baselines_is_left_out(here, tmp_path):
    """YAML that lies among the baselines is no config, wherever that folder is."""
    here("a.yaml", "baselines/b.yaml")
    assert found(".", baselines=tmp_path / "baselines") == ["a.yaml"]


def test_a_hidden_folder_that_is_named_is_looked_through(here):
    """Hidden is what nobody named."""
    here(".ci/a.yaml")
    assert found(".ci") == [".ci/a.yaml"]


def test_any_argument_that_run_takes(here):
    """A file may have any ending; presets and targets go by their names; a file goes first."""
    here("settings.conf", "gpt2")
    assert find(["settings.conf", "gpt2", "bert-base", "m.py:Block", "pkg.mod:Block", "hf:x"]) == [
        Checked("settings.conf", "file"),
        Checked("gpt2", "file"),
        Checked("bert-base", "preset"),
        Checked("m.py:Block", "target"),
        Checked("pkg.mod:Block", "target"),
        Checked("hf:x", "target"),
    ]


def test_each_once_where_it_came_first(here, tmp_path):
    """However a file is named, it is one config, and stands where it was named first."""
    here("m/a.yaml", "m/b.yaml")
    again = tmp_path / "m" / "a.yaml"
    assert found("m/b.yaml", "m", "./m/a.yaml", again, "gpt2", "gpt2") == [
        "m/b.yaml",
        "m/a.yaml",
        "gpt2",
    ]


def test_links_are_followed_but_not_round(here, tmp_path):
    """A link to a folder is looked through, one back up is not; a broken one is for the run to
    refuse."""
    here("far/a.yaml", "m/b.yaml")
    (tmp_path / "m" / "near").symlink_to(tmp_path / "far")
    (tmp_path / "m" / "round").symlink_to(tmp_path / "m")
    (tmp_path / "m" / "broken.yaml").symlink_to("nowhere")
    assert found("m") == ["m/b.yaml", "m/broken.yaml", "m/near/a.yaml"]


def test_a_folder_may_be_called_as_a_file(here):
    """A folder named x.yaml is a folder, as an argument and below one."""
    here("m/x.yaml/a.yaml")
    assert found("m") == found("m/x.yaml") == ["m/x.yaml/a.yaml"]


def test_what_stands_for_nothing_is_an_error_with_a_fix(here, tmp_path):
    """Every argument that is nothing is said at once."""
    here("models/small.yaml", "empty/read.me")
    os.mkfifo(tmp_path / "pipe")
    os.mkfifo(tmp_path / "empty" / "pipe.yaml")
    (tmp_path / "none").mkdir()
    every = problems("none", "empty", "modles", "models/smal.yaml", "gpt-2", "pipe", "far/off/x")
    assert every == [
        "none: no *.yaml or *.yml below this folder; name one that has configs",
        "empty/pipe.yaml: is neither a file nor a folder",
        "modles: there is no such file or folder; did you mean 'models'?",
        "models/smal.yaml: there is no such file or folder; did you mean 'models/small.yaml'?",
        "gpt-2: no preset or file 'gpt-2'; did you mean 'gpt2'? See attntrace presets",
        "pipe: is neither a file nor a folder",
        "far/off/x: there is no such file or folder",
    ]


def test_a_folder_that_cannot_be_read_is_not_passed_over(here, monkeypatch):
    """No permission below a folder is an error, not fewer configs."""
    here("m/a.yaml", "m/closed/b.yaml")
    usual = Path.iterdir

    def iterdir(path):
        if path.name == "closed":
            raise PermissionError(13, "Permission denied", str(path))
        return usual(path)

    monkeypatch.setattr("pathlib.Path.iterdir", iterdir)
    assert problems("m") == ["m/closed: the folder cannot be read: Permission denied"]


def test_every_preset_is_found():
    """What `attntrace presets` lists can be checked by name."""
    assert found(*names()) == names()
