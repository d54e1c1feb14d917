"""Values written into a part of a tensor that has no place for them."""

from __future__ import annotations

import pytest

from tests.diagnosis.failing import watched, zeros


@pytest.mark.parametrize(
    ("shape", "code"),
    [
        ((2, 4, 6, 16), "self.cache[:, 20:24] = k"),
        ((2, 6, 4, 16), "self.cache[:, 20:24] = k.transpose(1, 2)"),
    ],
)
def test_a_cache_sliced_along_its_heads(shape, code):
    """The axis that holds the positions is told from the sizes."""

    def forward(self, k):
        self.cache[:, :, 20:24] = k

    found = watched(forward, zeros(*shape), cache=zeros(2, 32, 6, 16))
    assert found.rule == (
        "`self.cache[:, :, 20:24] = k` slices dim 2 of self.cache (2, 32, 6, 16), of size 6: "
        f"`self.cache[:, :, 20:24]` has shape (2, 32, 0, 16), and k {shape}."
    )
    assert found.fixes[0] == f"slice dim 1 of self.cache, which holds the positions: `{code}`"
    assert found.codes[0] == code


def test_copy():
    """`copy_` writes into the whole of its tensor, here of another layout."""

    def forward(self, k):
        self.cache[:, :, :4].copy_(k)

    found = watched(forward, zeros(2, 4, 5, 16), cache=zeros(2, 5, 64, 16))
    assert found.codes[0] == "self.cache[:, :, :4].copy_(k.transpose(1, 2))"


def test_a_buffer_that_is_too_small():
    """A target cannot grow: it is to be built for the batch."""
    found = watched(lambda self, k: self.cache.copy_(k), zeros(2, 3, 4), cache=zeros(1, 3, 4))
    assert found.rule == (
        "`self.cache.copy_(k)` writes k (2, 3, 4) into self.cache (1, 3, 4), which cannot grow to "
        "it."
    )
    assert found.fixes == ["build self.cache of shape (2, 3, 4) in place of (1, 3, 4)"]


def test_an_operator_that_writes_in_place():
    """`x += y` cannot make x larger, `x = x + y` can."""

    def forward(self, x):
        x += self.pos
        return x

    found = watched(forward, zeros(1, 65, 8), pos=zeros(3, 65, 8))
    assert found.rule == (
        "`x += self.pos` writes into x (1, 65, 8), which cannot grow to the (3, 65, 8) that it "
        "broadcasts to with self.pos (3, 65, 8)."
    )
    assert found.codes[0] == "x = x + self.pos"
