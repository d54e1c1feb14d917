"""`attntrace fields`: every setting, in a pipe and on a terminal."""

from __future__ import annotations

import json

import pytest

from attntrace.cli import complete
from attntrace.spec.aliases import names_of
from attntrace.spec.fields import fields, members, sections

HEAD = ["name", "type", "default", "choices", "aliases", "rule", "meaning"]
COMPONENTS = ["sizes", *sections()]


def test_a_component(invoke):
    """A component's settings are listed in columns, under what it is about."""
    ended = invoke("fields", "cache")
    heading, head, row = ended.out.splitlines()
    assert (ended.code, ended.err) == (0, "")
    assert heading == "cache: The KV cache."
    assert head.split() == HEAD
    assert row.startswith("past  whole number >= 0  no cache  ")
    assert row.endswith("tokens that are already cached; 0 is a prefill that fills the cache")


def test_all_components(invoke):
    """Without a component every setting has a line, below the heading of its component."""
    lines = invoke("fields").out.splitlines()
    headings = [line.partition(":")[0] for line in lines if line.partition(":")[0] in COMPONENTS]
    assert headings == COMPONENTS
    first = [line.split()[0] for line in lines if line and not line.startswith(("name ", " "))]
    assert all(field.name in first for field in fields().values())


@pytest.mark.parametrize("component", COMPONENTS)
def test_json(component, invoke):
    """JSON has each setting's type, default, choices, aliases, rule and meaning."""
    found = json.loads(invoke("fields", component, "--format", "json").out)
    known = members("" if component == "sizes" else component)
    assert [entry["path"] for entry in found[component]] == [field.path for field in known]
    assert {*HEAD, "path", "shown"} == {key for entry in found[component] for key in entry}
    assert all(entry["meaning"] and entry["type"] for entry in found[component])


def test_json_has_the_choices_and_the_other_names(invoke):
    """Choices are a list, and other names those of the tables, too."""
    found = json.loads(invoke("fields", "--format", "json").out)
    norm = {entry["name"]: entry for entry in found["norm"]}
    assert norm["parallel_norms"]["choices"] == [1, 2]
    assert "norm_first" in norm["place"]["aliases"]
    sizes = {entry["name"]: entry for entry in found["sizes"]}
    assert (sizes["heads"]["default"], sizes["kv_heads"]["shown"]) == (1, "heads; 1 with kind mqa")


def test_markdown(invoke):
    """Markdown has a heading and a table, each row with as many cells as the head."""
    lines = invoke("fields", "run", "--format", "markdown").out.splitlines()
    assert lines[0] == "## run"
    assert lines[4] == f"| {' | '.join(HEAD)} |"
    assert {line.replace("\\|", "").count("|") for line in lines[4:]} == {len(HEAD) + 1}


def test_a_component_that_is_none(invoke):
    """An unknown component exits with 2 and the nearest one, or all that there are."""
    ended = invoke("fields", "atention")
    assert (ended.code, ended.out) == (2, "")
    assert ended.err == (
        "attntrace: no component or setting 'atention'; did you mean 'attention'?\n"
    )
    assert invoke("fields", "zzz").err == (
        f"attntrace: no component or setting 'zzz'; the components are {', '.join(COMPONENTS)}\n"
    )


def test_a_format_and_a_file_that_are_none(invoke, tmp_path):
    """A wrong format and a folder in place of a file are said together, and nothing is written."""
    ended = invoke("fields", "--format", "csv", "-o", tmp_path)
    assert (ended.code, ended.out) == (2, "")
    assert ended.err.splitlines() == [
        "attntrace: 2 problems with the settings",
        "  --format csv: format must be one of table, markdown, json; got 'csv'",
        f"  -o {tmp_path}: is a directory; name a file in it",
    ]


def test_a_file_gets_what_a_pipe_would(invoke, tmp_path):
    """`-o` writes the same, and says so on stderr."""
    file = tmp_path / "fields.txt"
    ended = invoke("fields", "mask", "-o", file)
    assert (ended.code, ended.out, ended.err) == (0, "", f"wrote {file}\n")
    assert file.read_text(encoding="utf-8") == invoke("fields", "mask").out


def test_a_pipe_is_never_truncated(process):
    """In a pipe neither a narrow COLUMNS nor FORCE_COLOR shortens or colours a line."""
    narrow = process("fields", COLUMNS="40", TERM="xterm-256color", FORCE_COLOR="1")
    assert "\x1b" not in narrow.out
    assert "…" not in narrow.out
    assert max(map(len, narrow.out.splitlines())) > 200


def test_a_terminal_gets_it_wrapped(terminal):
    """On a narrow terminal every word is there, no line is longer than it, and no name is cut."""
    shown = terminal("fields", "norm", columns=70)
    lines = shown.splitlines()
    assert max(map(len, lines)) <= 70
    assert "parallel_norms" in shown
    assert "default: layernorm" in shown
    assert "…" not in shown


HEADS = """\
name     heads
type     whole number >= 1
default  1
aliases  {}
rule     divides chan, unless head_dim is given
meaning  attention heads
"""


@pytest.mark.parametrize("asked", ["heads", "num_attention_heads", "n_head"])
def test_a_setting(asked, invoke):
    """A setting by its own or another name is shown alone, line by line."""
    ended = invoke("fields", asked)
    assert (ended.code, ended.err) == (0, "")
    assert ended.out == HEADS.format(", ".join(names_of("heads")))


@pytest.mark.parametrize("asked", ["norm.eps", "eps", "rms_norm_eps"])
def test_a_setting_of_a_section(asked, invoke):
    """A setting is found by its path, and without its section where the name says enough."""
    ended = invoke("fields", asked, "--format", "markdown")
    assert ended.out == (
        "## norm.eps\n\n"
        "- type: number above 0\n"
        "- default: 1e-05\n"
        f"- aliases: {', '.join(names_of('norm.eps'))}\n"
        "- meaning: added to the variance\n"
    )
    found = json.loads(invoke("fields", asked, "--format", "json").out)
    assert {name: [entry["path"] for entry in facts] for name, facts in found.items()} == {
        "norm": ["norm.eps"]
    }


def test_a_name_of_several_settings(invoke):
    """A name that is in several sections, and a switch of several settings, shows all of them."""
    both = invoke("fields", "window").out
    assert [line for line in both.splitlines() if line.startswith("name")] == [
        "name     attention.window",
        "name     mask.window",
    ]
    switch = json.loads(invoke("fields", "use_parallel_residual", "--format", "json").out)
    assert [entry["name"] for entry in switch["norm"]] == ["place", "parallel_norms"]


@pytest.mark.parametrize(
    ("asked", "meant"),
    [("Heads", "heads"), ("hidden_sise", "hidden_size"), ("attention.knd", "attention.kind")],
)
def test_a_setting_that_is_none(asked, meant, invoke):
    """An unknown setting exits with 2 and the nearest name."""
    ended = invoke("fields", asked)
    assert (ended.code, ended.out) == (2, "")
    assert ended.err == (f"attntrace: no component or setting {asked!r}; did you mean {meant!r}?\n")


def test_what_a_shell_may_complete():
    """A shell proposes the components, sizes once a letter is there, settings after the dot."""
    assert complete.components("") == COMPONENTS
    assert complete.components("hea") == ["heads", "head_dim"]
    assert complete.components("attention.ki") == ["attention.kind"]
