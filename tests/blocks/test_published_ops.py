"""Published models, op by op: every tensor that an op of theirs makes has its row in the same part of ours.

A part is one place of a block: the attention of a layer, its feed-forward, a norm, the embeddings.
Where their code goes another way, a table below says so, and what our row looks like instead.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

import pytest

from tests.blocks.published import PUBLISHED, TORCH, Why
from tests.blocks.test_published import EACH, fits, oracle, traced, within


@dataclass(frozen=True)
class Unlike:
    """Ops of theirs (a regular expression) of whose shape our part has no row, and why."""

    ops: str
    reason: str
    ours: Callable[[list[int]], tuple[int | None, ...]] | None = None
    """What shape of ours says the same; a None in it is a size that the data decide."""
    beside: str = ""
    """The module of ours that has it, where it is in another part."""


RMS = Unlike(r".*norm/add#1", "their mean square + eps; nn.RMSNorm keeps it to itself")
ROTARY = Unlike(
    r".*self_attn/unsqueeze#[12]",
    "cos and sin with axes for batch and heads; ours are made beside the layers, and broadcast",
    lambda s: (s[2], s[3]),
    "rotary",
)
FLAT = Unlike(
    r"transformer\.h\.0\.\w+\.c_\w+/(view|addmm)#1",
    "their Conv1D multiplies the tokens of both sequences as rows of one matrix",
    lambda s: (2, s[0] // 2, s[1]),
)
AVERAGED = Unlike(
    r".*attn/multi_head_attention_forward#1",
    "their probabilities are averaged over 8 heads",
    lambda s: (s[0], 8, *s[1:]),
)
PADDING = Unlike(
    r".*(attn/masked_fill_|/flatten)#\d",
    "their padding mask is given its axes for heads and queries inside nn.MultiheadAttention",
    lambda s: (s[0], 1, 1, s[1]),
    "mask",
)
UNLIKE = {
    "gpt2": [FLAT],
    "bert_base": [
        Unlike(r"embeddings/expand#[12]", "theirs takes segments from a buffer of zeros; ours come in"),
    ],
    "vit_b16": [],
    "llama3_8b_gqa": [RMS, ROTARY],
    "mistral_small_window8": [RMS, ROTARY],
    "mixtral_8x7b_moe": [
        RMS,
        ROTARY,
        Unlike(
            r".*experts/(unsqueeze|bmm)#\d",
            "each row is a matrix of one column, times the weights of its expert",
            lambda s: tuple(s[:-1]),
        ),
    ],
    "deepseek_v3_small_cpu": [
        RMS,
        ROTARY,
        Unlike(
            r".*experts(\.act_fn)?/(linear|chunk|silu|mul)#\d+",
            "what one expert is given is for the router to say",
            lambda s: (None, *s[1:]),
        ),
        Unlike(r".*experts/(one_hot|permute)#1", "theirs finds an expert's tokens by a table; ours sorts"),
        Unlike(r".*experts/unbind#1", "theirs goes through the numbers of the experts that were hit"),
    ],
    "t5_small_cross": [RMS],
    "t2t_vit_14": [
        Unlike(
            r"tokens_to_token\.attention\d/einsum#3",
            "their normaliser gets its last axis when it divides",
            lambda s: (*s, 1),
        ),
    ],
    "detr_own_transformer": [AVERAGED, PADDING],
    "nn_transformer_base": [],
    "x_transformers_kv2": [
        Unlike(
            r"attend/(unsqueeze|expand)#[12]",
            "copies of a kv head stand in front of the kv heads; ours behind",
            lambda s: (s[0], s[2], s[1], *s[3:]),
        ),
    ],
}  # fmt: skip
"""Where an op of theirs has no row of its shape."""


def part_of(entry):
    """Return the part that a module or row of ours is in: `stack.layers.0.attention`, `embed`."""
    names = entry.partition("/")[0].split(".")
    for name, deep in (("layers", 3), ("steps", 3)):
        if name in names:
            return ".".join(names[: names.index(name) + deep])
    return names[0]


def parts_of(name, module):
    """Return our parts that do the work of a module of theirs, or of the nearest one around it."""
    table = PUBLISHED[name].modules
    while isinstance(table.get(module, Why("not listed")), Why) and module:
        module = module.rpartition(".")[0]
    entry = table[module]
    return {part_of(one) for one in ((entry,) if isinstance(entry, str) else entry)}


def shapes_in(name, parts):
    """Return the shapes of our rows in some parts."""
    rows = traced(PUBLISHED[name].preset).tensors
    return {row.shape for row in rows if any(within(row.path, part) for part in parts)}


def shapes_beside(name, module):
    """Return the shapes of our rows in all modules of a name."""
    rows = traced(PUBLISHED[name].preset).tensors
    return {row.shape for row in rows if module in row.path.split(".")}


def without_a_row(name):
    """Yield op, shape and our parts for each tensor of theirs that no row of those parts is like."""
    turned = PUBLISHED[name].modules is TORCH
    for row in oracle(name)["intermediates"]:
        if row["kind"] == "module":
            continue
        parts = parts_of(name, row["name"].rpartition("/")[0])
        mine = shapes_in(name, parts)
        for shape in row["out_shapes"]:
            if not any(fits(shape, one, turned=turned and len(shape) > 2) for one in mine):
                yield row["name"], shape, parts


def alike(shape, expected):
    """Return whether a shape is what was expected; None stands for any size."""
    return len(shape) == len(expected) and all(
        wanted in (None, size) for size, wanted in zip(shape, expected, strict=True)
    )


@EACH
def test_every_op_has_its_row(name):
    """A row of the same part has its shape, or the one that the table makes of it."""
    for op, shape, parts in without_a_row(name):
        reasons = [unlike for unlike in UNLIKE[name] if re.fullmatch(unlike.ops, op)]
        assert len(reasons) == 1, (op, shape, sorted(shapes_in(name, parts)))
        (unlike,) = reasons
        if unlike.ours is None:
            continue
        mine = shapes_beside(name, unlike.beside) if unlike.beside else shapes_in(name, parts)
        assert any(alike(one, unlike.ours(shape)) for one in mine), (op, shape, unlike.reason)


@EACH
def test_no_reason_is_left_over(name):
    """Every entry of the table is needed by a tensor."""
    missing = [op for op, _, _ in without_a_row(name)]
    for unlike in UNLIKE[name]:
        assert any(re.fullmatch(unlike.ops, op) for op in missing), unlike.ops


def test_an_op_without_a_row_is_noticed(monkeypatch):
    """The comparison can fail: without the table, GPT-2's flat matrices are missed."""
    monkeypatch.setitem(UNLIKE, "gpt2", [])
    with pytest.raises(AssertionError, match="c_attn/view#1"):
        test_every_op_has_its_row("gpt2")


@EACH
def test_the_parts_are_parts(name):
    """No module but the whole model and its stacks is compared with all of our rows."""
    model = PUBLISHED[name]
    wide = [m for m in model.modules if m and "" in parts_of(name, m)]
    assert wide == []
