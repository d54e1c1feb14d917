"""One layer stands for those that are like it, and nothing changes by it."""

from __future__ import annotations

import pytest

import attntrace
from attntrace.analysis.axes import Derived
from attntrace.analysis.layers import shortened
from attntrace.analysis.probing import Sketch, Stroke
from attntrace.api import axes

SMALL = {"batch": 3, "tokens": 5, "chan": 24, "heads": 4, "ff_dim": 44}
CACHED = {**SMALL, "tokens": 1, "cache": {"past": 7}}
EXPERTS = {"kind": "moe", "experts": 6, "experts_per_token": 2, "dense_layers": 2}
STACKS = {
    "encoder": {"block": "encoder", "layers": 5, **SMALL},
    "decoder with a cache": {"block": "decoder", "layers": 4, "kv_heads": 2, **CACHED},
    "two stacks": {"block": "encoder-decoder", "layers": 3, "context_tokens": 11, **SMALL},
    "experts after dense layers": {
        "block": "decoder",
        "layers": 5,
        "feed_forward": EXPERTS,
        **SMALL,
        "run": {"device": "meta"},
    },
    "followed backward": {"block": "encoder", "layers": 4, **SMALL, "run": {"grad": True}},
}


@pytest.mark.parametrize("settings", STACKS.values(), ids=STACKS)
def test_few_layers_tell_what_all_do(settings, monkeypatch):
    """Rows and parameters have the axes that a probe of every layer finds."""
    lengths = []
    seen = axes._of_spec

    def noted(spec, base, **how):
        lengths.append(len(base.strokes))
        return seen(spec, base, **how)

    monkeypatch.setattr(axes, "_of_spec", noted)
    quick = attntrace.run(settings, axes=True)
    monkeypatch.setattr(axes, "shortened", lambda *_, **__: None)
    slow = attntrace.run(settings, axes=True)
    assert [row.axes for row in quick.tensors] == [row.axes for row in slow.tensors]
    assert quick.facts.sizes == slow.facts.sizes
    assert lengths[0] < lengths[1], "the first was of fewer layers"


def test_layers_that_differ_stand_for_themselves():
    """A layer of other rows, and every layer before it, is kept."""
    rows = [
        _row(0, 8),
        _row(1, 8),
        _row(2, 4),
        _row(3, 8),
        _row(4, 4),
        Stroke("add", "", "op", (8,)),
    ]
    short = shortened(Sketch(tuple(rows)), cached=False)
    assert short is not None
    assert short.layers == {"stack.layers": 3}
    assert short.rows == (0, 1, 2, 0, 2, 3)
    assert [row.path for row in short.sketch.strokes] == [
        "stack.layers.0.up", "stack.layers.1.up", "stack.layers.2.up", "",
    ]  # fmt: skip
    found = Derived(rows=(("chan",), ("dim",), ("heads",), ("out",)))
    assert short.spread(found).rows == (
        ("chan",), ("dim",), ("heads",), ("chan",), ("heads",), ("out",),
    )  # fmt: skip


def test_what_declared_axes_tell_apart_is_not_alike():
    """Two layers of one shape, of which a tap says different axes, are two kinds."""
    rows = (_row(0, 8), _row(1, 8))
    assert shortened(Sketch(rows), cached=False).layers == {"stack.layers": 1}
    assert shortened(Sketch(rows, declared=(("chan",), ("dim",))), cached=False) is None


def test_a_cache_that_nobody_can_place():
    """Caches that differ from layer to layer, unlike the layers, leave every layer in."""
    caches = tuple(Stroke("input", "", "input", (size,)) for size in (5, 3, 4))
    layers = (_row(0, 8), _row(1, 8))
    assert shortened(Sketch((*caches, *layers)), cached=True) is None
    alike = tuple(Stroke("input", "", "input", (size,)) for size in (5, 3, 3))
    assert shortened(Sketch((*alike, *layers)), cached=True).rows == (0, 1, 1, 2, 2)


def _row(layer, size):
    return Stroke("linear", f"stack.layers.{layer}.up", "op", (size,))
