"""What torch offers and what people build of it: recurrence, attention, experts."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence, pack_sequence, pad_packed_sequence

from tests.corpus.case import case, given, made


def _x(*shape: int) -> torch.Tensor:
    return torch.randn(*shape)


@case(lambda: given(_x(3, 6, 5), torch.tensor([6, 4, 1])))
class PackedLSTM(nn.Module):
    """A packed sequence goes through an LSTM of two layers and both directions."""

    def __init__(self):
        super().__init__()
        self.lstm = nn.LSTM(5, 4, 2, batch_first=True, bidirectional=True, dropout=0.2)

    def forward(self, x, lengths):
        packed = pack_padded_sequence(x, lengths, batch_first=True)
        out, (h, c) = self.lstm(packed)
        return pad_packed_sequence(out, batch_first=True), h, c


@made(lambda: given(pack_sequence([_x(4, 5), _x(2, 5)]), _x(2, 2, 3)))
def packed_gru():
    """A packed sequence and a state go in, and come out."""
    return nn.GRU(5, 3, bidirectional=True)


@case(lambda: given(_x(6, 2, 5)))
class Recurrent(nn.Module):
    """RNN, GRU and a projected LSTM, one upon the other."""

    def __init__(self):
        super().__init__()
        self.rnn, self.gru = nn.RNN(5, 4, nonlinearity="relu"), nn.GRU(4, 4)
        self.lstm = nn.LSTM(4, 6, proj_size=3)

    def forward(self, x):
        return self.lstm(self.gru(self.rnn(x)[0])[0])


@case(lambda: given(_x(6, 2, 5)))
class CellLoop(nn.Module):
    """Cells in a loop of one's own, with a decoder that feeds on its own words."""

    def __init__(self):
        super().__init__()
        self.cell, self.other = nn.LSTMCell(5, 4), nn.GRUCell(4, 4)
        self.word = nn.Linear(4, 5)

    def forward(self, steps):
        h = c = steps.new_zeros(2, 4)
        g, words = torch.zeros(2, 4), []
        for x in steps:
            h, c = self.cell(x, (h, c))
            g = self.other(h, g)
        x = self.word(g)
        for _ in range(3):
            h, c = self.cell(x, (h, c))
            x = self.word(h)
            words.append(x.argmax(-1))
        return torch.stack(words), (h, c)


@made(lambda: given(*[_x(2, 5, 12)] * 3), "asks")
def multihead_attention():
    """Torch's own attention, of itself."""
    return nn.MultiheadAttention(12, 3, batch_first=True)


@case(lambda: given(_x(2, 5, 12), _x(2, 7, 8)), "asks")
class MultiheadEveryWay(nn.Module):
    """Torch's own attention across, with masks, without weights, and called by keyword."""

    def __init__(self):
        super().__init__()
        self.cross = nn.MultiheadAttention(12, 3, kdim=8, vdim=8, batch_first=True)
        self.self_ = nn.MultiheadAttention(12, 2, add_zero_attn=True, bias=False, batch_first=True)
        self.first = nn.MultiheadAttention(12, 4, add_bias_kv=True)

    def forward(self, x, memory):
        padding = torch.zeros(2, 7, dtype=torch.bool)
        padding[1, 5:] = True
        a, _ = self.cross(x, memory, memory, key_padding_mask=padding)
        causal = nn.Transformer.generate_square_subsequent_mask(5)
        b, _ = self.self_(
            query=a, key=a, value=a, attn_mask=causal, need_weights=False, is_causal=True
        )
        c, each = self.first(b.mT.mT, b, b, average_attn_weights=False)
        return c, each


@made(lambda: given(_x(2, 6, 12), src_key_padding_mask=torch.arange(12).view(2, 6) > 9), "asks")
def encoder():
    """Torch's encoder, which takes padding apart when nobody looks."""
    layer = nn.TransformerEncoderLayer(12, 3, 16, 0.1, batch_first=True, activation="gelu")
    return nn.TransformerEncoder(layer, 2)


@made(lambda: given(_x(2, 4, 12), _x(2, 6, 12)), "asks")
def decoder():
    """Torch's decoder, over a memory."""
    layer = nn.TransformerDecoderLayer(12, 3, 16, batch_first=True, norm_first=True)
    return nn.TransformerDecoder(layer, 2, norm=nn.LayerNorm(12))


@made(lambda: given(_x(5, 2, 12), _x(4, 2, 12)), "asks")
def whole_transformer():
    """Encoder and decoder, time first."""
    return nn.Transformer(12, 3, 1, 1, 16)


@case(lambda: given(_x(2, 3, 5, 4), _x(2, 3, 7, 4)))
class FusedAttention(nn.Module):
    """SDPA with a mask, causal, grouped heads, dropout, and a kernel that was asked for."""

    def forward(self, q, k):
        mask = torch.ones(5, 7, dtype=torch.bool).tril()
        masked = F.scaled_dot_product_attention(q, k, k, attn_mask=mask, scale=0.5)
        causal = F.scaled_dot_product_attention(q, q, q, is_causal=True)
        grouped = F.scaled_dot_product_attention(q, k[:, :1], k[:, :1], enable_gqa=True)
        dropped = F.scaled_dot_product_attention(q, k, k, dropout_p=0.3)
        with torch.nn.attention.sdpa_kernel(torch.nn.attention.SDPBackend.MATH):
            slow = F.scaled_dot_product_attention(q, k, k)
        return masked, causal, grouped, dropped, slow


@case(lambda: given(_x(2, 6, 8)))
class Rotary(nn.Module):
    """Rotary positions, once with halves and once with complex numbers."""

    def __init__(self):
        super().__init__()
        inverse = 1.0 / 100 ** (torch.arange(0, 8, 2) / 8)
        self.register_buffer("inverse", inverse, persistent=False)

    def forward(self, x):
        angles = torch.outer(torch.arange(x.size(1)), self.inverse)
        cos, sin = angles.cos().repeat(1, 2), angles.sin().repeat(1, 2)
        first, second = x.chunk(2, dim=-1)
        halves = x * cos + torch.cat((-second, first), -1) * sin
        pairs = torch.view_as_complex(x.unflatten(-1, (-1, 2)).contiguous())
        turned = torch.view_as_real(pairs * torch.polar(torch.ones_like(angles), angles))
        return halves, turned.flatten(-2)


@case(lambda: given(_x(6, 8)))
class Experts(nn.Module):
    """Each token goes to its two best experts, by index."""

    def __init__(self):
        super().__init__()
        self.gate = nn.Linear(8, 4, bias=False)
        self.experts = nn.ModuleList(nn.Linear(8, 8) for _ in range(4))

    def forward(self, x):
        weights, chosen = self.gate(x).softmax(-1).topk(2, dim=-1)
        out = torch.zeros_like(x)
        for number, expert in enumerate(self.experts):
            token, slot = torch.where(chosen == number)
            if token.numel() == 0:
                continue
            out.index_add_(0, token, expert(x[token]) * weights[token, slot, None])
        return out


@case(lambda: given(torch.tensor([[3, 1, 4, 1, 5]])))
class TinyGPT(nn.Module):
    """Embedding, blocks of hand-written causal attention, tied head, and greedy decoding."""

    class Block(nn.Module):
        def __init__(self):
            super().__init__()
            self.norm, self.qkv, self.out = nn.LayerNorm(8), nn.Linear(8, 24), nn.Linear(8, 8)
            self.mlp = nn.Sequential(nn.LayerNorm(8), nn.Linear(8, 32), nn.GELU(), nn.Linear(32, 8))

        def forward(self, x):
            b, t, c = x.shape
            q, k, v = (
                h.view(b, t, 2, 4).transpose(1, 2) for h in self.qkv(self.norm(x)).split(c, 2)
            )
            scores = (q @ k.transpose(-2, -1)) / math.sqrt(4)
            scores = scores.masked_fill(torch.ones(t, t).triu(1).bool(), float("-inf"))
            x = x + self.out((scores.softmax(-1) @ v).transpose(1, 2).reshape(b, t, c))
            return x + self.mlp(x)

    def __init__(self):
        super().__init__()
        self.embed, self.place = nn.Embedding(10, 8), nn.Embedding(16, 8)
        self.blocks = nn.Sequential(*[self.Block() for _ in range(2)])

    def forward(self, ids):
        for _ in range(2):
            x = self.embed(ids) + self.place(torch.arange(ids.size(1)))
            logits = self.blocks(x)[:, -1] @ self.embed.weight.T
            ids = torch.cat([ids, logits.argmax(-1, keepdim=True)], dim=1)
        return ids


@case(lambda: given(_x(2, 3, 8, 8)))
class ResidualNet(nn.Module):
    """A small residual network with shortcut, norm and pooling."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 4, 3, 1, 1, bias=False), nn.BatchNorm2d(4))
        self.body = nn.Sequential(nn.Conv2d(4, 8, 3, 2, 1), nn.ReLU(True), nn.Conv2d(8, 8, 3, 1, 1))
        self.short = nn.Conv2d(4, 8, 1, 2)

    def forward(self, x):
        x = F.relu(self.stem(x), inplace=True)
        out = self.body(x)
        out += self.short(x)
        return torch.flatten(F.adaptive_avg_pool2d(out, 1), 1)


@case(lambda: given(_x(2, 5)))
class Autoencoder(nn.Module):
    """A variational autoencoder with a reparametrized draw."""

    def __init__(self):
        super().__init__()
        self.into, self.back = nn.Linear(5, 6), nn.Linear(3, 5)

    def forward(self, x):
        mean, log_var = self.into(x).chunk(2, -1)
        z = mean + (0.5 * log_var).exp() * torch.randn_like(mean)
        loss = -0.5 * (1 + log_var - mean.pow(2) - log_var.exp()).sum()
        return self.back(z).sigmoid(), {"kl": loss, "z": z}


@case(lambda: given(_x(5, 4), torch.tensor([[0, 1, 2, 3], [1, 2, 3, 4]])))
class MessagePassing(nn.Module):
    """A graph network that sends messages along edges."""

    def __init__(self):
        super().__init__()
        self.message, self.update = nn.Linear(8, 4), nn.GRUCell(4, 4)

    def forward(self, nodes, edges):
        sender, receiver = edges
        sent = self.message(torch.cat([nodes[sender], nodes[receiver]], -1)).relu()
        got = torch.zeros_like(nodes).index_add_(0, receiver, sent)
        return self.update(got, nodes)
