"""Names for the sizes of a shape, or for the parts of a value: too many or too few."""

from __future__ import annotations

import torch
from torch import nn

from tests.diagnosis.failing import crashing, zeros


def of_map(self, fmap):
    """Take a map."""
    B, C, H, W = fmap.shape  # noqa: N806, RUF059


def of_tokens(self, x):
    """Take tokens."""
    B, T, C = x.shape  # noqa: N806, RUF059


def test_no_batch_axis():
    """A map of three axes lacks the first name."""
    found = crashing(of_map, zeros(24, 16, 16))
    assert found.rule == (
        "4 names (B, C, H, W) take a shape of 4 dimensions, and fmap (24, 16, 16) has "
        "3 dimensions, 1 fewer."
    )
    assert found.fixes[0] == (
        "add the batch axis, which the input lacks: `fmap.unsqueeze(0)` (or x[None]) has shape "
        "(1, 24, 16, 16)"
    )


def test_tokens_in_place_of_a_map():
    """49 tokens are 7*7 places."""
    found = crashing(of_map, zeros(2, 49, 16))
    assert found.fixes[0] == (
        "if fmap is tokens (batch, 7*7, 16), lay them out as a map: "
        "`fmap.transpose(1, 2).unflatten(2, (7, 7))`"
    )


def test_a_map_in_place_of_tokens():
    """The places of a map become tokens."""
    found = crashing(of_tokens, zeros(2, 3, 8, 8))
    assert found.rule == (
        "3 names (B, T, C) take a shape of 3 dimensions, and x (2, 3, 8, 8) has 4 dimensions, "
        "1 more."
    )
    assert found.fixes[0] == (
        "flatten the map of 8*8 into tokens: `x.flatten(2).transpose(1, 2)` has shape (2, 64, 3)"
    )
    assert found.codes[-1] == "B, T, *_, C = x.shape"


def test_channels_before_places():
    """Names that have the channels second keep them there."""

    def forward(self, x):
        b, c, length = x.size()  # noqa: RUF059

    found = crashing(forward, zeros(2, 3, 8, 8))
    assert found.fixes[0] == (
        "flatten the 8*8 places of the map into one axis: `x.flatten(2)` has shape (2, 3, 64)"
    )


def test_one_sample():
    """Two sizes for three names: the batch is missing."""
    found = crashing(of_tokens, zeros(10, 16))
    assert found.fixes == [
        (
            "add the batch axis, which the input lacks: `x.unsqueeze(0)` (or x[None]) has shape "
            "(1, 10, 16)"
        ),
        "take the 2 sizes that there are: `T, C = x.shape`",
    ]


def test_an_axis_of_size_1():
    """It is dropped."""
    found = crashing(of_tokens, zeros(2, 1, 10, 16))
    assert found.fixes[0] == "drop axis 1, of size 1: `x.squeeze(1)` has shape (2, 10, 16)"


def test_two_axes_too_many():
    """They are folded into the first."""
    found = crashing(of_tokens, zeros(2, 4, 10, 6, 16))
    assert found.fixes[0] == (
        "fold the leading axes into one: `x.flatten(0, 2)` has shape (80, 6, 16)"
    )


def test_a_tensor_in_place_of_its_shape():
    """`B, T, C = x` goes along the batch."""

    def forward(self, x):
        B, T, C = x  # noqa: N806, RUF059

    found = crashing(forward, zeros(2, 3, 8))
    assert found.rule == (
        "3 names (B, T, C) take 3 parts, and the tensor x (2, 3, 8) has 2 parts along dim 0."
    )
    assert found.fixes == ["take the shape apart, not the tensor: `B, T, C = x.shape`"]


def test_a_projection_that_is_not_split():
    """One layer makes q, k and v side by side."""

    def forward(self, x):
        q, k, v = self.qkv(x)  # noqa: RUF059

    found = crashing(forward, zeros(2, 10, 16), qkv=nn.Linear(16, 48))
    assert found.fixes == [
        "split the last axis, 48 = 3*16, with chunk: `self.qkv(x).chunk(3, dim=-1)`"
    ]
    assert found.codes == ["q, k, v = self.qkv(x).chunk(3, dim=-1)"]


def test_another_axis_taken_apart():
    """The axis of size 3 is the third."""

    def forward(self, x):
        q, k, v = x.reshape(2, 10, 3, 4, 4)  # noqa: RUF059

    found = crashing(forward, zeros(2, 10, 48))
    assert found.codes == ["q, k, v = x.reshape(2, 10, 3, 4, 4).unbind(2)"]


def test_parts_of_the_wrong_axis():
    """`unbind(0)` gives one part for each sample."""

    def forward(self, x):
        q, k, v = x.unbind(0)  # noqa: RUF059

    found = crashing(forward, zeros(2, 10, 3, 16))
    assert found.rule == (
        "3 names (q, k, v) take 3 parts, and the value has 2 parts, each of shape (10, 3, 16)."
    )
    assert found.fixes == ["take the tensor apart along the axis of size 3: dim 2 (unbind, chunk)"]


def test_a_module_that_returns_one_tensor():
    """A layer gives no weights beside its output."""

    def forward(self, x):
        out, weights = self.layer(x)  # noqa: RUF059

    found = crashing(forward, zeros(3, 10, 16), layer=nn.Linear(16, 16))
    assert found.fixes == [
        (
            "take it as the one tensor that it is, for self.layer(x) returns no tuple: "
            "`out = self.layer(x)`"
        ),
    ]


def test_a_tuple_within_a_tuple():
    """An LSTM returns its output and the pair of its states."""

    def forward(self, x):
        out, h, c = self.lstm(x)  # noqa: RUF059

    found = crashing(forward, zeros(3, 10, 16), lstm=nn.LSTM(16, 16))
    assert found.rule == "3 names (out, h, c) take 3 parts, and the value has 2 parts."
    assert found.fixes == ["part 1 is a tuple itself, take it apart too: `out, (h, c) = ...`"]


def test_parts_of_a_shape():
    """A part of a shape is sizes, too."""

    def forward(self, x):
        high, wide = x.shape[1:]  # noqa: RUF059

    found = crashing(forward, torch.zeros(3, 10, 16, 4))
    assert found.rule == (
        "2 names (high, wide) take 2 sizes, and `x.shape[1:]` of x (3, 10, 16, 4) has 3: "
        "(10, 16, 4)."
    )


def test_numbers_that_are_no_part_of_a_shape():
    """Names for numbers from elsewhere are told in the same way, and the last are offered."""

    def forward(self, x):
        high, wide = self.patch  # noqa: RUF059

    found = crashing(forward, torch.zeros(3, 10), patch=(1, 7, 5))
    assert found.rule == "2 names (high, wide) take 2 numbers, and `self.patch` has 3: (1, 7, 5)."
    assert found.fixes == ["take the last 2 of the numbers, (7, 5): `high, wide = self.patch[-2:]`"]
    assert found.codes == ["high, wide = self.patch[-2:]"]
