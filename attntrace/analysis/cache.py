"""What the KV cache holds after a step, and what each further token adds to it."""

from __future__ import annotations

from dataclasses import dataclass

from attntrace.record import TensorRecord, Trace

_ROWS = ("k_cache", "v_cache", "latent_cache", "k_rope_cache")
_LENGTH = "past+tokens"


@dataclass(frozen=True, slots=True)
class CacheReport:
    """The cache of all layers together; bytes of what one token of one sequence takes, and of all."""

    layers: int
    tokens: int
    kept: int
    """How many of them the next step needs: fewer than all under a sliding mask."""
    token_nbytes: int
    nbytes: int


def cache_report(trace: Trace) -> CacheReport | None:
    """Return what the cache rows of a trace add up to, None for a block without a cache."""
    rows = [row for row in trace.tensors if row.name in _ROWS and _LENGTH in (row.axes or ())]
    if not rows or trace.spec is None:
        return None
    tokens = _length(rows[0])
    a_token = sum(_nbytes(row) // _length(row) for row in rows) // trace.sizes["batch"]
    window = trace.spec["mask"]["window"]
    return CacheReport(
        layers=len({row.path for row in rows}),
        tokens=tokens,
        kept=tokens if window is None else min(tokens, window - 1),
        token_nbytes=a_token,
        nbytes=sum(_nbytes(row) for row in rows),
    )


def _length(row: TensorRecord) -> int:
    assert row.axes is not None, "a cache row is a tap"
    assert row.shape is not None, "a cache row is a plain tensor"
    return row.shape[row.axes.index(_LENGTH)]


def _nbytes(row: TensorRecord) -> int:
    return row.nbytes or 0
