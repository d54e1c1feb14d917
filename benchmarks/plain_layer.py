"""The layer of `attntrace run --heads 4 --chan 64` as anyone would write it, without attntrace.

Run as a script it is the program that `attntrace run` is compared with: it imports torch, builds
the layer, and calls it once on the same input. Nothing of attntrace is in here.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

BATCH, TOKENS, DIM, CHAN, HEADS = 13, 100, 49, 64, 4


class PlainAttention(nn.Module):
    """Fused qkv projection, scaled dot products, softmax, output projection, value skip.

    Shapes: x (batch, tokens, dim) -> out (batch, tokens, chan).
    """

    def __init__(self) -> None:
        super().__init__()
        self.head_dim = CHAN // HEADS
        self.qkv = nn.Linear(DIM, 3 * CHAN, bias=False)
        self.proj = nn.Linear(CHAN, CHAN)

    def forward(self, x: Tensor) -> Tensor:
        """Return (batch, tokens, chan) for x (batch, tokens, dim)."""
        batch, tokens, _ = x.shape
        qkv = self.qkv(x).reshape(batch, tokens, 3, HEADS, self.head_dim).permute(2, 0, 3, 1, 4)
        q, k, v = qkv[0], qkv[1], qkv[2]
        attn = (q * self.head_dim**-0.5) @ k.transpose(-2, -1)
        attn = attn.softmax(dim=-1)
        context = (attn @ v).transpose(1, 2).reshape(batch, tokens, CHAN)
        out: Tensor = v.transpose(1, 2).reshape(batch, tokens, CHAN) + self.proj(context)
        return out


def seeded_input() -> Tensor:
    """Return the x (batch, tokens, dim) that `attntrace run` draws."""
    return torch.randn((BATCH, TOKENS, DIM), generator=torch.Generator().manual_seed(0))


if __name__ == "__main__":
    layer, x = PlainAttention().eval(), seeded_input()
    with torch.no_grad():
        layer(x)
