"""The models that whole-model claims are about: narrow pre-norm layers, and GPT-2.

Plain PyTorch as anyone would write it; nothing of attntrace is in here.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

BATCH, TOKENS, WIDTH, HEADS = 2, 16, 32, 4
GPT2_TOKENS = 64


class PreNormLayer(nn.Module):
    """A transformer layer with the norms first: attention and GELU, every step in the open."""

    def __init__(self) -> None:
        super().__init__()
        self.attention_norm, self.feed_forward_norm = nn.LayerNorm(WIDTH), nn.LayerNorm(WIDTH)
        self.qkv, self.proj = nn.Linear(WIDTH, 3 * WIDTH), nn.Linear(WIDTH, WIDTH)
        self.up, self.down = nn.Linear(WIDTH, 4 * WIDTH), nn.Linear(4 * WIDTH, WIDTH)

    def forward(self, x: Tensor) -> Tensor:
        """Return (batch, tokens, width) for x (batch, tokens, width)."""
        batch, tokens, width = x.shape
        qkv = self.qkv(self.attention_norm(x)).reshape(batch, tokens, 3, HEADS, width // HEADS)
        q, k, v = qkv.permute(2, 0, 3, 1, 4)
        scores = q @ k.transpose(-2, -1) * (width // HEADS) ** -0.5
        probs = scores.softmax(-1)
        context = (probs @ v).transpose(1, 2).reshape(batch, tokens, width)
        x = x + self.proj(context)
        out: Tensor = x + self.down(F.gelu(self.up(self.feed_forward_norm(x))))
        return out


def narrow(layers: int, batch: int = BATCH) -> tuple[nn.Module, Tensor]:
    """Return that many narrow layers in eval mode, and their x (batch, tokens, width)."""
    x = torch.randn((batch, TOKENS, WIDTH), generator=torch.Generator().manual_seed(0))
    return nn.Sequential(*(PreNormLayer() for _ in range(layers))).eval(), x


def gpt2() -> tuple[nn.Module, Tensor]:
    """Return GPT-2 of 12 layers as published, with random weights, and ids (1, 64).

    Raises ImportError where transformers is not installed.
    """
    from transformers import GPT2Config, GPT2Model

    ids = torch.randint(0, 50257, (1, GPT2_TOKENS), generator=torch.Generator().manual_seed(0))
    model: nn.Module = GPT2Model(GPT2Config())
    return model.eval(), ids
