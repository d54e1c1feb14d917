"""Equations that do not fit their operands."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.diagnosis.failing import failure

CASES = {
    "values of another length": (
        lambda attention, v: torch.einsum("nhql,nlhd->nqhd", attention, v),
        [(3, 2, 7, 7), (3, 5, 2, 12)],
        'The axis l of `"nhql,nlhd->nqhd"` is 7 in attention (the last size of attention) but 5 in v (the size of axis 1 of v).',
        [
            "keys and values must have the same length (l is 7 in attention, 5 in v): take both from one sequence, and check the order of the arguments, as query, key and value may be swapped"
        ],
    ),
    "heads that are not split off": (
        lambda q, k: torch.einsum("bnhd,bnhdw->bnhw", q, k),
        [(3, 18, 32), (3, 18, 4, 8, 5)],
        '`"bnhd"` names 4 axes, but q has 3: (3, 18, 32).',
        ['torch.einsum("bnhd,bnhdw->bnhw", q.unflatten(2, (4, 8)), k)'],
    ),
    "heads that are not split off, of an unknown width": (
        lambda q, w: torch.einsum("bhqk,bkhd->bqhd", q, w),
        [(3, 4, 18, 18), (3, 18, 32)],
        '`"bkhd"` names 4 axes, but w has 3: (3, 18, 32).',
        ['torch.einsum("bhqk,bkhd->bqhd", q, w.unflatten(2, (4, 8)))'],
    ),
    "keys whose heads come first": (
        lambda q, k: torch.einsum("bhqd,bkhd->bhqk", q, k),
        [(2, 4, 10, 16), (2, 4, 12, 16)],
        'The axis h of `"bhqd,bkhd->bhqk"` is 4 in q (the size of axis 1 of q) but 12 in k (the second-last size of k).',
        [
            'torch.einsum("bhqd,bkhd->bhqk", q, k.transpose(1, 2))',
            'torch.einsum("bhqd,bhkd->bhqk", q, k)',
        ],
    ),
    "a table as wide as all heads": (
        lambda q, table: torch.einsum("bhid,xyd->bhixy", q, table),
        [(2, 3, 25, 12), (5, 5, 36)],
        'The axis d of `"bhid,xyd->bhixy"` is 12 in q (the last size of q) but 36 in table (the last size of table).',
        [
            "build q and table with one width (d is 12 in q, 36 in table; 36 = 12*3 looks like the whole width, 12 like head_dim)"
        ],
    ),
    "widths that differ": (
        lambda q, k: torch.einsum("bhqd,bhkd->bhqk", q, k),
        [(2, 4, 10, 16), (2, 4, 12, 8)],
        'The axis d of `"bhqd,bhkd->bhqk"` is 16 in q (the last size of q) but 8 in k (the last size of k).',
        ["build q and k with one width (d is 16 in q, 8 in k)"],
    ),
    "fewer heads of keys": (
        lambda q, k: torch.einsum("bhqd,bhkd->bhqk", q, k),
        [(2, 8, 10, 16), (2, 2, 12, 16)],
        'The axis h of `"bhqd,bhkd->bhqk"` is 8 in q (the size of axis 1 of q) but 2 in k (the size of axis 1 of k).',
        ['torch.einsum("bhqd,bhkd->bhqk", q, k.repeat_interleave(4, dim=1))'],
    ),
    "a batch that was not repeated": (
        lambda q, k: torch.einsum("b i d, b j d -> b i j", q, k),
        [(25, 40, 64), (5, 77, 64)],
        'The axis b of `"b i d, b j d -> b i j"` is 25 in q (the size of axis 0 of q) but 5 in k (the size of axis 0 of k).',
        ['torch.einsum("b i d, b j d -> b i j", q, k.repeat_interleave(5, dim=0))'],
    ),
    "an equation without heads": (
        lambda q, k: torch.einsum("bnd,bmd->bnm", q, k),
        [(2, 4, 10, 16), (2, 4, 12, 16)],
        '`"bnd"` names 3 axes, but q has 4: (2, 4, 10, 16).',
        ['torch.einsum("bhnd,bhmd->bhnm", q, k)'],
    ),
    "no batch": (
        lambda q, k: torch.einsum("bhnd,bhmd->bhnm", q, k),
        [(4, 10, 16), (4, 12, 16)],
        '`"bhnd"` names 4 axes, but q has 3: (4, 10, 16).',
        [
            'torch.einsum("bhnd,bhmd->bhnm", q.unsqueeze(0), k.unsqueeze(0))',
            'torch.einsum("hnd,hmd->hnm", q, k)',
        ],
    ),
    "one letter for two axes": (
        lambda q, k: torch.einsum("bhtd,bhtd->bhts", q, k),
        [(2, 4, 10, 16), (2, 4, 10, 16)],
        'The result `bhts` has the axis s, which no operand of `"bhtd,bhtd->bhts"` has.',
        ['torch.einsum("bhtd,bhsd->bhts", q, k)'],
    ),
    "a result with an axis twice": (
        lambda q, k: torch.einsum("bhtd,bhtd->bhtt", q, k),
        [(2, 4, 10, 16), (2, 4, 10, 16)],
        "The result `bhtt` has the axis t 2 times: each of its axes needs a letter of its own.",
        ['torch.einsum("bhtd,bhnd->bhtn", q, k)'],
    ),
    "an operand too many": (
        lambda q, k, v: torch.einsum("bhtd,bhsd->bhts", q, k, v),
        [(2, 4, 10, 16), (2, 4, 10, 16), (2, 4, 10, 16)],
        '`torch.einsum("bhtd,bhsd->bhts", q, k, v)` names 2 operands in "bhtd,bhsd->bhts", but is given 3: q, k and v.',
        [],
    ),
    "dots": (
        lambda w, v: torch.einsum("...qk,...kd->...qd", w, v),
        [(2, 4, 7, 9), (2, 4, 8, 16)],
        'The axis k of `"...qk,...kd->...qd"` is 9 in w (the last size of w) but 8 in v (the second-last size of v).',
        [
            "keys and values must have the same length (k is 9 in w, 8 in v): take both from one sequence, and check the order of the arguments, as query, key and value may be swapped"
        ],
    ),
    "a diagonal that is none": (
        lambda a: torch.einsum("ii->i", a),
        [(3, 4)],
        'The axis i of `"ii->i"` is 3 in a (the second-last size of a) but 4 in a (the last size of a).',
        [],
    ),
    "a weight of (out, in)": (
        lambda x, w: torch.einsum("bd,de->be", x, w),
        [(3, 4), (5, 4)],
        'The axis d of `"bd,de->be"` is 4 in x (the last size of x) but 5 in w (the second-last size of w).',
        [
            'torch.einsum("bd,de->be", x, w.transpose(0, 1))',
            'torch.einsum("bd,ed->be", x, w)',
            "make d the same size in both (4 in x, 5 in w)",
        ],
    ),
    "tokens that the equation leaves out": (
        lambda x, w: torch.einsum("bd,de->be", x, w),
        [(3, 7, 4), (4, 5)],
        '`"bd"` names 2 axes, but x has 3: (3, 7, 4).',
        ['torch.einsum("btd,de->bte", x, w)'],
    ),
    "operands in a list": (
        lambda q, k: torch.einsum("bhqd,bhkd->bhqk", [q, k]),
        [(2, 4, 10, 16), (2, 4, 12, 8)],
        'The axis d of `"bhqd,bhkd->bhqk"` is 16 in q (the last size of q) but 8 in k (the last size of k).',
        ["build q and k with one width (d is 16 in q, 8 in k)"],
    ),
}


@pytest.mark.parametrize(("forward", "inputs", "rule", "fixes"), CASES.values(), ids=CASES)
def test_einsum(forward, inputs, rule, fixes):
    """An einsum that fails says which letter has which sizes where, and what to write instead."""
    found = failure(forward, inputs)
    assert found.rule == rule
    assert [fix.code or fix.said for fix in found.fixes] == fixes


@settings(max_examples=40, deadline=None, derandomize=True, database=None)
@given(st.sampled_from("bhd"), st.sampled_from("qk"), st.integers(1, 7))
def test_any_letter_with_two_sizes(letter, where, more):
    """The rule names the letter with both sizes, and each fix runs on the tensors."""
    sizes = {"b": 2, "h": 3, "t": 4, "s": 5, "d": 6}
    shapes = {"q": "bhtd", "k": "bhsd"}
    inputs = [
        tuple(sizes[name] + (more if name == letter and operand == where else 0) for name in term)
        for operand, term in shapes.items()
    ]
    found = failure(lambda q, k: torch.einsum("bhtd,bhsd->bhts", q, k), inputs)
    one, other = (sizes[letter] + more * (where == operand) for operand in "qk")
    assert f"The axis {letter} of" in found.rule
    assert f"is {one} in q" in found.rule
    assert f"but {other} in k" in found.rule
