"""Every file in configs/: it runs on cpu and on meta, with the same rows and true axes."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import attntrace
from tests.blocks.test_variants import check_axes
from tests.capture.predictions import both, check

CONFIGS = sorted((Path(__file__).parents[2] / "configs").glob("*.yaml"))
NARROW = {
    "layers": 1,
    "ff_dim": 96,
    "stack": {"vocab": 1000},
    "run": {"device": "cpu"},
}
"""What makes a model of billions of parameters small enough for this test; the rest stays."""
EXTRA = {
    "deepseek-v3": {"layers": 2, "feed_forward": {"dense_layers": 1, "expert_dim": 32}},
    "llama3-405b": {"chan": 256, "heads": 16, "kv_heads": 2, "tokens": 11},
    "mixtral-8x7b": {"ff_dim": None, "feed_forward": {"expert_dim": 32}},
}


def on_cpu(path):
    """Return a config as it is, or, where it is made for meta, with fewer and narrower layers."""
    spec = attntrace.load(path)
    if spec.run.device != "meta":
        return spec
    return attntrace.load(path, **{**NARROW, **EXTRA.get(path.stem, {})})


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_cpu_and_meta_show_the_same_rows(path):
    """Every row, op and byte is the same, every axis is the size of its dimension, no warning."""
    real, meta = both(on_cpu(path))
    check_axes(real)
    check(real, meta)
    assert real.warnings == meta.warnings == ()


@pytest.mark.parametrize(
    "path", [p for p in CONFIGS if attntrace.load(p).run.device == "meta"], ids=lambda p: p.stem
)
def test_a_model_too_large_for_a_test_runs_whole_on_meta(path):
    """At full size, without allocating: every axis is true there, too."""
    trace = attntrace.run(path)
    check_axes(trace)
    assert trace.memory.parameters > 10**7


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_a_config_explains_itself(path):
    """The first line is a sentence, the second the number of parameters, and comments are few."""
    first, second, *_ = path.read_text().splitlines()
    assert first.startswith("# ")
    assert first.endswith(".")
    assert len(first) <= 100
    assert second.endswith(" parameters")
    assert len(path.read_text().splitlines()) <= 50


def test_the_readme_has_every_preset():
    """The table of systems names each file in configs/, and no other."""
    readme = (Path(__file__).parents[2] / "README.md").read_text()
    start = readme.index("## What it builds")
    cells = re.findall(
        r"^\|[^|]*\|([^|]*)\|$", readme[start : readme.index("## What the columns")], re.MULTILINE
    )
    named = {name for cell in cells[1:] for name in re.findall(r"`([\w-]+)`", cell)}
    assert named == {path.stem for path in CONFIGS}
