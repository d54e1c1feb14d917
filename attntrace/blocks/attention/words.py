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
    bias = " + bias" if spec.positions_on == "scores" else ""
    fused = f"softmax(q k^T{times}{bias}) v"
    probs = "probs_dropped" if spec.attention.dropout else "probs"
    at_q = spec.attention.scale_at == "q"
    return Words(
        scale=scale,
        scores=f"q k^T{times if at_q else ''}",
        probs=fused.removesuffix(" v"),
        context=fused if spec.attention.impl == "sdpa" else f"{probs} v",
    )


@dataclass(frozen=True, slots=True)
class Sources:
    """What q, k and v are made from."""

    q: str
    k: str
    v: str


def sources_of(spec: Spec) -> Sources:
    """Return the rows that the projections take: positions that are added make rows of their own."""
    v = "x_context" if spec.cross else "x"
    if not spec.adds_to_qk and not (spec.stack.queries and spec.block == "decoder"):
        return Sources("x", v, v)
    k_placed = spec.adds_to_qk or not spec.cross
    return Sources("x_q", ("x_k" if spec.cross else "x_q") if k_placed else v, v)


def merged_of(spec: Spec) -> str:
    """Return the row that has the context of all heads side by side."""
    if spec.positions.kind == "conv":
        return "context_placed"
    return "context" if spec.attention.layout == "single" else "context_merged"


def returned_by(spec: Spec) -> str:
    """Return what an attention layer returns, a value skip apart."""
    if spec.kind == "window":
        return "what the windows return"
    return "proj" if spec.attention.out_proj else merged_of(spec)


def plus(bias: bool, name: str) -> str:
    """Return the bias of a projection as a summand, or nothing."""
    return f" + b_{name}" if bias else ""
