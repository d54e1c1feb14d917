"""Why torch's own modules refuse to attend: nn.MultiheadAttention and the layers around it."""

from __future__ import annotations

import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from torch import nn

from attntrace.analysis.diagnosis import Given
from attntrace.analysis.diagnosis.writing import written
from tests.diagnosis.failing import offered, refused


class Attention(nn.Module):
    """One call of nn.MultiheadAttention over a memory."""

    def __init__(self, dim=64, heads=4, **options):
        super().__init__()
        self.attn = nn.MultiheadAttention(dim, heads, **options)

    def forward(self, x, memory=None, mask=None, pad=None):
        memory = x if memory is None else memory
        return self.attn(x, memory, memory, attn_mask=mask, key_padding_mask=pad)[0]


class Ordered(Attention):
    """One call with keys and values of their own."""

    def forward(self, q, k, v):
        return self.attn(q, k, v)[0]


class Hinted(Attention):
    """A hint without the mask that it is about."""

    def forward(self, x):
        return self.attn(x, x, x, is_causal=True)[0]


class Encoder(nn.Module):
    """A layer of torch's own, called as its documentation calls it."""

    def __init__(self, **options):
        super().__init__()
        self.layer = nn.TransformerEncoderLayer(64, 4, 96, **options)

    def forward(self, x, mask=None, pad=None):
        return self.layer(x, src_mask=mask, src_key_padding_mask=pad)


class Stack(nn.Module):
    """A layer of torch's own, called as its documentation calls it."""

    def __init__(self, **options):
        super().__init__()
        layer = nn.TransformerEncoderLayer(64, 4, 96, **options)
        self.encoder = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)

    def forward(self, x, mask=None):
        return self.encoder(x, mask)


class Decoder(nn.Module):
    """A layer of torch's own, called as its documentation calls it."""

    def __init__(self, **options):
        super().__init__()
        self.layer = nn.TransformerDecoderLayer(64, 4, 96, **options)

    def forward(self, x, memory, mask=None, pad=None):
        return self.layer(x, memory, mask, memory_key_padding_mask=pad)


class Both(nn.Module):
    """A layer of torch's own, called as its documentation calls it."""

    def __init__(self, **options):
        super().__init__()
        self.transformer = nn.Transformer(64, 4, 1, 1, 96, **options)

    def forward(self, src, tgt, mask=None):
        return self.transformer(src, tgt, tgt_mask=mask)


def of(*shape):
    return torch.zeros(shape)


def mask(*shape):
    return torch.zeros(shape, dtype=torch.bool)


BF = {"batch_first": True}
X = of(2, 10, 64)
MODULES = {
    "targets of another width than the sources": (
        Both(**BF),
        [X, of(2, 10, 48)],
        "`self.transformer` was built for d_model=64, and the last size of tgt (2, 10, 48) is 48.",
        "bring tgt to 64 features first: `nn.Linear(48, 64)(tgt)`",
    ),
    "a mask for each sample": (
        Attention(**BF),
        [X, None, mask(2, 10, 10)],
        (
            "`self.attn` takes an attn_mask of (10, 10), or one a head of (8, 10, 10), as "
            "batch * num_heads is 2 * 4 = 8; mask is (2, 10, 10) and has 2."
        ),
        "repeat the mask of each sample for its 4 heads: `mask.repeat_interleave(4, dim=0)`",
    ),
    "a mask for each head": (
        Attention(**BF),
        [X, None, mask(2, 4, 10, 10)],
        (
            "`self.attn` takes an attn_mask of (10, 10), or one a head of (8, 10, 10), as "
            "batch * num_heads is 2 * 4 = 8; mask is (2, 4, 10, 10)."
        ),
        "fold heads into the batch: `mask.flatten(0, 1)`",
    ),
    "a mask with an axis for heads": (
        Attention(**BF),
        [X, None, mask(2, 1, 10, 10)],
        (
            "`self.attn` takes an attn_mask of (10, 10), or one a head of (8, 10, 10), as "
            "batch * num_heads is 2 * 4 = 8; mask is (2, 1, 10, 10)."
        ),
        (
            "spread it over 2 samples and 4 heads, and fold these into one axis: "
            "`mask.expand(2, 4, 10, 10).flatten(0, 1)`"
        ),
    ),
    "a mask of padding": (
        Attention(**BF),
        [X, None, mask(2, 10)],
        (
            "`self.attn` takes an attn_mask of (10, 10), or one a head of (8, 10, 10), as "
            "batch * num_heads is 2 * 4 = 8; mask is (2, 10)."
        ),
        (
            "mask masks keys, one row a sample: hand it over as `key_padding_mask=mask`, True where a "
            "key is padding"
        ),
    ),
    "a mask for a longer sequence": (
        Attention(**BF),
        [X, None, mask(12, 12)],
        (
            "`self.attn` takes an attn_mask of (10, 10), or one a head of (8, 10, 10), as "
            "batch * num_heads is 2 * 4 = 8; mask is (12, 12)."
        ),
        "cut mask to 10 queries and 10 keys: `mask[:10, :10]`",
    ),
    "a mask that says where the length is": (
        Attention(),
        [X, None, mask(10, 10)],
        (
            "`self.attn` takes an attn_mask of (2, 2), or one a head of (40, 2, 2), as "
            "batch * num_heads is 10 * 4 = 40; mask is (10, 10)."
        ),
        (
            "build `self.attn` with batch_first=True, so that x (2, 10, 64) is read as a batch of 2 "
            "and a length of 10: `nn.MultiheadAttention(64, 4, batch_first=True)`"
        ),
    ),
    "padding that says where the batch is": (
        Attention(),
        [X, None, None, mask(2, 10)],
        "`self.attn` takes a key_padding_mask of (batch, keys) = (10, 2), and pad is (2, 10).",
        (
            "build `self.attn` with batch_first=True, so that x (2, 10, 64) is read as a batch of 2 "
            "and a length of 10: `nn.MultiheadAttention(64, 4, batch_first=True)`"
        ),
    ),
    "padding the other way round": (
        Attention(**BF),
        [X, None, None, mask(10, 2)],
        "`self.attn` takes a key_padding_mask of (batch, keys) = (2, 10), and pad is (10, 2).",
        "put the batch first in the mask: `pad.transpose(0, 1)`",
    ),
    "padding without the class token": (
        Attention(**BF),
        [X, None, None, mask(2, 9)],
        "`self.attn` takes a key_padding_mask of (batch, keys) = (2, 10), and pad is (2, 9).",
        "add 1 column for the keys put before the 9: `F.pad(pad, (1, 0), value=False)`",
    ),
    "padding with an axis too many": (
        Attention(**BF),
        [X, None, None, mask(2, 1, 10)],
        "`self.attn` takes a key_padding_mask of (batch, keys) = (2, 10), and pad is (2, 1, 10).",
        "drop the axes of size 1: `pad.reshape(2, 10)`",
    ),
    "padding of whole numbers": (
        Attention(**BF),
        [X, None, None, torch.ones(2, 10, dtype=torch.int64)],
        (
            "`self.attn` takes a key_padding_mask of torch.bool, or of float32 as x is, and pad is "
            "int64."
        ),
        (
            "where 1 marks what may be looked at, turn it round to a torch.bool mask that is True "
            "where nothing may look: `pad == 0`"
        ),
    ),
    "padding of other floats": (
        Attention(**BF),
        [X, None, None, torch.zeros(2, 10, dtype=torch.bfloat16)],
        (
            "`self.attn` takes a key_padding_mask of torch.bool, or of float32 as x is, and pad is "
            "bfloat16."
        ),
        "cast it: `pad.to(x.dtype)`",
    ),
    "another width": (
        Attention(**BF),
        [of(2, 10, 48)],
        "`self.attn` was built for embed_dim=64, and the last size of x (2, 10, 48) is 48.",
        "build `self.attn` with embed_dim=48: `nn.MultiheadAttention(48, 4, batch_first=True)`",
    ),
    "features before the length": (
        Attention(**BF),
        [of(2, 64, 10)],
        "`self.attn` was built for embed_dim=64, and the last size of x (2, 64, 10) is 10.",
        "put the 64 features last: `x.transpose(1, 2)` and `memory.transpose(1, 2)`",
    ),
    "a memory of another width": (
        Attention(**BF),
        [X, of(2, 7, 48)],
        "`self.attn` was built for kdim=64, and the last size of memory (2, 7, 48) is 48.",
        (
            "tell it the widths of keys and values: "
            "`nn.MultiheadAttention(64, 4, batch_first=True, kdim=48, vdim=48)`"
        ),
    ),
    "batches read as lengths": (
        Attention(),
        [X, of(2, 7, 64)],
        (
            "`self.attn` was built with batch_first=False, so the batch is size 1 of each tensor: "
            "10 in x (2, 10, 64) and 7 in memory (2, 7, 64)."
        ),
        "build `self.attn` with batch_first=True: `nn.MultiheadAttention(64, 4, batch_first=True)`",
    ),
    "a memory with its length first": (
        Attention(**BF),
        [X, of(7, 2, 64)],
        (
            "`self.attn` was built with batch_first=True, so the batch is size 0 of each tensor: "
            "2 in x (2, 10, 64) and 7 in memory (7, 2, 64)."
        ),
        "swap the first two axes of memory: `memory.transpose(0, 1)`",
    ),
    "queries without a batch": (
        Attention(**BF),
        [of(10, 64), X],
        (
            "`self.attn` needs query, key and value of the same number of dimensions, and x (10, 64) "
            "has 2 where memory (2, 10, 64) has 3."
        ),
        "give x the batch of 2: `x.unsqueeze(0).expand(2, -1, -1)`",
    ),
    "an image": (
        Attention(**BF),
        [of(2, 64, 5, 5)],
        (
            "`self.attn` takes (batch, length, embed_dim), or (length, embed_dim) without a batch, "
            "and x (2, 64, 5, 5) has 4 dimensions."
        ),
        (
            "make one length of height and width, and put the channels last: "
            "`x.flatten(2).transpose(1, 2)` and `memory.flatten(2).transpose(1, 2)`"
        ),
    ),
    "values of another length": (
        Ordered(**BF),
        [of(2, 7, 64), of(2, 7, 64), X],
        (
            "`self.attn` needs as many values as keys, and v (2, 10, 64) has a length of 10 where k "
            "(2, 7, 64) has 7."
        ),
        (
            "hand over query, key, value in this order, so that keys and values have the same length, "
            "7: `self.attn(v, k, q)`"
        ),
    ),
    "a hint without a mask": (
        Hinted(**BF),
        [X],
        (
            "`self.attn` takes is_causal=True only as a hint beside an attn_mask of (10, 10), and "
            "attn_mask is None."
        ),
        (
            "hand over the mask as well: "
            "`attn_mask=nn.Transformer.generate_square_subsequent_mask(10)`"
        ),
    ),
    "an encoder layer of another width": (
        Encoder(**BF),
        [of(2, 10, 48)],
        "`self.layer` was built for d_model=64, and the last size of x (2, 10, 48) is 48.",
        "build `self.layer` with d_model=48: `nn.TransformerEncoderLayer(48, 4, batch_first=True)`",
    ),
    "an encoder layer with the length first": (
        Encoder(),
        [X, mask(10, 10)],
        (
            "`self.layer` takes a src_mask of (2, 2), or one a head of (40, 2, 2), as "
            "batch * num_heads is 10 * 4 = 40; mask is (10, 10)."
        ),
        (
            "build `self.layer` with batch_first=True, so that x (2, 10, 64) is read as a batch of 2 "
            "and a length of 10: `nn.TransformerEncoderLayer(64, 4, batch_first=True)`"
        ),
    ),
    "a stack of encoders": (
        Stack(**BF),
        [X, mask(12, 12)],
        (
            "`self.encoder[0]` takes a src_mask of (10, 10), or one a head of (8, 10, 10), as "
            "batch * num_heads is 2 * 4 = 8; mask is (12, 12)."
        ),
        "cut mask to 10 queries and 10 keys: `mask[:10, :10]`",
    ),
    "a decoder layer with the length first": (
        Decoder(),
        [X, of(2, 7, 64)],
        (
            "`self.layer` was built with batch_first=False, so the batch is size 1 of each tensor: "
            "10 in x (2, 10, 64) and 7 in memory (2, 7, 64)."
        ),
        (
            "build `self.layer` with batch_first=True: "
            "`nn.TransformerDecoderLayer(64, 4, batch_first=True)`"
        ),
    ),
    "a decoder layer with the padding of its queries": (
        Decoder(**BF),
        [X, of(2, 7, 64), None, mask(2, 10)],
        (
            "`self.layer` takes a memory_key_padding_mask of (batch, keys) = (2, 7), and pad is "
            "(2, 10)."
        ),
        "cut it to 7 keys: `pad[:, :7]`",
    ),
    "a memory that a decoder layer cannot read": (
        Decoder(**BF),
        [X, of(2, 7, 48)],
        "`self.layer` was built for d_model=64, and the last size of memory (2, 7, 48) is 48.",
        "bring memory to 64 features first: `nn.Linear(48, 64)(memory)`",
    ),
    "a transformer with lengths first": (
        Both(**BF),
        [of(9, 2, 64), of(5, 2, 64)],
        (
            "`self.transformer` was built with batch_first=True, so the batch is size 0 of each "
            "tensor: 5 in tgt (5, 2, 64) and 9 in src (9, 2, 64)."
        ),
        (
            "build `self.transformer` with batch_first=False: "
            "`nn.Transformer(64, 4, batch_first=False)`"
        ),
    ),
    "a transformer with the mask of its source": (
        Both(**BF),
        [of(2, 9, 64), of(2, 5, 64), mask(9, 9)],
        (
            "`self.transformer` takes a tgt_mask of (5, 5), or one a head of (8, 5, 5), as "
            "batch * num_heads is 2 * 4 = 8; mask is (9, 9)."
        ),
        "cut mask to 5 queries and 5 keys: `mask[:5, :5]`",
    ),
}


@pytest.mark.parametrize(("module", "inputs", "rule", "fix"), MODULES.values(), ids=MODULES)
def test_modules_that_attend(module, inputs, rule, fix):
    """Names are the author's, the rule has both numbers, and the likeliest fix was tried."""
    found = refused(module, *inputs)
    assert found.rule == rule
    assert offered(found)[0] == fix


sizes = st.integers(2, 7)


@settings(max_examples=25, deadline=None, derandomize=True, database=None)
@given(sizes, st.sampled_from([1, 2, 4]), sizes, sizes)
def test_any_pair_of_batches(batch, heads, length, other):
    """Batches that differ are both named, for the function and for the module."""
    assume(batch != other)
    module = Attention(8, heads, batch_first=True)
    found = refused(module, of(batch, length, 8), of(other, length, 8))
    assert f"{batch} in x" in found.rule
    assert f"{other} in memory" in found.rule
    assert all(fix.tried == "on cpu" for fix in found.fixes)


TURNED = {
    "pad.T": "pad",
    "pad.t()": "pad",
    "pad.transpose(1, 0)": "pad",
    "pad.transpose(1, 2)": "pad.transpose(1, 2).transpose(0, 1)",
    "a + pad.T": "(a + pad.T).transpose(0, 1)",
}


@pytest.mark.parametrize(("name", "code"), TURNED.items())
def test_no_transpose_is_put_on_a_transpose(name, code):
    """What the author swapped and should not have is left out."""
    assert written(Given(name=name, shape=(5, 2)).then("transpose", 0, 1)) == code


class Turned(nn.Module):
    """Turns the padding mask along with the tokens."""

    def __init__(self):
        super().__init__()
        self.enc = nn.TransformerEncoderLayer(16, 4, 32)

    def forward(self, x, pad):
        return self.enc(x, src_key_padding_mask=pad.transpose(0, 1))


def test_a_mask_that_was_turned_with_the_tokens():
    """A padding mask is (batch, keys) whatever the layout of the tokens."""
    found = refused(Turned(), torch.zeros(5, 2, 16), torch.zeros(2, 5, dtype=torch.bool))
    assert found.fixes[0].code == "self.enc(x, src_key_padding_mask=pad)"
