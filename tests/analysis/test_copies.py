"""Copies that nobody asked for: their bytes add up, and each is named after what it copied."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import nn

import attntrace
from attntrace.analysis.copies import copies, is_contiguous
from attntrace.render import View, to_text
from attntrace.render.copies import hidden_copies, why
from tests.builders import fake_op, fake_output, fake_trace


def seen(call, *args):
    """Return call, source, dtype, bytes, reason and whether a row shows it, of each copy."""
    with torch.no_grad():
        facts = attntrace.trace(call, *args).facts
    return [(c.call, c.source, c.dtype, c.nbytes, c.reason, c.shown) for c in copies(facts)]


@pytest.mark.parametrize("impl", ["eager", "torch"])
@pytest.mark.parametrize("heads", [1, 4])
@pytest.mark.parametrize("grad", [False, True])
def test_hidden_bytes_are_copies_and_what_is_left(impl, heads, grad):
    """Copies that no row shows are hidden bytes of the report; the rest are no copies."""
    settings = {"heads": heads, "attention": {"impl": impl, "qkv_bias": True}}
    trace = attntrace.run({**settings, "run": {"grad": grad, "mode": "train"}})
    shown = {row.storage_id for row in trace.tensors}
    facts = [c for c in copies(trace.facts) if c.phase == "forward" and not c.shown]
    found = sum(copy.nbytes for copy in facts)
    named = {copy.op for copy in facts}
    left = sum(
        life.nbytes
        for life in trace.facts.storages
        if life.op is not None
        and life.op not in named
        and life.id not in shown
        and trace.ops[life.op].phase == "forward"
    )
    assert found + left == trace.memory.hidden_nbytes
    if impl == "eager":
        assert left == 0


def test_multi_head_attention_copies_what_is_not_contiguous():
    """Heads are cut out of one projection, so matmul copies each of them, and reshape the context."""
    facts = attntrace.run({"heads": 4}).facts
    assert [(c.call, c.source, c.nbytes, c.reason, c.shown) for c in copies(facts)] == [
        ("matmul", "q_scaled", 332_800, "not contiguous", False),
        ("matmul", "k_t", 332_800, "not contiguous", False),
        ("matmul", "v", 332_800, "not contiguous", False),
        ("reshape", "context_t", 332_800, "not contiguous", True),
    ]


def test_an_operand_that_is_expanded():
    """Keys that all heads share are written out for each head."""
    q, k = torch.randn(3, 4, 10, 8), torch.randn(3, 1, 10, 8)

    def scores(q, k):
        k_t = k.expand(3, 4, 10, 8).transpose(-2, -1)
        return q @ k_t

    assert seen(scores, q, k) == [("matmul", "k_t", "float32", 3840, "expanded", False)]


def test_two_views_of_one_storage_are_told_apart():
    """Both operands are views of qkv and have one shape; their layout tells which was copied."""

    def product(qkv):
        a, b = qkv[0], qkv[1].transpose(-2, -1)
        return a @ b

    found = seen(product, torch.randn(2, 3, 5, 4, 5).transpose(2, 3))
    assert [source for _, source, *_ in found] == ["a", "b"]


def test_softmax_in_another_number_format():
    """softmax(dtype=) makes a copy first; a cast back that a row shows is shown."""

    def probs(scores):
        wide = scores.softmax(-1, dtype=torch.float32)
        return wide.to(scores.dtype)

    assert seen(probs, torch.randn(3, 7).bfloat16()) == [
        ("softmax", "scores", "float32", 84, "dtype", False),
        ("to", "wide", "bfloat16", 42, "dtype", True),
    ]


def test_autocast_copies_parameters():
    """Under autocast a linear layer makes a narrow copy of its weight, its bias and its input."""
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = seen(nn.Linear(8, 5), torch.randn(3, 8))
    assert sorted((source, nbytes, reason) for _, source, _, nbytes, reason, _ in found) == [
        ("bias", 10, "dtype"), ("input", 48, "dtype"), ("weight", 80, "dtype"),
    ]  # fmt: skip


def test_attention_makes_numbers_of_a_bool_mask():
    """A mask of booleans becomes one of numbers, as large as it was expanded to."""
    q, mask = torch.randn(3, 4, 10, 8), torch.ones(10, 10, dtype=torch.bool).tril()

    def attend(q, mask):
        return F.scaled_dot_product_attention(q, q, q, attn_mask=mask.expand(3, 4, 10, 10))

    found = seen(attend, q, mask)
    assert found == [
        (
            "scaled_dot_product_attention", "mask.expand(3, 4, 10, 10)", "float32", 4800, "mask",
            False,
        )
    ]  # fmt: skip


def test_a_copy_that_was_asked_for_by_name_is_none():
    """clone and where say what they do."""

    def forward(x):
        seen = torch.where(x > 0, 0.0, 1.0)
        return x.T.clone() + seen.T

    assert seen(forward, torch.randn(3, 7)) == []


def test_copies_in_backward_are_of_backward():
    """What backward copies is told apart from what the forward copied."""
    facts = attntrace.run({"heads": 4, "run": {"grad": True}}).facts
    later = [c for c in copies(facts) if c.phase == "backward"]
    assert [(c.call, c.source, c.shown) for c in later] == [
        ("ExpandBackward0", "d context", False),
        ("ViewBackward0", "d qkv_split", True),
    ]
    assert hidden_copies(facts) == (
        "975.0 KiB hidden in 3 copies: matmul copied q_scaled (325.0 KiB, not contiguous), "
        "matmul copied k_t (325.0 KiB, not contiguous), matmul copied v (325.0 KiB, not "
        "contiguous); after the forward 325.0 KiB hidden in 1 copy: ExpandBackward0 copied d context "
        "(325.0 KiB, not contiguous)"
    )


def test_layers_that_copy_alike_are_said_once():
    """The same copy in each layer is one entry with a count; the largest three are named."""
    spec = {"block": "encoder", "layers": 3, "heads": 4, "chan": 24, "batch": 2, "tokens": 7}
    said = hidden_copies(attntrace.run(spec).facts)
    assert said == (
        "11.8 KiB hidden in 9 copies: matmul copied q_scaled (3 x 1.3 KiB, not contiguous), "
        "matmul copied k_t (3 x 1.3 KiB, not contiguous), "
        "matmul copied v (3 x 1.3 KiB, not contiguous)"
    )


def copied(**changes):
    """Return the sentence of a made-up copy of k, storage 2, at its line."""
    op = fake_op(2, "aten.clone.default", 3, fake_output((13, 100, 64), 3), inputs=((13, 100, 64),))
    facts = {"copied": 2, "copied_dtype": "float32", "copied_stride": (19200, 192, 1), **changes}
    op = attntrace.record.OpRecord(**{**as_dict(op), **facts})
    ops = fake_trace().ops
    (copy,) = copies(fake_trace(ops=(*ops[:2], op, *ops[3:])))
    return why(copy)


def as_dict(record):
    """Return the fields of a record."""
    return {name: getattr(record, name) for name in record.__dataclass_fields__}


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({}, "copy of q: it is not contiguous"),
        ({"copied_stride": (0, 64, 1)}, "copy of q: it is expanded"),
        ({"copied_stride": (6400, 64, 1)}, "copy of q"),
        ({"copied_stride": None}, "copy of q"),
        ({"copied_dtype": "bfloat16"}, "float32 copy of q"),
        ({"copied_dtype": "bool"}, "float32 mask from q, which is bool"),
        ({"copied": 0}, "copy of qkv.weight: it is not contiguous"),
        ({"copied": 3}, "copy of a hidden tensor: it is not contiguous"),
    ],
)
def test_each_reason_in_words(changes, sentence):
    """The sentence at the op's line says what was copied and why."""
    assert copied(**changes) == sentence


def test_the_line_of_the_op_says_it():
    """At the kernel level the line of the op says what it copied."""
    shown = to_text(attntrace.run({"heads": 4}).facts, View(level="kernel"))
    lines = [line.rstrip() for line in shown.splitlines() if "aten.clone" in line]
    assert [line.partition("new")[2] for line in lines] == [
        ", hidden: copy of q_scaled: it is not contiguous",
        ", hidden: copy of k_t: it is not contiguous",
        ", hidden: copy of v: it is not contiguous",
        ": copy of context_t: it is not contiguous",
    ]


@pytest.mark.parametrize(
    "tensor",
    [
        torch.empty(3, 4, 5),
        torch.empty(3, 4, 5).transpose(0, 1),
        torch.empty(1, 4, 1).transpose(0, 2),
        torch.empty(3, 1, 5)[:, :, ::2],
        torch.empty(3, 4)[:, :2],
        torch.empty(0, 4).t(),
        torch.empty(()),
        torch.empty(4).expand(3, 4),
    ],
)
def test_contiguous_is_torchs_word(tensor):
    """Shape and strides tell what `Tensor.is_contiguous` does."""
    assert is_contiguous(tuple(tensor.shape), tensor.stride()) == tensor.is_contiguous()
