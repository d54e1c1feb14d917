"""The words in which an attention layer's taps explain themselves; they depend on its spec."""

from __future__ import annotations

from dataclasses import dataclass

from attntrace.spec import Spec


@dataclass(frozen=True, slots=True)
class Words:
    """Parts of the formulas of an attention layer, each ready to be put in place."""

    scale: str
    scores: str
    probs: str
    context: str


def words_of(spec: Spec) -> Words:
    """Return the words for one spec, such as "head_dim^-0.5" for its scale."""
    symbols = {"head": "head_dim^-0.5", "embed": "chan^-0.5", "input": "dim^-0.5", "none": ""}
    given = spec.attention.qk_scale
    scale = symbols[given] if isinstance(given, str) else f"{given:g}"
    times = f" * {scale}" if scale else ""
    fused = f"softmax(q k^T{times}) v"
    at_q = spec.attention.scale_at == "q"
    return Words(
        scale=scale,
        scores=f"q k^T{times if at_q else ''}",
        probs=fused.removesuffix(" v"),
        context=fused if spec.attention.impl == "sdpa" else "probs v",
    )


def plus(bias: bool, name: str) -> str:
    """Return the bias of a projection as a summand, or nothing."""
    return f" + b_{name}" if bias else ""
