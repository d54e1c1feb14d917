"""`attntrace run --timeline`: where it is drawn, and where it cannot be."""

from __future__ import annotations

import json

import pytest


@pytest.mark.parametrize("format", ["table", "markdown"])
def test_the_drawing_comes_last(invoke, format):
    """Live bytes over rows stand below the table, with the peak marked and what is alive there."""
    ended = invoke("run", "--heads", 4, "--timeline", "--format", format)
    lines = ended.out.splitlines()
    at = lines.index("live bytes above what was there before")
    assert ended.code == 0
    assert any(line.endswith("█ peak") and "#10 probs" in line for line in lines[at:])
    assert "alive at the peak, #10 probs: 5.2 MiB with what was there before" in lines[at:]


def test_json_has_it_anyway(invoke):
    """The facts of the timeline are in JSON, asked for or not."""
    with_flag = invoke("run", "--heads", 4, "--timeline", "--format", "json").out
    document = json.loads(with_flag)
    assert max(moment["nbytes"] for moment in document["timeline"]) == 5_158_400
    assert with_flag == invoke("run", "--heads", 4, "--format", "json").out


def test_csv_has_no_place_for_it(invoke):
    """CSV is rows alone, so that it is refused rather than dropped."""
    ended = invoke("run", "--heads", 4, "--timeline", "--format", "csv")
    assert (ended.code, ended.out) == (2, "")
    assert ended.err == (
        "attntrace: 1 problem with the settings\n"
        "  --timeline --format csv: csv has rows alone; use table, markdown, or json, which has "
        "the timeline anyway\n"
    )


def test_a_pipe_without_blocks_gets_plain_letters(process):
    """Where the encoding of stdout has no blocks, bars are number signs."""
    ended = process("run", "--heads", 4, "--timeline", PYTHONIOENCODING="ascii")
    assert ended.code == 0
    assert "# peak\n" in ended.out
    assert "█" not in ended.out


def test_a_terminal_gives_its_width(terminal):
    """On a terminal no bar is wider than the screen."""
    shown = terminal("run", "--heads", "4", "--timeline", columns=70)
    bars = [line for line in shown.splitlines() if "█" in line]
    assert max(map(len, bars)) <= 70
    assert len(bars) == 17
