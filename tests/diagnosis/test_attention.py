"""Why scaled_dot_product_attention is refused: heads, lengths, batches and masks."""

from __future__ import annotations

import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional as F

from attntrace.analysis.diagnosis import FailedCall, Given
from attntrace.analysis.diagnosis.attention.dot_product import explain
from tests.diagnosis.failing import offered, refused


class Attend(nn.Module):
    """One call of the function, with what options it is given."""

    def __init__(self, **options):
        super().__init__()
        self.options = options

    def forward(self, q, k, v, mask=None):
        return F.scaled_dot_product_attention(q, k, v, attn_mask=mask, **self.options)


def of(*shape):
    return torch.zeros(shape)


def mask(*shape):
    return torch.zeros(shape, dtype=torch.bool)


NAME = "`scaled_dot_product_attention`"
Q = of(2, 6, 10, 16)
FUNCTION = {
    "keys of another width": (
        [Q, of(2, 6, 10, 8), Q],
        (
            f"{NAME} needs the last size of q, 16, to equal the last size of k, 8: "
            "both are the width of a head."
        ),
        "build k with heads of 16, as q has: (2, 6, 10, 16)",
    ),
    "keys that are transposed already": (
        [Q, of(2, 6, 16, 10), Q],
        (
            f"{NAME} needs the last size of q, 16, to equal the last size of k, 10: "
            "both are the width of a head."
        ),
        "hand over k as (..., length, head_dim), it is transposed inside: `k.transpose(-2, -1)`",
    ),
    "as many features in other heads": (
        [Q, of(2, 12, 10, 8), of(2, 12, 10, 8)],
        (
            f"{NAME} needs the last size of q, 16, to equal the last size of k, 8: "
            "both are the width of a head."
        ),
        "split k and v into 6 heads of 16, as q is, and not into 12 heads of 8: 96 = 6 * 16",
    ),
    "fewer heads of keys": (
        [Q, of(2, 2, 10, 16), of(2, 2, 10, 16)],
        f"{NAME} needs the 6 heads of q to be equal to the 2 heads of k, size 1 of (2, 2, 10, 16).",
        "let 3 heads of q share one of k: `enable_gqa=True`",
    ),
    "a cache that is not transposed": (
        [Q, of(2, 10, 6, 16), of(2, 10, 6, 16)],
        (
            f"{NAME} needs the 6 heads of q to be equal to the 10 heads of k, size 1 of "
            "(2, 10, 6, 16)."
        ),
        (
            "swap heads and length of k and v, so that all are (batch, heads, length, head_dim): "
            "`k.transpose(1, 2)` and `v.transpose(1, 2)`"
        ),
    ),
    "queries that are not transposed": (
        [of(2, 10, 6, 16), Q, Q],
        (
            f"{NAME} needs the 10 heads of q to be equal to the 6 heads of k, size 1 of "
            "(2, 6, 10, 16)."
        ),
        (
            "swap heads and length of q, so that all are (batch, heads, length, head_dim): "
            "`q.transpose(1, 2)`"
        ),
    ),
    "beams": (
        [of(6, 6, 1, 16), Q, Q],
        (
            f"{NAME} needs q and k of the same batch, and size 0 of q (6, 6, 1, 16) is 6 where that "
            "of k (2, 6, 10, 16) is 2."
        ),
        (
            "repeat each of the 2 3 times: `k.repeat_interleave(3, dim=0)` and "
            "`v.repeat_interleave(3, dim=0)`"
        ),
    ),
    "lengths before batches": (
        [of(10, 3, 16), of(7, 3, 16), of(7, 3, 16)],
        (
            f"{NAME} needs q and k of the same batch, and size 0 of q (10, 3, 16) is 10 where that "
            "of k (7, 3, 16) is 7."
        ),
        "swap batch and length: `q.transpose(0, 1)`, `k.transpose(0, 1)` and `v.transpose(0, 1)`",
    ),
    "keys without heads": (
        [Q, of(2, 10, 16), of(2, 10, 16)],
        (
            f"{NAME} lines shapes up from the right, and q (2, 6, 10, 16) has 4 dimensions where k "
            "(2, 10, 16) has 3: k and v lack the axis of heads."
        ),
        "give every head the same one: `k.unsqueeze(1)` and `v.unsqueeze(1)`",
    ),
    "one step without a length": (
        [of(16), of(16), of(16)],
        (
            f"{NAME} needs queries, keys and values of at least 2 dimensions, (length, head_dim), "
            "and q (16,) has 1."
        ),
        "add the missing axis of length 1: `q.unsqueeze(0)`, `k.unsqueeze(0)` and `v.unsqueeze(0)`",
    ),
    "a mask for each sample": (
        [Q, Q, Q, mask(2, 10, 10)],
        (
            f"{NAME} needs mask (2, 10, 10) to broadcast to (2, 6, 10, 10), batch, heads, queries, "
            "keys, and its size 0, 2, meets the 6 heads."
        ),
        "give mask the shape (2, 1, 10, 10): `mask.unsqueeze(1)`",
    ),
    "a mask of padding": (
        [Q, Q, Q, mask(2, 10)],
        (
            f"{NAME} needs mask (2, 10) to broadcast to (2, 6, 10, 10), batch, heads, queries, keys, "
            "and its size 0, 2, meets the 10 queries."
        ),
        "give mask the shape (2, 1, 1, 10), unsqueezed twice: `mask[:, None, None, :]`",
    ),
    "a mask for a longer sequence": (
        [Q, Q, Q, of(12, 12)],
        (
            f"{NAME} needs mask (12, 12) to broadcast to (2, 6, 10, 10), batch, heads, queries, keys, "
            "and its size 1, 12, meets the 10 keys."
        ),
        "cut mask to 10 queries and 10 keys: `mask[..., :10, :10]`",
    ),
    "a mask without the cached keys": (
        [of(2, 6, 3, 16), Q, Q, mask(3, 3)],
        (
            f"{NAME} needs mask (3, 3) to broadcast to (2, 6, 3, 10), batch, heads, queries, keys, "
            "and its size 1, 3, meets the 10 keys."
        ),
        (
            "build the mask for 3 queries and 10 keys: "
            "`torch.ones(3, 10, dtype=torch.bool).tril(diagonal=7)` where it is causal"
        ),
    ),
    "a mask of batch times heads": (
        [Q, Q, Q, mask(12, 10, 10)],
        (
            f"{NAME} needs mask (12, 10, 10) to broadcast to (2, 6, 10, 10), batch, heads, queries, "
            "keys, and its size 0, 12, meets the 6 heads."
        ),
        "part its 12 = 2 * 6 into batch and heads: `mask.view(2, 6, 10, 10)`",
    ),
    "a mask the other way round": (
        [of(2, 6, 4, 16), Q, Q, mask(10, 4)],
        (
            f"{NAME} needs mask (10, 4) to broadcast to (2, 6, 4, 10), batch, heads, queries, keys, "
            "and its size 1, 4, meets the 10 keys."
        ),
        "swap queries and keys of the mask: `mask.transpose(-2, -1)`",
    ),
    "a mask of whole numbers": (
        [Q, Q, Q, torch.ones(10, 10, dtype=torch.int64)],
        (
            f"{NAME} takes a mask of torch.bool, or of the dtype of q, float32, to be added; "
            "mask is int64."
        ),
        "cast mask, True where a query may look: `mask.bool()`",
    ),
    "a mask of double": (
        [Q, Q, Q, torch.zeros(10, 10, dtype=torch.float64)],
        (
            f"{NAME} takes a mask of torch.bool, or of the dtype of q, float32, to be added; "
            "mask is float64."
        ),
        "cast mask to the dtype of q: `mask.to(q.dtype)`",
    ),
}


@pytest.mark.parametrize(("inputs", "rule", "fix"), FUNCTION.values(), ids=FUNCTION)
def test_scaled_dot_product_attention(inputs, rule, fix):
    """The rule has both numbers, and the likeliest fix was tried."""
    found = refused(Attend(), *inputs)
    assert found.rule == rule
    assert offered(found)[0] == fix


def test_groups_that_do_not_divide():
    """With enable_gqa the heads of the keys must divide those of the queries."""
    found = refused(Attend(enable_gqa=True), Q, of(2, 4, 10, 16), of(2, 4, 10, 16))
    assert found.rule == (
        f"{NAME} with enable_gqa=True needs the 6 heads of q to be a multiple of the 4 heads of "
        "k, size 1 of (2, 4, 10, 16)."
    )
    assert offered(found) == ["build k and v with 3 heads, which divides 6"]


def test_a_mask_beside_is_causal():
    """A mask and is_causal=True exclude each other; kernels of the CPU take both all the same."""
    q = Given(name="q", shape=(2, 6, 10, 16))
    allowed = Given(name="mask", shape=(10, 10), dtype="bool")
    call = FailedCall(op="scaled_dot_product_attention", args=(q, q, q, allowed, 0.0, True))
    found = explain(call)
    assert found.rule == (
        f"{NAME} takes either attn_mask or is_causal=True, and here it has both, mask (10, 10) "
        "and is_causal=True."
    )
    assert found.proposals[0].said == (
        "set is_causal=False and fold the causal triangle into the mask: "
        "`mask & torch.ones(10, 10, dtype=torch.bool, device=q.device).tril()`"
    )


@pytest.mark.parametrize(
    ("queries", "keys", "values", "fixes"),
    [
        (
            (2, 6, 10, 16),
            (2, 6, 9, 16),
            (2, 6, 7, 16),
            ["make v from the sequence that k is made of, of length 9"],
        ),
        (
            (2, 10, 16),
            (2, 9, 16),
            (9, 2, 16),
            [
                "swap batch and length of v: `v.transpose(-3, -2)`",
                "swap batch and length of k: `k.transpose(-3, -2)`",
                "make v from the sequence that k is made of, of length 9",
            ],
        ),
        (
            (2, 6, 9, 16),
            (2, 6, 9, 16),
            (2, 6, 7, 16),
            [
                (
                    "hand over query, key, value in this order, so that keys and values have the "
                    "same length, 9: v, k, q"
                ),
                "make v from the sequence that k is made of, of length 9",
            ],
        ),
    ],
)
def test_keys_and_values_of_two_lengths(queries, keys, values, fixes):
    """The CPU takes them in silence and meta refuses them: told from the call alone."""
    shapes = zip("qkv", (queries, keys, values), strict=True)
    args = tuple(Given(name=name, shape=shape) for name, shape in shapes)
    found = explain(FailedCall(op="scaled_dot_product_attention", args=args))
    assert found.rule == (
        f"{NAME} needs as many values as keys, and v has a length of {values[-2]} "
        f"where k has {keys[-2]}."
    )
    assert [proposal.said for proposal in found.proposals] == fixes


sizes = st.integers(2, 7)


@settings(max_examples=40, deadline=None, derandomize=True, database=None)
@given(sizes, sizes, sizes, sizes, sizes)
def test_any_mask_of_samples(batch, heads, queries, keys, other):
    """A mask of samples gets an axis for heads; one of other keys is refused with both numbers."""
    assume(keys != other)
    assume(batch != heads)
    q, k = of(batch, heads, queries, 4), of(batch, heads, keys, 4)
    found = refused(Attend(), q, k, k, mask(batch, queries, keys))
    assert found.fixes[0].said.endswith("`mask.unsqueeze(1)`")
    found = refused(Attend(), q, k, k, mask(batch, 1, queries, other))
    assert f"its size 3, {other}, meets the {keys} keys." in found.rule
