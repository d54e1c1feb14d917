"""The attention layers and stacks of the articles, tensor by tensor against other code's tensors."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import attntrace

ROOT = Path(__file__).parents[2]
PLAIN = {"attention_scores": "scores", "attention_weights": "probs", "output": "context"}
ONE_STEP = ("K^T q_1 (one step)", "alpha_1", "c_1")
"""What the article computes once more for one query alone."""
SEQ2SEQ = {
    "Q = W_Q x'_j": "q", "Q = W_Q x_j": "q", "K = W_K x_i": "k", "V = W_V x_i": "v",
    "Q K^T (all steps)": "scores", "alpha": "probs", "C": "context",
}  # fmt: skip
SHARED = {
    "values (reshape)": "v_heads", "keys (reshape)": "k_heads", "queries (reshape)": "q_heads",
    "values": "v", "keys": "k", "queries": "q", "energy": "scores",
    "energy (masked)": "masked_scores", "energy/sqrt(embed_size)": "scores_scaled",
    "attention": "probs", "out": "context", "out (reshape)": "context_merged",
    "output (fc_out)": "proj",
}  # fmt: skip
LAYER = SHARED | {
    "attention (block)": "proj",
    "x = query + attention": "residual",
    "x (norm1)": "residual_normed",
    "x (dropout)": "residual_dropped",
    "ffn hidden (linear 0)": "hidden",
    "ffn relu": "activated",
    "ffn": "out",
    "forward = ffn + x": "residual 2",
    "out (norm2+dropout)": "residual_normed 2",  # the dropout returns it
}
TABLES = {
    "transformer_self_attention": ("transformer-self-attention", PLAIN | {
        "Q": "q", "K": "k", "V": "v", "K.transpose(-2,-1)": "k_t",
    }),
    "transformer_mha_shared_heads": ("shared-heads", SHARED),
    "transformer_transformer_block": ("transformer-block", LAYER),
    "transformer_transformer": ("transformer-3-layers", LAYER | {"out (embeddings)": "embedded"}),
    "seq2seq_attention_layer_cross": ("seq2seq-cross", SEQ2SEQ),
    "seq2seq_self_attention_layer": ("seq2seq-self", SEQ2SEQ),
    "detr_notes_self_attention": ("detr-notes-self", {
        "q": "q", "k": "k", "v": "v", "q k^T": "scores", "q k^T / sqrt(d_k)": "scores_scaled",
        "alpha": "probs", "b = b1..b4": "context",
    }),
    "detr_notes_mha_2_6_3": ("detr-notes-mha", {
        "q": "q_proj", "k": "k_proj", "v": "v_proj",
        "q (reshape)": "q_split", "k (reshape)": "k_split", "v (reshape)": "v_split",
        "q (heads first)": "q", "k (heads first)": "k", "v (heads first)": "v",
        "dist": "scores_scaled", "dist (softmax)": "probs", "b": "context",
        "b (1,4,3,2)": "context_t", "b (1,4,6)": "context_merged", "output (fc)": "proj",
    }),
}  # fmt: skip
"""Oracle -> our preset, and its tensors' names in our rows; `2` is the second of a layer."""


def oracle(name):
    """Return the facts of one system."""
    return json.loads((ROOT / "tests" / "oracles" / f"{name}.json").read_text())


def of_layer(rows, number):
    """Return the rows of one layer, and those that belong to none."""
    inside = f"layers.{number}"
    return [row for row in rows if inside in row.path or "layers." not in row.path]


def found(rows, entry):
    """Return the row that an entry names."""
    name, _, place = entry.partition(" ")
    made = [row for row in rows if row.name == name and row.kind != "input"]
    return made[int(place or 1) - 1]


def paired(name):
    """Yield each tensor of an oracle with our row, and with our row of what it is a view of."""
    preset, table = TABLES[name]
    rows = attntrace.run(attntrace.load(ROOT / "configs" / f"{preset}.yaml")).tensors
    first = next(row for row in rows if row.kind == "input")
    called, layer = {}, 0
    for theirs in oracle(name)["intermediates"]:
        if theirs["name"] in ONE_STEP:
            continue
        ends = theirs["name"].startswith("out (layer")
        entry = "residual_dropped 2" if ends else table[theirs["name"]]
        called[theirs["name"]] = mine = found(of_layer(rows, layer), entry)
        yield theirs, mine, called.get(theirs["alias_of"], first)
        layer += ends


@pytest.mark.parametrize("name", TABLES)
def test_every_tensor_has_its_row(name):
    """Shape, dtype and bytes are theirs; what is new there is new here, and a view is of the same."""
    for theirs, mine, source in paired(name):
        assert (list(mine.shape), mine.dtype) == (theirs["shape"], theirs["dtype"]), theirs["name"]
        assert mine.nbytes == theirs["bytes"]
        if theirs["alias_of"] is None:
            assert mine.origin == "new", theirs["name"]
        else:
            assert mine.storage_id == source.storage_id, theirs["name"]


@pytest.mark.parametrize("name", TABLES)
def test_parameters_and_outputs(name):
    """The parameters are theirs to the unit, and the output has their shape."""
    facts = oracle(name)
    trace = attntrace.run(attntrace.load(ROOT / "configs" / f"{TABLES[name][0]}.yaml"))
    assert trace.memory.parameters == facts["params"]
    (out,) = trace.facts.outputs
    assert list(trace.tensors[out].shape) == facts["outputs"][0]["shape"]


def test_separate_heads_have_as_many_parameters_as_one_projection():
    """8 heads of 64 / 8 features, and a projection: 4 * 64 * 64, as the article counts."""
    trace = attntrace.run(attntrace.load(ROOT / "configs" / "separate-heads.yaml"))
    assert trace.memory.parameters == 16_384
