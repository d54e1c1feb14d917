"""The same layer on `torch.nn.MultiheadAttention`, which keeps its intermediates to itself."""

from __future__ import annotations

from torch import Tensor, nn

from attntrace.blocks.formulas import names_of
from attntrace.capture.tap import Tap, Taps
from attntrace.spec import Spec


class TorchAttention(nn.Module):
    """`nn.MultiheadAttention` and a skip.

    Shapes: x (batch, tokens, chan) -> out (batch, tokens, chan). The weights are None,
    (batch, tokens, tokens) averaged over the heads, or (batch, heads, tokens, tokens).
    """

    def __init__(self, spec: Spec) -> None:
        super().__init__()
        self.weights, self.skip = spec.attention.need_weights, spec.skip
        self.attn = nn.MultiheadAttention(
            spec.chan, spec.heads, bias=spec.attention.qkv_bias, batch_first=True
        )
        per_head = spec.attention.need_weights == "per-head"
        key_axes = "batch heads tokens tokens" if per_head else "batch tokens tokens"
        a = names_of(spec)
        inner = f"softmax(q k^T{a.scores_scale})"
        self.tap = Taps(
            Tap("x", "batch tokens dim", "the tokens"),
            Tap("proj", "batch tokens chan", f"concat of {inner} v, projected"),
            Tap("probs", key_axes, inner if per_head else f"{inner}, averaged over the heads"),
            Tap("out", "batch tokens chan", "proj + x" if a.skip else "proj"),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Return (batch, tokens, chan) for x (batch, tokens, chan)."""
        x = self.tap.x(x)
        proj, probs = self.attn(
            x,
            x,
            x,
            need_weights=self.weights != "none",
            average_attn_weights=self.weights == "averaged",
        )
        if probs is not None:
            self.tap.probs(probs)
        proj = self.tap.proj(proj)
        return self.tap.out(x + proj) if self.skip == "input" else proj
