"""The published formula of activation memory, term by term, against what autograd keeps here.

Source: Korthikanti et al., "Reducing Activation Recomputation in Large Transformer Models" (2022),
section 4.1. The tables in docs/activation-memory.md are the expectation.
"""

from __future__ import annotations

import re
from collections import Counter
from math import prod
from pathlib import Path

import pytest
import torch

import attntrace

DOCS = (Path(__file__).parents[2] / "docs" / "activation-memory.md").read_text()
LAYER = "stack.layers.1"
SIZES = [{"s": 8, "b": 3, "a": 4, "d": 5}, {"s": 14, "b": 2, "a": 6, "d": 4}, {"s": 33, "b": 2, "a": 2, "d": 16}]  # fmt: skip
CASES = {
    "Eager": {"impl": "eager", "dropout": 0.1},
    "SDPA, no dropout on the probabilities": {"impl": "sdpa", "dropout": 0.0},
    "SDPA, dropout on the probabilities": {"impl": "sdpa", "dropout": 0.1},
}
PUBLISHED = "34sbh + 5as^2b"


def table(title):
    """Return the rows of a table of the docs: term, the paper's formula, row, our formula."""
    part = DOCS.split(f"## {title}\n")[1].split("\n## ")[0]
    lines = [line for line in part.splitlines() if line.startswith("| ")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[1:]]


def worked_out(formula, sizes):
    """Return the bytes that a sum such as "34sbh + 5as^2b" comes to."""
    terms = re.findall(r"(\d+)([a-z^2]+)", formula)
    return sum(
        int(count) * prod(sizes[letter] for letter in letters.replace("s^2", "ss"))
        for count, letters in terms
    )


def run(attention, sizes, **more):
    """Return the trace of two layers of a GPT in bfloat16, in train mode."""
    return attntrace.run(
        {
            "block": "decoder",
            "batch": sizes["b"],
            "tokens": sizes["s"],
            "chan": sizes["h"],
            "heads": sizes["a"],
            "layers": 2,
            "ff_dim": 4 * sizes["h"],
            "norm": {"kind": "layernorm", "place": "pre"},
            "mask": {"kind": "causal"},
            "feed_forward": {"activation": "gelu"},
            "attention": {**attention, "qkv_bias": True, "out_bias": True},
            "stack": {"dropout": 0.1},
            "run": {"grad": True, "mode": "train", "dtype": "bfloat16", **more},
        }
    )


def kept(trace):
    """Return the bytes that backward of the second layer needs, by the row that shows or hides it."""
    found = Counter()
    for storage in trace.facts.storages:
        if not storage.saved_for_backward or storage.owner != "run":
            continue
        row = trace.tensors[storage.row]
        hidden = row.storage_id != storage.id
        op = f" ({trace.ops[storage.op].op.split('.')[1]})" if hidden else ""
        if row.path == "stack.layers.0" and row.name == "residual":
            found["`residual` of the layer below"] = storage.nbytes  # the last one counts
        elif row.path.startswith(LAYER):
            path = row.path.removeprefix(LAYER).lstrip(".")
            found[f"`{f'{path} {row.name}'.strip()}{op}`"] += storage.nbytes
    last = [row for row in trace if row.path == LAYER and row.phase == "forward"][-1]
    found["`residual`"] -= last.nbytes  # what goes into the final norm
    return found


@pytest.mark.parametrize("sizes", SIZES, ids=str)
@pytest.mark.parametrize("title", CASES)
def test_each_term_is_what_is_kept(title, sizes):
    """Every tensor that autograd keeps of a layer is a line of the table, and every line is kept."""
    sizes = {**sizes, "h": sizes["a"] * sizes["d"]}
    lines = [line for line in table(title) if line[2]]
    assert kept(run(CASES[title], sizes)) == {
        name: worked_out(ours, sizes) for _, _, name, ours in lines
    }


@pytest.mark.parametrize("title", CASES)
def test_the_sums_are_the_sums(title):
    """The last line of a table is the sum of those above it; the paper's is the published one."""
    *lines, (_, paper, _, ours) = table(title)
    for sizes in ({"s": 7, "b": 5, "a": 3, "h": 11}, {"s": 2, "b": 3, "a": 13, "h": 17}):
        assert worked_out(ours, sizes) == sum(worked_out(line[3], sizes) for line in lines)
        assert worked_out(paper, sizes) == sum(worked_out(line[1], sizes) for line in lines)
    assert paper == PUBLISHED or "no dropout" in title


@pytest.mark.parametrize("sizes", SIZES[:2], ids=str)
def test_eager_is_the_paper_but_for_the_masks(sizes):
    """With masks of one byte an element, and without the norms' statistics, it is 34sbh + 5as^2b."""
    sizes = {**sizes, "h": sizes["a"] * sizes["d"]}
    found = kept(run(CASES["Eager"], sizes))
    masks = sum(n for name, n in found.items() if name.endswith("dropped (empty_like)`"))
    statistics = sum(n for name, n in found.items() if "native_layer_norm" in name)
    assert found.total() - masks // 2 - statistics == worked_out(PUBLISHED, sizes)


def test_a_checkpointed_layer_keeps_its_input():
    """2sbh, and the state of the random numbers."""
    sizes = {"s": 8, "b": 3, "a": 4, "h": 20}
    trace = run(CASES["Eager"], sizes, checkpoint=True)
    saved = [s for s in trace.facts.storages if s.saved_for_backward and s.owner == "run"]
    kept_of_it = [s.nbytes for s in saved if trace.tensors[s.row].path == "stack.layers.0"]
    states = [s.nbytes for s in saved if trace.tensors[s.row].name == "random_state"]
    assert kept_of_it == [worked_out("2sbh", sizes)]
    assert states == 2 * [len(torch.get_rng_state())]
