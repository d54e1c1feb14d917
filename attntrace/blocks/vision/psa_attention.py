"""The attention of YOLO's PSA: on a map, channels first, tokens last."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from attntrace.blocks.axes import Axes
from attntrace.blocks.vision.conv_bn import ConvBN
from attntrace.capture.tap import Tap, Taps
from attntrace.spec import Spec


class PSAAttention(nn.Module):
    """q, k and v from one convolution, and a depthwise convolution of v for where they are.

    Each head has its own q, k and v side by side in the channels; q and k are half as wide as v.
    Tokens are the last axis, so scores are q^T k and the context is v probs^T.

    Shapes: x (batch, heads*value_head_dim, rows, columns) -> the same.

    Source: Wang et al., "YOLOv10: Real-Time End-to-End Object Detection" (2024), section 3.2, as
    ultralytics' `Attention` has it.
    """

    def __init__(self, spec: Spec, axes: Axes) -> None:
        super().__init__()
        assert spec.scale is not None, "a rule keeps the attention section out of psa"
        a, width = axes, spec.value_width
        self.heads, self.scale = spec.heads, spec.scale
        self.parts = [spec.head_dim, spec.head_dim, spec.value_head_dim]
        every = f"2*{a.heads}*{a.head_dim}+{a.value_width}"
        self.qkv = ConvBN((width, spec.heads * sum(self.parts)), a, every)
        self.pe = ConvBN((width, width), a, a.value_width, kernel=3, depthwise=True)
        self.proj = ConvBN((width, width), a, a.value_width)

        places, head = "rows*columns", f"{a.batch} {a.heads}"
        on_map = f"{a.batch} {a.value_width} rows columns"
        self.tap = Taps(
            Tap("qkv", f"{a.batch} {every} rows columns", "conv(x), BatchNorm"),
            Tap("qkv_split", f"{head} 2*{a.head_dim}+{a.value_head_dim} {places}", "qkv, cut into heads of q, k and v"),
            Tap("q", f"{head} {a.head_dim} {places}", "what a place looks for"),
            Tap("k", f"{head} {a.head_dim} {places}", "what a place offers"),
            Tap("v", f"{head} {a.value_head_dim} {places}", "what a place passes on"),
            Tap("q_t", f"{head} {places} {a.head_dim}", "q^T"),
            Tap("scores", f"{head} {places} {places}", "q^T k"),
            Tap("scores_scaled", f"{head} {places} {places}", "scores * head_dim^-0.5"),
            Tap("probs", f"{head} {places} {places}", "softmax(scores_scaled), each row sums to 1"),
            Tap("probs_t", f"{head} {places} {places}", "probs^T"),
            Tap("context", f"{head} {a.value_head_dim} {places}", "v probs^T"),
            Tap("context_map", on_map, "context, heads side by side on the map"),
            Tap("v_map", on_map, "v, heads side by side on the map"),
            Tap("positions", on_map, "depthwise 3x3 of v_map, BatchNorm"),
            Tap("context_placed", on_map, "context_map + positions"),
            Tap("proj", on_map, "conv(context_placed), BatchNorm"),
        )  # fmt: skip

    def forward(self, x: Tensor) -> Tensor:
        """Return (batch, heads*value_head_dim, rows, columns) for x of that shape."""
        tap = self.tap
        batch, _, rows, columns = x.shape
        qkv = tap.qkv(self.qkv(x))
        qkv = tap.qkv_split(qkv.view(batch, self.heads, sum(self.parts), rows * columns))
        q, k, v = torch.split(qkv, self.parts, dim=2)
        context = self.attend(tap.q(q), tap.k(k), tap.v(v))
        context = tap.context_map(context.view(x.shape))
        context = tap.context_placed(context + self.place(v.reshape(x.shape)))
        return tap.proj(self.proj(context))

    def attend(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """Return v softmax(q^T k * scale)^T, (batch, heads, value_head_dim, rows*columns)."""
        tap = self.tap
        attn = tap.scores(tap.q_t(q.transpose(-2, -1)) @ k)
        attn = tap.scores_scaled(attn * self.scale)
        attn = tap.probs(attn.softmax(dim=-1))
        return tap.context(v @ tap.probs_t(attn.transpose(-2, -1)))

    def place(self, v: Tensor) -> Tensor:
        """Return what the values around each place say of where it is, on the map."""
        return self.tap.positions(self.pe(self.tap.v_map(v)))
