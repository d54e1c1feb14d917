"""What the KV cache holds: from the rows of the trace, and as a line below the table."""

from __future__ import annotations

import pytest

import attntrace
from attntrace.analysis.cache import CacheReport, cache_report

LAYERS = {"batch": 3, "tokens": 2, "chan": 24, "heads": 4, "layers": 5, "ff_dim": 40}
CAUSAL = {"kind": "causal"}


def report(**settings):
    """Return the cache of a decoder after a step, and the line that the table has of it."""
    trace = attntrace.run({**LAYERS, "block": "decoder", **settings})
    (line,) = [line for line in str(trace).splitlines() if line.startswith("cache ")]
    return cache_report(trace.facts), line


def test_keys_and_values_of_every_layer():
    """kv_heads, and not heads, times both widths, times layers: that is what a token costs."""
    found, line = report(kv_heads=2, value_head_dim=5, cache={"past": 7})
    token = 5 * 2 * (6 + 5) * 4
    assert found == CacheReport(
        layers=5, tokens=9, kept=9, token_nbytes=token, nbytes=token * 9 * 3
    )
    assert line == (
        "cache        440 B a token over 5 layers; 11.6 KiB (11,880 B) for the 9 tokens of "
        "each sequence"
    )


def test_a_sliding_window_keeps_no_more_than_it_shows():
    """Of 20 tokens a window of 8 keeps 7; with the new ones it sees 9, and keeps 7 again."""
    found, line = report(mask={"kind": "causal, sliding", "window": 8}, cache={"past": 20})
    assert (found.tokens, found.kept) == (9, 7)
    assert line.endswith("for the 9 tokens of each sequence, of which a sliding window keeps 7")


def test_latents_are_what_mla_keeps():
    """Latent attention caches kv_lora_rank + rope_head_dim numbers, whatever the heads."""
    mla = {"kind": "mla", "kv_lora_rank": 7, "nope_head_dim": 3, "rope_head_dim": 4}
    found, _ = report(attention=mla, value_head_dim=5, cache={"past": 6})
    assert found.token_nbytes == 5 * (7 + 4) * 4


def test_an_attention_layer_by_itself():
    """One layer is one layer."""
    trace = attntrace.run({"heads": 4, "mask": CAUSAL, "cache": {"past": 6}, "batch": 2})
    assert cache_report(trace.facts).layers == 1
    assert "B a token over 1 layer;" in str(trace)


@pytest.mark.parametrize("settings", [{}, {"mask": CAUSAL}])
def test_no_cache_no_line(settings):
    """A block without a cache has no report and no line."""
    trace = attntrace.run({"heads": 4, **settings})
    assert cache_report(trace.facts) is None
    assert "\ncache" not in str(trace)
