""".pre-commit-hooks.yaml: pre-commit accepts it, and calls it with the configs that changed."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from pre_commit.main import main
from ruamel.yaml import YAML

from attntrace.version import __version__
from tests.places.page import sections

MANIFEST = Path(__file__).parents[2] / ".pre-commit-hooks.yaml"
RECORD = '#!/usr/bin/env bash\nprintf "%s\\n" "$@" >> "$CALLED"\nexit 2\n'
"""An attntrace that notes how it was called."""


@pytest.fixture
def commit(tmp_path, monkeypatch):
    """Return a function that runs the hook on files, and returns what attntrace was called with."""
    program, repository, called = tmp_path / "bin/attntrace", tmp_path / "work", tmp_path / "called"
    program.parent.mkdir()
    program.write_text(RECORD)
    program.chmod(0o755)
    repository.mkdir()
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
    monkeypatch.setenv("PRE_COMMIT_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("CALLED", str(called))
    for name in [name for name in os.environ if name.startswith("GIT_")]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(repository)
    subprocess.run(["git", "init", "--quiet"], check=True)  # noqa: S607

    def run(*files, **of_user):
        (hook,) = YAML(typ="safe").load(MANIFEST)
        hook |= {"language": "system"} | of_user
        with Path(".pre-commit-config.yaml").open("w") as file:
            YAML().dump({"repos": [{"repo": "local", "hooks": [hook]}]}, file)
        for file in files:
            Path(file).parent.mkdir(exist_ok=True)
            Path(file).write_text("heads: 4\n")
        subprocess.run(["git", "add", "."], check=True)  # noqa: S607
        code = main(["run"])
        words = called.read_text().splitlines() if called.exists() else []
        assert code == (1 if words else 0)
        return words

    return run


def test_the_manifest_is_one():
    """pre-commit reads it, and can tell that another is none."""
    assert main(["validate-manifest", str(MANIFEST)]) == 0
    assert main(["validate-manifest", str(MANIFEST.with_name("action.yml"))]) == 1


def test_the_configs_that_changed_are_checked(commit):
    """YAML files below configs/ are named, all in one call; others are not."""
    words = commit("configs/a.yaml", "configs/b.yml", "configs/c.txt", "other.yaml", "a.py")
    assert words == ["check", "configs/a.yaml", "configs/b.yml"]


def test_nothing_changed_that_counts(commit):
    """Then nothing runs."""
    assert commit("other.yaml", "a.py") == []


def test_the_page_s_settings(commit, tmp_path):
    """What docs/check.md shows is read; its second form checks all configs when code changes."""
    shown = [step.text for step in sections()["pre-commit"]]
    assert len(shown) == 2
    for text in shown:
        (tmp_path / "shown.yaml").write_text(text)
        assert main(["validate-config", str(tmp_path / "shown.yaml")]) == 0
    (repository,) = YAML(typ="safe").load(shown[1])["repos"]
    ((hook,), rev) = repository["hooks"], repository["rev"]
    assert (hook.pop("id"), rev) == ("attntrace-check", f"v{__version__}")
    assert commit("a.py", **hook) == ["check", "configs/"]
