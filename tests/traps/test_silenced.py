"""Warnings that are wanted no more: by a comment, by a setting; and how they are shown."""

from __future__ import annotations

import json
from typing import get_args

import pytest
import torch
from torch import nn
from typer.testing import CliRunner

import attntrace
from attntrace.analysis import traps
from attntrace.cli import app
from attntrace.record import TRAPS
from attntrace.spec.run import TrapName
from tests.traps.warned import only, warned

X = torch.randn(2, 14, 48)
HEADS = '''"""A model with a trap in it."""
import torch
from torch import nn


class Heads(nn.Module):
    """Heads that a view puts elsewhere."""

    def forward(self, x):
        """Return heads."""
        return x.view(2, 3, 14, 16)


def make():
    """Return a model and its input."""
    return Heads(), (torch.zeros(2, 14, 48),), {}
'''


def test_a_comment_on_the_line():
    """Alone, among others, and on any line of the statement."""
    assert warned(lambda x: x.view(2, 3, 14, 16), X) == ["heads-view"]

    def one(x):
        return x.view(2, 3, 14, 16)  # attntrace: allow heads-view

    def several(x):
        y = x.view(2, 3, 14, 16)  # heads  # attntrace: allow mask-fill, heads-view
        return y * 2

    def long(x):
        return torch.relu(
            x.view(2, 3, 14, 16),
        )  # attntrace: allow heads-view

    def other(x):
        # attntrace: allow heads-view
        return x.view(2, 3, 14, 16)  # attntrace: allow mask-fill

    assert [warned(use, X) for use in (one, several, long)] == [[], [], []]
    assert warned(other, X) == ["heads-view"]


def test_a_comment_with_a_name_that_is_none():
    """The warning stays, and a note says what was meant."""

    def wrong(x):
        return x.view(2, 3, 14, 16)  # attntrace: allow maskfill

    trace = attntrace.trace(wrong, X)
    assert [trap.name for trap in trace.warnings] == ["heads-view"]
    (note,) = trace.facts.notes
    assert note.endswith(": no warning is called 'maskfill'; did you mean 'mask-fill'?")


def test_every_name_is_known():
    """Those of the settings are those of the records, and each finder has one of them."""
    assert set(get_args(TrapName)) == set(TRAPS)
    assert len(traps.FINDERS) == len(TRAPS) - 1  # one file tells attention and recurrence apart


def test_one_line_is_warned_of_once():
    """However often it runs."""
    blocks = nn.ModuleList(nn.Linear(48, 48) for _ in range(3))

    def deep(x):
        for block in blocks:
            y = block(x).view(2, 3, 14, 16)
        return y

    assert only(deep, X).row == 2


@pytest.fixture
def target(tmp_path):
    """Return a file with a trap in it, as a target."""
    file = tmp_path / "heads.py"
    file.write_text(HEADS)
    return f"{file}:make"


def test_run_shows_it_in_every_format(target):
    """Below the table, in JSON, and on stderr for CSV; the exit code is 0."""
    for format in ("table", "markdown", "csv", "json"):
        ran = CliRunner().invoke(app, ["run", target, "--format", format])
        assert ran.exit_code == 0
        text = ran.stderr if format == "csv" else ran.stdout
        if format == "json":
            (warning,) = json.loads(text)["warnings"]
            assert (warning["name"], warning["row"]) == ("heads-view", 1)
        else:
            assert "warning heads-view at " in text
            assert "x.view(2, 14, 3, 16).transpose(1, 2)" in text
    model = attntrace.trace(lambda x: x.view(2, 3, 14, 16), X)
    assert "warning heads-view at " in model.to_html()
    assert attntrace.Trace.from_json(model.to_json()).warnings == model.warnings


def test_strict_makes_a_warning_exit_1(target):
    """Unless the settings allow it; a name that is none is refused."""
    run = ["run", target, "--strict"]
    assert CliRunner().invoke(app, run).exit_code == 1
    allowed = CliRunner().invoke(app, [*run, "--set", "run.allow=[heads-view]"])
    assert (allowed.exit_code, "warning" in allowed.stdout) == (0, False)
    refused = CliRunner().invoke(app, [*run, "--set", "run.allow=heads-veiw"])
    assert refused.exit_code == 2
    assert "got 'heads-veiw'; did you mean 'heads-view'?" in refused.stderr


def test_a_settings_file_allows_it(target, tmp_path):
    """For a target, and for a block of ours."""
    file = tmp_path / "heads.yaml"
    file.write_text(f"target: {target}\nrun:\n  allow: [heads-view]\n")
    assert CliRunner().invoke(app, ["run", str(file), "--strict"]).exit_code == 0
    assert attntrace.run({"heads": 4, "run": {"allow": ["mask-fill"]}}).warnings == ()
