"""`attntrace presets`, and `attntrace run NAME`."""

from __future__ import annotations

import json

from attntrace.cli import complete
from attntrace.spec.presets import presets


def test_every_preset_has_a_line(invoke):
    """The list has each preset's name, block, parameters and one line."""
    ended = invoke("presets")
    head, *lines = ended.out.splitlines()
    assert (ended.code, ended.err) == (0, "")
    assert head.split() == ["name", "block", "parameters", "meaning"]
    assert [line.split()[0] for line in lines] == [preset.name for preset in presets()]
    [line] = [line for line in lines if line.startswith("multi-head ")]
    assert line.split()[1:3] == ["attention", "13,568"]
    assert line.endswith("The same layer with 4 heads of 16 features each.")


def test_json(invoke):
    """JSON has parameters as plain numbers."""
    found = json.loads(invoke("presets", "--format", "json").out)
    assert [entry["name"] for entry in found] == [preset.name for preset in presets()]
    assert found[0].keys() == {"name", "block", "parameters", "meaning"}
    assert all(isinstance(entry["parameters"], int) for entry in found)


def test_markdown(invoke, tmp_path):
    """Markdown is a table, and goes to a file as well."""
    file = tmp_path / "presets.md"
    assert invoke("presets", "--format", "markdown", "-o", file).out == ""
    lines = file.read_text(encoding="utf-8").splitlines()
    assert lines[:2] == ["| name | block | parameters | meaning |", "| --- | --- | ---: | --- |"]
    assert len(lines) == 2 + len(presets())


def test_a_terminal_gets_it_wrapped(terminal):
    """On a narrow terminal no name and no number is cut, and no line is too long."""
    shown = terminal("presets", columns=70)
    assert max(map(len, shown.splitlines())) <= 70
    assert all(preset.name in shown for preset in presets())
    assert "13,568" in shown


def test_run_takes_a_name(invoke, tmp_path, monkeypatch):
    """`attntrace run NAME` runs the preset, wherever it is called."""
    monkeypatch.chdir(tmp_path)
    ended = invoke("run", "multi-head", "--format", "json")
    assert ended.code == 0
    assert json.loads(ended.out)["spec"]["heads"] == 4


def test_a_flag_wins_over_a_preset(invoke):
    """A preset is a file: a flag beats it, and `--show-config` names both."""
    shown = invoke("run", "multi-head", "--heads", 8, "--show-config").out
    assert "heads: 8               # --heads 8\n" in shown
    assert "# preset: multi-head.yaml:" in shown


def test_a_name_that_is_none(invoke):
    """An unknown name exits with 2 and the nearest preset."""
    ended = invoke("run", "multi-hed")
    assert (ended.code, ended.out) == (2, "")
    assert ended.err == (
        "attntrace: 1 problem\n"
        "  multi-hed: no preset or file 'multi-hed'; did you mean 'multi-head'? See attntrace "
        "presets\n"
    )


def test_a_shell_completes_names_and_files(tmp_path, monkeypatch):
    """What a shell may complete: presets, folders and YAML files."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "my.yaml").write_text("")
    (tmp_path / "my.yaml").write_text("")
    (tmp_path / "my.txt").write_text("")
    assert complete.settings("my") == ["my.yaml"]
    assert complete.settings("mi") == [n for n in complete.settings("") if n.startswith("mi")]
    assert "mine/" in complete.settings("mi")
    assert complete.settings("mine/") == ["mine/my.yaml"]
    assert complete.settings("multi-head") == ["multi-head", "multi-head-torch"]
    assert complete.components("feed") == ["feed_forward"]
