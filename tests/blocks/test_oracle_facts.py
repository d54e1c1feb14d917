"""Facts of the oracles that are no row of a table: layouts of weights, one step, what is new memory."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

import attntrace
from tests.blocks.by_hand import ran, softmax

ROOT = Path(__file__).parents[2]


def oracle(name):
    """Return the facts of one system."""
    return json.loads((ROOT / "tests" / "oracles" / f"{name}.json").read_text())


def preset(name, **settings):
    """Return the spec of a preset."""
    return attntrace.load(ROOT / "configs" / f"{name}.yaml", **settings)


def test_gpt2_has_its_fused_weight_the_other_way_round():
    """Their Conv1D multiplies by (in, out); nn.Linear keeps (out, in)."""
    block = attntrace.build(preset("gpt2", run={"device": "meta"}))
    weights = [p for name, p in block.named_parameters() if "layers.0." in name and "qkv.w" in name]
    theirs = oracle("gpt2")["facts"]["c_attn_weight"]
    assert [list(weight.shape) for weight in weights] == [theirs[::-1]]


def test_t5_does_not_scale():
    """No row of its encoder and decoder is scaled: the scores are q k^T itself."""
    assert oracle("t5_small_cross")["facts"]["scale"] == "none (folded into init)"
    spec = preset("t5-small", run={"device": "meta"})
    assert spec.scale is None
    names = [row.name for row in attntrace.run(spec).tensors]
    assert names.count("scores") == 18
    assert not {"q_scaled", "scores_scaled"} & set(names)
    seen = ran(attention={"qk_scale": "none"}).seen
    torch.testing.assert_close(seen["scores"], seen["q"] @ seen["k"].mT)


def test_t2ts_first_performer_has_their_products():
    """w k, w q, the normaliser, v^T k', q' kv^T: what goes into each, and what comes out."""
    facts = oracle("t2t_vit_14")["facts"]
    trace = attntrace.run(preset("t2t-vit-14", run={"device": "meta"}))
    part = "embed.steps.0.layer.attention"
    rows = {r.name: r.shape for r in reversed(trace.tensors) if r.path.startswith(part)}
    spec = preset("t2t-vit-14", run={"device": "meta"})
    weights = attntrace.build(spec).get_submodule(part).state_dict()
    (w,) = (tuple(value.shape) for name, value in weights.items() if name.endswith("features.w"))
    ours = [
        (rows["k"], w, rows["k_features"]),
        (rows["q"], w, rows["q_features"]),
        (rows["q_features"], rows["k_sum"], rows["normalizer"][:-1]),  # ours keeps an axis of 1
        (rows["v"], rows["k_features"], rows["kv"]),
        (rows["q_features"], rows["kv"], rows["context_sum"]),
    ]
    theirs = facts["performer1_einsums"]
    assert [tuple(map(list, one)) for one in ours] == [
        (*product["inputs"], product["out"]) for product in theirs
    ]
    assert rows["normalizer"][-1] == 1


STEPS = {
    "seq2seq_attention_layer_cross": "seq2seq-cross",
    "seq2seq_self_attention_layer": "seq2seq-self",
}


@pytest.mark.parametrize("name", STEPS)
def test_one_step_of_the_seq2seq_layer_is_a_row_of_all(name):
    """K^T q_1, alpha_1 and c_1, computed for the first query alone, are the first row of ours."""
    facts = {row["name"]: row["shape"] for row in oracle(name)["intermediates"]}
    seen = ran_preset(STEPS[name])
    q_1 = seen["q"][:, 0]
    products = torch.einsum("bmd,bd->bm", seen["k"], q_1)
    alpha = softmax(products)
    context = torch.einsum("bm,bmd->bd", alpha, seen["v"])
    for theirs, one, ours in (
        ("K^T q_1 (one step)", products, "scores"),
        ("alpha_1", alpha, "probs"),
        ("c_1", context, "context"),
    ):
        assert list(one.shape) == facts[theirs]
        torch.testing.assert_close(seen[ours][:, 0], one)


@pytest.mark.parametrize("name", STEPS)
def test_another_second_token_changes_the_first_step_where_it_is_a_key(name):
    """c_1 does not depend on the second query; in self-attention that is a key and a value, too."""
    facts = {check["what"][:33]: check["actual"] for check in oracle(name)["checks"]}
    spec = preset(STEPS[name])
    block, inputs = attntrace.build(spec), attntrace.blocks.make_inputs(spec)
    other = {**inputs, "x": inputs["x"].clone()}
    other["x"][:, 1] += 1
    with torch.no_grad():
        same = torch.equal(block(**inputs)[:, 0], block(**other)[:, 0])
    assert same == facts["changing query-side token 2 leave"]


def ran_preset(name):
    """Return what the taps of a preset see."""
    from tests.blocks.test_references import tapped

    spec = preset(name)
    return tapped(attntrace.build(spec), attntrace.blocks.make_inputs(spec))


def test_patches_by_unfolding_are_those_of_a_soft_split():
    """ViT's patches as rows of pixels: one split whose kernel is its stride has their tensor."""
    facts = {row["name"]: row for row in oracle("vision_vit_patch_embed")["intermediates"]}
    theirs = facts["patches (unfold)"]
    split = {"size": "224x224", "kernels": [16], "strides": [16], "pads": [0]}
    trace = attntrace.run({"block": "t2t", "batch": 13, "chan": 768, "image": split})
    unfolded, ours = trace["unfolded"], trace["split"]
    assert (list(ours.shape), list(ours.stride)) == (theirs["shape"], theirs["stride"])
    assert (ours.dtype, ours.nbytes) == (theirs["dtype"], theirs["bytes"])
    assert theirs["alias_of"] is None  # they count unfold and transpose as one
    assert (unfolded.origin, ours.storage_id) == ("new", unfolded.storage_id)
    assert list(trace["project"].shape) == facts["tokens"]["shape"]


@pytest.mark.parametrize(("weights", "number"), [("averaged", 0), ("per-head", 1)])
def test_weights_of_torchs_module_are_new_memory(weights, number):
    """What nn.MultiheadAttention hands out is no view of anything that can be seen."""
    assert oracle("vision_nn_multiheadattention")["intermediates"][number]["alias_of"] is None
    attention = {"impl": "torch", "skip": "none", "need_weights": weights}
    trace = attntrace.run({"heads": 4, "attention": attention})
    probs = trace["probs"]
    assert (probs.origin, probs.alias_of) == ("new", None)
    assert [r.name for r in trace.tensors if r.storage_id == probs.storage_id] == ["probs"]
    assert probs.allocated_nbytes == probs.nbytes
