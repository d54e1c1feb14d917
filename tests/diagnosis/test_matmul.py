"""Products of matrices whose sizes do not meet."""

# ruff: noqa: PLW0108 - the call has to stand in a line of ours

from __future__ import annotations

import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from tests.diagnosis.failing import failure

CASES = {
    "keys that are not transposed": (
        lambda q, k: q @ k,
        [(2, 4, 10, 32), (2, 4, 10, 32)],
        "`q @ k` needs the last size of q, 32, to equal the second-last size of k, 10.",
        ["q @ k.transpose(-2, -1)"],
    ),
    "keys of another length that are not transposed": (
        lambda q, k: torch.matmul(q, k),
        [(2, 4, 10, 32), (2, 4, 12, 32)],
        "`torch.matmul(q, k)` needs the last size of q, 32, to equal the second-last size of k, 12.",
        ["torch.matmul(q, k.transpose(-2, -1))"],
    ),
    "the wrong pair of axes": (
        lambda q, k: q @ k.transpose(1, 2),
        [(2, 4, 10, 32), (2, 4, 12, 32)],
        "`q @ k.transpose(1, 2)` needs the last size of q, 32, to equal the second-last size of k.transpose(1, 2), 4.",
        ["q @ k.transpose(-2, -1)"],
    ),
    "the wrong order of axes": (
        lambda q, k: q @ k.permute(0, 2, 1, 3),
        [(2, 4, 10, 32), (2, 12, 4, 32)],
        "`q @ k.permute(0, 2, 1, 3)` needs the last size of q, 32, to equal the second-last size of k.permute(0, 2, 1, 3), 12.",
        ["q @ k.permute(0, 2, 3, 1)"],
    ),
    "queries whose heads come last": (
        lambda q, k: q @ k.transpose(-2, -1),
        [(2, 10, 4, 32), (2, 4, 12, 32)],
        "`q @ k.transpose(-2, -1)` needs the size of axis 1 of q, 10, to equal the size of axis 1 of k.transpose(-2, -1), 4, or one of them to be 1.",
        ["q.transpose(1, 2) @ k.transpose(-2, -1)"],
    ),
    "both with their heads behind": (
        lambda q, k: q @ k.mT,
        [(2, 10, 4, 32), (2, 12, 4, 32)],
        "`q @ k.mT` needs the size of axis 1 of q, 10, to equal the size of axis 1 of k.mT, 12, or one of them to be 1.",
        ["q.transpose(1, 2) @ k.permute(0, 2, 3, 1)"],
    ),
    "fewer heads of keys": (
        lambda q, k: torch.matmul(q, k.transpose(-2, -1)),
        [(2, 8, 10, 32), (2, 2, 12, 32)],
        "`torch.matmul(q, k.transpose(-2, -1))` needs the size of axis 1 of q, 8, to equal the size of axis 1 of k.transpose(-2, -1), 2, or one of them to be 1; 8 = 2*4.",
        ["torch.matmul(q, k.transpose(-2, -1).repeat_interleave(4, dim=1))"],
    ),
    "heads of other widths": (
        lambda q, k: q @ k.transpose(-2, -1),
        [(2, 8, 10, 32), (2, 8, 12, 16)],
        "`q @ k.transpose(-2, -1)` needs the last size of q, 32, to equal the second-last size of k.transpose(-2, -1), 16.",
        ["project q and k to one head_dim: the last size of q is 32, that of k is 16"],
    ),
    "features of two towers": (
        lambda image, text: image * 2 @ text.t(),
        [(6, 32), (6, 40)],
        "`image * 2 @ text.t()` needs the last size of image * 2, 32, to equal the second-last size of text.t(), 40.",
        [
            "project image * 2 and text to one width: the last size of image * 2 is 32, that of text is 40, nn.Linear(40, 32) for text"
        ],
    ),
    "a memory of both directions": (
        lambda output, memory: torch.bmm(output, memory.transpose(1, 2)),
        [(4, 6, 20), (4, 11, 40)],
        "`torch.bmm(output, memory.transpose(1, 2))` needs the last size of output, 20, to equal the second-last size of memory.transpose(1, 2), 40.",
        [
            "project output and memory to one width: the last size of output is 20, that of memory is 40, nn.Linear(40, 20) for memory, or add the two directions of a bidirectional RNN"
        ],
    ),
    "as many values as queries": (
        lambda attn, v: attn @ v,
        [(2, 4, 10, 12), (2, 4, 10, 32)],
        "`attn @ v` needs the last size of attn, 12, to equal the second-last size of v, 10.",
        [
            "keys and values must have the same length: attn has weights for 12 keys, v holds 10 values; take both from one sequence and check the order of the arguments (query, key, value)",
            "attn.transpose(-2, -1) @ v",
        ],
    ),
    "too few values": (
        lambda attn, v: attn @ v,
        [(2, 4, 10, 12), (2, 4, 11, 32)],
        "`attn @ v` needs the last size of attn, 12, to equal the second-last size of v, 11.",
        [
            "keys and values must have the same length: attn has weights for 12 keys, v holds 11 values; take both from one sequence and check the order of the arguments (query, key, value)"
        ],
    ),
    "values whose heads come last": (
        lambda attn, v: attn @ v,
        [(2, 4, 10, 12), (2, 12, 4, 32)],
        "`attn @ v` needs the last size of attn, 12, to equal the second-last size of v, 4.",
        ["attn @ v.transpose(1, 2)"],
    ),
    "values before probabilities": (
        lambda v, attn: v @ attn,
        [(2, 4, 12, 32), (2, 4, 10, 12)],
        "`v @ attn` needs the last size of v, 32, to equal the second-last size of attn, 10.",
        ["attn @ v", "v.transpose(-2, -1) @ attn.transpose(-2, -1)"],
    ),
    "values without heads": (
        lambda attn, v: attn @ v,
        [(2, 4, 10, 12), (2, 12, 16)],
        "`attn @ v` needs the size of axis 1 of attn, 4, to equal the size of axis 0 of v, 2, or one of them to be 1; 4 = 2*2.",
        ["attn @ v.unsqueeze(1)", "attn @ v.repeat_interleave(2, dim=0)"],
    ),
    "four axes for bmm": (
        lambda q, k: torch.bmm(q, k),
        [(2, 4, 10, 16), (2, 4, 16, 10)],
        "`torch.bmm(q, k)` multiplies tensors of 3 axes, but q has 4, (2, 4, 10, 16) and k has 4, (2, 4, 16, 10).",
        ["q @ k", "torch.bmm(q.flatten(0, 1), k.flatten(0, 1))"],
    ),
    "four axes for bmm and no transposition": (
        lambda q, k: torch.bmm(q, k),
        [(2, 4, 10, 16), (2, 4, 10, 16)],
        "`torch.bmm(q, k)` multiplies tensors of 3 axes, but q has 4, (2, 4, 10, 16) and k has 4, (2, 4, 10, 16). The sizes that meet, 16 and 10, differ too.",
        ["q @ k.transpose(-2, -1)"],
    ),
    "weights of one query": (
        lambda w, states: torch.bmm(w, states),
        [(3, 7), (3, 7, 20)],
        "`torch.bmm(w, states)` multiplies tensors of 3 axes, but w has 2, (3, 7).",
        ["torch.bmm(w.unsqueeze(1), states)", "w @ states"],
    ),
    "states with time first": (
        lambda w, states: torch.bmm(w.unsqueeze(1), states),
        [(3, 7), (7, 3, 20)],
        "`torch.bmm(w.unsqueeze(1), states)` needs the last size of w.unsqueeze(1), 7, to equal the second-last size of states, 3.",
        ["torch.bmm(w.unsqueeze(1), states.transpose(0, 1))"],
    ),
    "heads folded on one side": (
        lambda q, k: torch.bmm(q, k.transpose(1, 2)),
        [(8, 7, 20), (2, 7, 20)],
        "`torch.bmm(q, k.transpose(1, 2))` needs the size of axis 0 of q, 8, to equal the size of axis 0 of k.transpose(1, 2), 2; 8 = 2*4.",
        ["torch.bmm(q, k.transpose(1, 2).repeat_interleave(4, dim=0))"],
    ),
    "a batch for mm": (
        lambda x, w: torch.mm(x, w),
        [(3, 7, 20), (20, 5)],
        "`torch.mm(x, w)` multiplies tensors of 2 axes, but x has 3, (3, 7, 20).",
        ["x @ w"],
    ),
    "a weight of (out, in)": (
        lambda x, w: x.mm(w),
        [(3, 20), (5, 20)],
        "`x.mm(w)` needs the last size of x, 20, to equal the second-last size of w, 5.",
        ["x.mm(w.T)"],
    ),
    "a weight that is turned twice": (
        lambda x, w: x @ w.T,
        [(3, 7, 20), (20, 5)],
        "`x @ w.T` needs the last size of x, 20, to equal the second-last size of w.T, 5.",
        ["x @ w"],
    ),
    "two sets of features": (
        lambda image, words: image @ words,
        [(5, 64), (7, 64)],
        "`image @ words` needs the last size of image, 64, to equal the second-last size of words, 7.",
        ["image @ words.T"],
    ),
    "a turned matrix for mv": (
        lambda w, x: torch.mv(w, x),
        [(3, 5), (3,)],
        "`torch.mv(w, x)` needs the last size of w, 5, to equal the size of x, 3.",
        ["torch.mv(w.T, x)"],
    ),
    "rows for dot": (
        lambda a, b: torch.dot(a, b),
        [(3, 5), (3, 5)],
        "`torch.dot(a, b)` multiplies tensors of 1 axis, but a has 2, (3, 5) and b has 2, (3, 5).",
        ["(a * b).sum(-1)"],
    ),
    "vectors of two lengths": (
        lambda a, b: a @ b,
        [(3,), (5,)],
        "`a @ b` needs the size of a, 3, to equal the size of b, 5.",
        [],
    ),
    "a weight of addmm": (
        lambda b, x, w: torch.addmm(b, x, w),
        [(5,), (3, 4), (5, 4)],
        "`torch.addmm(b, x, w)` needs the last size of x, 4, to equal the second-last size of w, 5.",
        ["torch.addmm(b, x, w.T)"],
    ),
    "a bias of addmm": (
        lambda b, x, w: torch.addmm(b, x, w),
        [(6,), (3, 4), (4, 5)],
        "`torch.addmm(b, x, w)` adds b, (6,), to a product of (3, 5), to which it does not broadcast.",
        ["make b (5,)"],
    ),
    "keys of baddbmm": (
        lambda m, q, k: torch.baddbmm(m, q, k),
        [(2, 3, 7), (2, 3, 4), (2, 7, 4)],
        "`torch.baddbmm(m, q, k)` needs the last size of q, 4, to equal the second-last size of k, 7.",
        ["torch.baddbmm(m, q, k.transpose(-2, -1))"],
    ),
    "a number": (
        lambda s, x: s @ x,
        [(), (3, 4)],
        "`s @ x` needs at least one axis, but s has 0: use `*`.",
        [],
    ),
}


@pytest.mark.parametrize(("forward", "inputs", "rule", "fixes"), CASES.values(), ids=CASES)
def test_matmul(forward, inputs, rule, fixes):
    """A product that fails says which two sizes had to be equal, and what to write instead."""
    found = failure(forward, inputs)
    assert found.rule == rule
    assert [fix.code or fix.said for fix in found.fixes] == fixes


sizes = st.integers(2, 9)


@settings(max_examples=40, deadline=None, derandomize=True, database=None)
@given(st.lists(sizes, max_size=2), sizes, sizes, sizes, st.integers(1, 5))
def test_any_two_sizes_that_do_not_meet(batch, rows, inner, columns, more):
    """The rule has both numbers, whatever they are, and each fix runs on the tensors."""
    found = failure(lambda a, b: a @ b, [(*batch, rows, inner), (*batch, inner + more, columns)])
    assert f"of a, {inner}, to equal the second-last size of b, {inner + more}." in found.rule


@settings(max_examples=40, deadline=None, derandomize=True, database=None)
@given(sizes, sizes, sizes, sizes)
def test_queries_against_keys_as_they_are(batch, queries, keys, width):
    """The first thing to do about `q @ k` is to transpose the keys."""
    assume(width != keys)
    found = failure(lambda q, k: q @ k, [(batch, 3, queries, width), (batch, 3, keys, width)])
    assert found.fixes[0].code == "q @ k.transpose(-2, -1)"
