"""`--axes`: dimensions by names, by numbers or by both."""

from __future__ import annotations

import csv
import json

ROPE = ("run", "llama3-8b", "--layers", 1, "--device", "meta")


def rows(out):
    """Return the rows of CSV."""
    return list(csv.DictReader(out.splitlines()))


def test_both(invoke):
    """By default every row has its shape and its axes, also one that no tap marks."""
    found = rows(invoke(*ROPE, "--format", "csv").out)
    assert {"shape", "axes"} <= found[0].keys()
    [row] = [row for row in found if row["tensor"] == "-right"][:1]
    assert row["axes"] == "(batch, heads, tokens, head_dim//2)"


def test_names(invoke):
    """`names` leaves the shapes out."""
    found = rows(invoke("run", "--heads", 4, "--axes", "names", "--format", "csv").out)
    assert "shape" not in found[0]
    assert found[0]["axes"] == "(batch, tokens, dim)"


def test_numbers(invoke):
    """`numbers` leaves the axes out, and derives none."""
    assert "axes" not in rows(invoke(*ROPE, "--axes", "numbers", "--format", "csv").out)[0]
    document = json.loads(invoke(*ROPE, "--axes", "numbers", "--format", "json").out)
    assert document["tensors"][8]["axes"] is None


def test_json_has_what_was_derived(invoke):
    """JSON has axes and the sizes that their symbols stand for, whatever a table would show."""
    document = json.loads(invoke(*ROPE, "--axes", "names", "--format", "json").out)
    assert document["tensors"][8]["axes"] == ["head_dim//2"]
    assert document["sizes"]["head_dim"] == 128


def test_markdown_and_table(invoke):
    """The other formats have the same columns, and the heading says what symbols stand for."""
    for format in ("markdown", "table"):
        shown = invoke("run", "--heads", 4, "--axes", "names", "--format", format).out
        assert "(batch, heads, tokens, tokens)" in shown
        assert "(13, 4, 100, 100)" not in shown
        assert "batch 13 tokens 100 dim 49 chan 64 heads 4 head_dim 16" in shown.replace("\\", "")


def test_columns_that_were_asked_for_stay(invoke):
    """`--columns` has the last word."""
    found = rows(
        invoke("run", "--heads", 4, "--axes", "names", "--columns", "tensor,shape",
               "--format", "csv").out
    )  # fmt: skip
    assert found[0]["shape"] == "(13, 100, 49)"


def test_a_word_that_is_none(call_main):
    """Another word is refused with those that there are."""
    ended = call_main("run", "--axes", "words")
    assert ended.code == 2
    assert ended.err == (
        "attntrace: 1 problem with the settings\n"
        "  --axes words: axes must be one of names, numbers, both; got 'words'\n"
    )
