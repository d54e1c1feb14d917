"""What the KV cache holds after a step, and what each further token adds to it."""

from __future__ import annotations

from dataclasses import dataclass

from attntrace.record import TensorRecord, Trace

_ROWS = ("k_cache", "v_cache", "latent_cache", "k_rope_cache")
_LENGTHS = ("past+tokens", "all_past+tokens")


@dataclass(frozen=True, slots=True)
class CacheReport:
    """The cache of all layers together; bytes of what one token of one sequence takes, and of all."""

    layers: int
    tokens: int
    kept: int
    """How many of them the next step needs: fewer than all where every layer has a window."""
    token_nbytes: int
    nbytes: int


def cache_report(trace: Trace) -> CacheReport | None:
    """Return what the cache rows of a trace add up to, None for a block without a cache."""
    rows = [row for row in trace.tensors if row.name in _ROWS and _at(row) is not None]
    mask = (trace.spec or {}).get("mask")
    if not rows or mask is None:
        return None
    tokens = max(_length(row) for row in rows)
    a_token = sum(_nbytes(row) // _length(row) for row in rows) // trace.sizes["batch"]
    full = any(_LENGTHS[1] in (row.axes or ()) for row in rows)
    window = None if full else mask["window"]
    return CacheReport(
        layers=len({row.path for row in rows}),
        tokens=tokens,
        kept=tokens if window is None else min(tokens, window - 1),
        token_nbytes=a_token,
        nbytes=sum(_nbytes(row) for row in rows),
    )


def _at(row: TensorRecord) -> int | None:
    """Return which axis counts the tokens, None where the row is no cache."""
    axes = row.axes or ()
    return next((axes.index(name) for name in _LENGTHS if name in axes), None)


def _length(row: TensorRecord) -> int:
    at = _at(row)
    assert at is not None, "a cache row has such an axis"
    assert row.shape is not None, "a cache row is a plain tensor"
    return row.shape[at]


def _nbytes(row: TensorRecord) -> int:
    return row.nbytes or 0
