"""The same layer on `torch.nn.MultiheadAttention`, which keeps its intermediates to itself."""

from __future__ import annotations

from torch import Tensor, nn

from attntrace.blocks.attention.placing import placed, placing_taps
from attntrace.blocks.attention.words import words_of
from attntrace.blocks.axes import Axes
from attntrace.blocks.guide import NOTHING, Guide
from attntrace.capture.tap import Tap, Taps
from attntrace.spec import Spec


class TorchAttention(nn.Module):
    """`nn.MultiheadAttention` with its batch first.

    Shapes: x (batch, tokens, chan), context (batch, context_tokens, context_dim) or None -> out
    (batch, tokens, chan). The probs are None, (batch, tokens, keys) averaged over the heads, or
    (batch, heads, tokens, keys). A mask is True where a key is hidden.
    """

    def __init__(self, spec: Spec, axes: Axes) -> None:
        super().__init__()
        a = axes
        self.weights, self.heads = spec.attention.need_weights, spec.heads
        self.attn = nn.MultiheadAttention(
            spec.chan,
            spec.heads,
            dropout=spec.attention.dropout,
            bias=spec.attention.qkv_bias,
            kdim=spec.context_dim if spec.cross else None,
            vdim=spec.context_dim if spec.cross else None,
            batch_first=True,
        )
        per_head = spec.attention.need_weights == "per-head"
        heads = f"{a.heads} " if per_head else ""
        inner = words_of(spec).probs
        self.tap = Taps(
            *placing_taps(spec, a),
            Tap("proj", f"{a.batch} {a.tokens} {a.chan}", f"concat of {inner} v, projected"),
            Tap("probs", f"{a.batch} {heads}{a.tokens} {a.keys}", inner if per_head else f"{inner}, averaged over the heads"),
        )  # fmt: skip

    def forward(self, x: Tensor, context: Tensor | None = None, guide: Guide = NOTHING) -> Tensor:
        """Return (batch, tokens, chan) for x (batch, tokens, chan)."""
        source = x if context is None else context
        queries, keys = placed(self.tap, x, source, guide)
        proj, probs = self.attn(
            queries,
            keys,
            source,
            **self.masks(guide),
            need_weights=self.weights != "none",
            average_attn_weights=self.weights == "averaged",
        )
        if probs is not None:
            self.tap.probs(probs)
        return self.tap.proj(proj)

    def masks(self, guide: Guide) -> dict[str, Tensor | bool | None]:
        """Return the mask as the argument that takes its shape."""
        mask = guide.mask
        if mask is None or mask.dim() == 2:
            return {"attn_mask": mask}
        if mask.shape[2] == 1:  # padding alone: (batch, 1, 1, keys)
            return {"key_padding_mask": mask[:, 0, 0]}
        return {"attn_mask": mask.expand(-1, self.heads, -1, -1).flatten(0, 1)}
