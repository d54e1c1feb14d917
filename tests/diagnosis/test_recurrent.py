"""Why an LSTM, a GRU, an RNN or a cell is refused."""

from __future__ import annotations

import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence

from tests.diagnosis.failing import offered, refused


class Recurrent(nn.Module):
    """One call of a recurrent module."""

    def __init__(self, rnn):
        super().__init__()
        self.rnn = rnn

    def forward(self, x, h=None):
        return self.rnn(x, h)


class Paired(Recurrent):
    """One call with a state of two tensors."""

    def forward(self, x, h, c):
        return self.rnn(x, (h, c))


class Packed(nn.Module):
    """Sequences that are packed, with options."""

    def __init__(self, rnn, **options):
        super().__init__()
        self.rnn, self.options = rnn, options

    def forward(self, x, lengths):
        packed = pack_padded_sequence(x, lengths, **self.options)
        return self.rnn(packed)[0].data


def of(*shape):
    return torch.zeros(shape)


BF = {"batch_first": True}
X = of(4, 10, 16)
CASES = {
    "another width": (
        Recurrent(nn.LSTM(16, 32, **BF)),
        [of(4, 10, 20)],
        "`self.rnn` was built for input_size=16, and the last size of x (4, 10, 20) is 20.",
        "build `self.rnn` with input_size=20: `nn.LSTM(20, 32, batch_first=True)`",
    ),
    "features before the length": (
        Recurrent(nn.LSTM(16, 32, **BF)),
        [of(4, 16, 10)],
        "`self.rnn` was built for input_size=16, and the last size of x (4, 16, 10) is 10.",
        "put the 16 features last: `x.transpose(1, 2)`",
    ),
    "steps without features": (
        Recurrent(nn.GRU(1, 32, **BF)),
        [of(4, 10)],
        "`self.rnn` was built for input_size=1, and the last size of x (4, 10) is 10.",
        "give each step one feature: `x.unsqueeze(-1)`",
    ),
    "one sequence of numbers": (
        Recurrent(nn.GRU(1, 32, **BF)),
        [of(10)],
        (
            "`self.rnn` takes 3 dimensions, (batch, length, input_size), or 2 without a batch, and x "
            "(10,) has 1."
        ),
        "give each step one feature, and the sequence a batch of 1: `x.view(1, -1, 1)`",
    ),
    "windows": (
        Recurrent(nn.LSTM(16, 32, **BF)),
        [of(4, 3, 10, 16)],
        (
            "`self.rnn` takes 3 dimensions, (batch, length, input_size), or 2 without a batch, and x "
            "(4, 3, 10, 16) has 4."
        ),
        "fold the first two axes into the batch: `x.flatten(0, 1)`",
    ),
    "a spectrogram": (
        Recurrent(nn.GRU(24, 32, **BF)),
        [of(4, 3, 10, 8)],
        (
            "`self.rnn` takes 3 dimensions, (batch, length, input_size), or 2 without a batch, and x "
            "(4, 3, 10, 8) has 4."
        ),
        "put channels and the last axis together, 3 * 8 = 24: `x.permute(0, 2, 1, 3).flatten(2)`",
    ),
    "a state with the batch first": (
        Recurrent(nn.GRU(16, 32, 2, **BF)),
        [X, of(4, 2, 32)],
        (
            "`self.rnn` needs a state of (num_layers * directions, batch, hidden_size) = (2, 4, 32), "
            "as 2 * 1 = 2 and batch_first does not turn it, and h is (4, 2, 32)."
        ),
        "put the layers first, and the batch second: `h.transpose(0, 1).contiguous()`",
    ),
    "a state of one direction": (
        Recurrent(nn.GRU(16, 32, 2, bidirectional=True, **BF)),
        [X, of(2, 4, 32)],
        (
            "`self.rnn` needs a state of (num_layers * directions, batch, hidden_size) = (4, 4, 32), "
            "as 2 * 2 = 4 and batch_first does not turn it, and h is (2, 4, 32)."
        ),
        "build the state as `torch.zeros(4, 4, 32)`, or leave it out to start from zeros",
    ),
    "a state without layers": (
        Recurrent(nn.GRU(16, 32, **BF)),
        [X, of(4, 32)],
        (
            "`self.rnn` needs a state of (num_layers * directions, batch, hidden_size) = (1, 4, 32), "
            "as 1 * 1 = 1 and batch_first does not turn it, and h is (4, 32)."
        ),
        "add the axis of layers: `h.unsqueeze(0)`",
    ),
    "a state that says where the batch is": (
        Recurrent(nn.GRU(16, 32)),
        [X, of(1, 4, 32)],
        (
            "`self.rnn` needs a state of (num_layers * directions, batch, hidden_size) = (1, 10, 32), "
            "as 1 * 1 = 1, and h is (1, 4, 32)."
        ),
        (
            "build `self.rnn` with batch_first=True, the batch of 4 being axis 0 of x: "
            "`nn.GRU(16, 32, batch_first=True)`"
        ),
    ),
    "a state of one layer": (
        Recurrent(nn.RNN(16, 32, 3)),
        [X, of(1, 10, 32)],
        (
            "`self.rnn` needs a state of (num_layers * directions, batch, hidden_size) = (3, 10, 32), "
            "as 3 * 1 = 3, and h is (1, 10, 32)."
        ),
        "start every layer and direction from the same: `h.repeat(3, 1, 1)`",
    ),
    "a state for one sample": (
        Recurrent(nn.GRU(16, 32)),
        [X, of(1, 1, 32)],
        (
            "`self.rnn` needs a state of (num_layers * directions, batch, hidden_size) = (1, 10, 32), "
            "as 1 * 1 = 1, and h is (1, 1, 32)."
        ),
        "give every sample the same state: `h.expand(1, 10, 32).contiguous()`",
    ),
    "both states with the batch first": (
        Paired(nn.LSTM(16, 32, 2, **BF)),
        [X, of(4, 2, 32), of(4, 2, 32)],
        (
            "`self.rnn` needs h of (num_layers * directions, batch, hidden_size) = (2, 4, 32), "
            "as 2 * 1 = 2 and batch_first does not turn it, and h is (4, 2, 32)."
        ),
        (
            "put the layers first, and the batch second: `h.transpose(0, 1).contiguous()` and "
            "`c.transpose(0, 1).contiguous()`"
        ),
    ),
    "a cell state of the projected width": (
        Paired(nn.LSTM(16, 32, proj_size=8)),
        [X, of(1, 10, 8), of(1, 10, 8)],
        (
            "`self.rnn` needs c of (num_layers * directions, batch, hidden_size) = (1, 10, 32), "
            "as 1 * 1 = 1, and c is (1, 10, 8)."
        ),
        None,
    ),
    "a pair for a GRU": (
        Paired(nn.GRU(16, 32)),
        [X, of(1, 10, 32), of(1, 10, 32)],
        "`self.rnn` takes its state as one tensor, and it was given a tuple of 2.",
        "hand over h alone: `h`",
    ),
    "ids": (
        Recurrent(nn.LSTM(16, 32, **BF)),
        [torch.full((4, 10), 7)],
        "`self.rnn` takes floats, and x is int64.",
        "look the ids up first: `nn.Embedding(8, 16)(x)`",
    ),
    "doubles": (
        Recurrent(nn.GRU(16, 32)),
        [X.double()],
        "`self.rnn` has weights of float32, and x is float64.",
        "cast x: `x.to(torch.float32)`",
    ),
    "a state of doubles": (
        Recurrent(nn.GRU(16, 32)),
        [X, of(1, 10, 32).double()],
        "`self.rnn` needs a state of the dtype of x, float32, and h is float64.",
        "cast it: `h.to(x.dtype)`",
    ),
    "a cell for another width": (
        Recurrent(nn.LSTMCell(16, 32)),
        [of(4, 20)],
        "`self.rnn` was built for input_size=16, and the last size of x (4, 20) is 20.",
        "build `self.rnn` with input_size=20: `nn.LSTMCell(20, 32)`",
    ),
    "a cell with the state of other samples": (
        Recurrent(nn.GRUCell(16, 32)),
        [of(4, 16), of(3, 32)],
        "`self.rnn` needs a state of (batch, hidden_size) = (4, 32), and h is (3, 32).",
        "build the state as `torch.zeros(4, 32)`, or leave it out to start from zeros",
    ),
    "a cell over a sequence": (
        Recurrent(nn.GRUCell(16, 32)),
        [X],
        (
            "`self.rnn` takes 2 dimensions, (batch, input_size), or 1 without a batch, and x "
            "(4, 10, 16) has 3."
        ),
        "fold the first two axes into the batch: `x.flatten(0, 1)`",
    ),
}


@pytest.mark.parametrize(("module", "inputs", "rule", "fix"), CASES.values(), ids=CASES)
def test_recurrent(module, inputs, rule, fix):
    """The rule has both shapes and their arithmetic, and the likeliest fix was tried."""
    found = refused(module, *inputs)
    assert found.rule == rule
    assert fix is None or offered(found)[0] == fix


def test_one_tensor_for_an_lstm():
    """An LSTM asks one tensor for its second part, which is not what was meant."""
    found = refused(Recurrent(nn.LSTM(16, 32, **BF)), X, of(1, 4, 32))
    assert found.rule == (
        "`self.rnn` takes its state as a tuple of two tensors, (h, c), and it was given one of "
        "(1, 4, 32)."
    )


LSTM = nn.LSTM(16, 8)
PACKED = {
    "the batch first": (
        Packed(LSTM),
        [X, torch.tensor([10, 9, 8, 7])],
        (
            "`pack_padded_sequence` with batch_first=False reads size 1 of x (4, 10, 16) as the "
            "batch, 10, and lengths has 4."
        ),
        "say that the batch of 4 comes first: `batch_first=True`",
    ),
    "lengths in any order": (
        Packed(LSTM, **BF),
        [X, torch.tensor([7, 9, 8, 10])],
        (
            "`pack_padded_sequence` takes lengths from the longest to the shortest, and lengths are "
            "not so."
        ),
        "let it sort them, and sort the results back: `enforce_sorted=False`",
    ),
    "an empty sample": (
        Packed(LSTM, enforce_sorted=False, **BF),
        [X, torch.tensor([7, 9, 0, 10])],
        "`pack_padded_sequence` needs lengths of at least 1, and the least of lengths is 0.",
        "leave empty samples out, or give them one step of padding: `lengths.clamp(min=1)`",
    ),
    "another width": (
        Packed(LSTM, enforce_sorted=False, **BF),
        [of(4, 10, 20), torch.tensor([7, 9, 8, 10])],
        "`self.rnn` was built for input_size=16, and the last size of packed (34, 20) is 20.",
        "build `self.rnn` with input_size=20: `nn.LSTM(20, 8)`",
    ),
}


@pytest.mark.parametrize(("module", "inputs", "rule", "fix"), PACKED.values(), ids=PACKED)
def test_packed_sequences(module, inputs, rule, fix):
    """What is packed, and what is made of it, is told as for padded sequences."""
    found = refused(module, *inputs)
    assert found.rule == rule
    assert offered(found)[0] == fix


sizes = st.integers(2, 6)


@settings(max_examples=30, deadline=None, derandomize=True, database=None)
@given(sizes, sizes, sizes, st.booleans(), st.booleans())
def test_any_state_with_the_batch_first(batch, layers, width, both_ways, batch_first):
    """The arithmetic of layers and directions is said, and a transposition tried."""
    depth = layers * (1 + both_ways)
    assume(batch != depth)
    rnn = nn.GRU(3, width, layers, bidirectional=both_ways, batch_first=batch_first)
    x = of(batch, 9, 3) if batch_first else of(9, batch, 3)
    found = refused(Recurrent(rnn), x, of(batch, depth, width))
    assert f"as {layers} * {1 + both_ways} = {depth}" in found.rule
    assert found.fixes[0].code == "self.rnn(x, h.transpose(0, 1).contiguous())"
    assert found.fixes[0].tried == "on cpu"
