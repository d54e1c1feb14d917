"""Positions that are added to what q and k are made from, and never to v's, as in DETR."""

from __future__ import annotations

from torch import Tensor

from attntrace.blocks.axes import Axes
from attntrace.blocks.guide import Guide
from attntrace.capture.tap import Tap, Taps
from attntrace.spec import Spec


def placing_taps(spec: Spec, a: Axes) -> list[Tap]:
    """Return the taps of what q and k are made from."""
    width = a.context_dim if spec.cross else a.dim
    source = "x_context" if spec.cross else "x"
    return [
        Tap("x_q", f"{a.batch} {a.tokens} {a.dim}", "x + positions, for q"),
        Tap("x_k", f"{a.batch} {a.keys} {width}", f"{source} + positions, for k"),
    ]


def placed(tap: Taps, x: Tensor, source: Tensor, guide: Guide) -> tuple[Tensor, Tensor]:
    """Return what q (batch, tokens, dim) and k (batch, keys, context_dim) are made from."""
    queries = x if guide.q_positions is None else tap.x_q(x + guide.q_positions)
    if guide.k_positions is None:
        return queries, source
    if source is x and guide.k_positions is guide.q_positions:
        return queries, queries
    return queries, tap.x_k(source + guide.k_positions)
