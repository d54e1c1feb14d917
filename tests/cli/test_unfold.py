"""`--unfold`: every row, also of layers that repeat."""

from __future__ import annotations

import csv
import json

SETTINGS = ("run", "--block", "decoder", "--layers", 4, "--tokens", 7, "--device", "meta")
MODEL = (*SETTINGS, "--set", "stack.vocab=97")


def test_tables_are_folded_unless_told_otherwise(invoke):
    """The table and Markdown show the first layer for all; `--unfold` shows all four."""
    for shape in ("table", "markdown"):
        folded = invoke(*MODEL, "--format", shape)
        whole = invoke(*MODEL, "--format", shape, "--unfold")
        assert "stack.layers.0-3 x4: Layer" in folded.out
        assert "stack.layers.3: Layer" not in folded.out
        assert "x4" not in whole.out
        assert "stack.layers.3: Layer" in whole.out


def test_what_machines_read_is_never_folded(invoke):
    """JSON and CSV have every row, whatever is asked."""
    rows = json.loads(invoke(*MODEL, "--format", "json").out)["tensors"]
    lines = list(csv.reader(invoke(*MODEL, "--format", "csv").out.splitlines()))
    assert len(lines) == 1 + len(rows)
    assert [row["path"] for row in rows if row["path"].startswith("stack.layers.3")]
