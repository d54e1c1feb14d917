"""The words in which a block's taps explain themselves; they depend on the spec's choices."""

from __future__ import annotations

from dataclasses import dataclass

from attntrace.spec import Spec


@dataclass(frozen=True, slots=True)
class Words:
    """Parts of the formulas and axes of an attention layer, each ready to be put in place."""

    width: str
    scale: str
    scores_scale: str
    context: str
    qkv_bias: str
    out_bias: str
    skip: str


def names_of(spec: Spec) -> Words:
    """Return the words for one spec, such as "head_dim^-0.5" for its scale."""
    attention = spec.attention
    symbols = {"head": "head_dim^-0.5", "embed": "chan^-0.5", "input": "dim^-0.5", "none": ""}
    given = attention.qk_scale
    scale = symbols[given] if isinstance(given, str) else f"{given:g}"
    times = f" * {scale}" if scale else ""
    fused = f"softmax(q k^T{times}) v"
    return Words(
        width="chan" if spec.width == spec.chan else "heads*head_dim",
        scale=scale,
        scores_scale=times,
        context=fused if attention.impl == "sdpa" else "probs v",
        qkv_bias=" + b_qkv" if attention.qkv_bias else "",
        out_bias=" + b_proj" if attention.out_bias else "",
        skip={"value": "v_merged", "input": "x", "none": ""}[spec.skip],
    )
