"""Published models, module by module: shapes, parameters to the unit, caches, masks.

The oracles are runs of independent implementations (transformers, torch, DETR's, T2T-ViT's and
x-transformers' own code) with the published sizes.
"""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path

import pytest
import torch

import attntrace
from attntrace.blocks.inputs import make_inputs
from tests.blocks.published import PUBLISHED, Why

ROOT = Path(__file__).parents[2]
EACH = pytest.mark.parametrize("name", PUBLISHED)


@cache
def oracle(name):
    """Return the facts of one model."""
    return json.loads((ROOT / "tests" / "oracles" / f"{name}.json").read_text())


@cache
def traced(preset):
    """Return a preset's rows, on meta: shapes and parameters are those of a real run."""
    spec = attntrace.load(ROOT / "configs" / f"{preset}.yaml", run={"device": "meta"})
    return attntrace.run(spec)


def shapes(trace, entry):
    """Return the shapes of a row (`module/row`), or of the first tensor of each call of a module."""
    path, slash, row = entry.partition("/")
    if slash:
        return [r.shape for r in trace.tensors if r.name == row and within(r.path, path)]
    calls = [module for module in trace.modules if module.path == path]
    return [trace.tensors[module.outputs[0]].shape for module in calls]


def within(path, module):
    """Return whether a path is a module, or in one."""
    return path == module or path.startswith(f"{module}." if module else "")


def parameters(trace, entry):
    """Return the parameters of a module of ours, None of a row."""
    if "/" in entry:
        return None
    return next(m.parameters for m in trace.modules if m.path == entry)


def fits(theirs, mine, *, turned=False):
    """Return whether shapes agree; theirs may have a batch of 1 for what all sequences share."""
    theirs = tuple(theirs)
    if turned and mine != theirs:
        *outer, tokens, batch, width = theirs
        theirs = (*outer, batch, tokens, width)
    return theirs in (mine, (1, *mine))


def modules_of(name):
    """Return the oracle's rows that are modules."""
    return [row for row in oracle(name)["intermediates"] if row["kind"] == "module"]


@EACH
def test_parameters_to_the_unit(name):
    """The whole model has as many parameters as theirs."""
    assert traced(PUBLISHED[name].preset).memory.parameters == oracle(name)["params"]


@EACH
def test_every_module_has_its_row(name):
    """Each module of theirs is a tensor of ours, of its shape, with its parameters, or has a reason."""
    model = PUBLISHED[name]
    trace = traced(model.preset)
    for row in modules_of(name):
        entry = model.modules[row["name"]]
        if isinstance(entry, Why):
            continue
        entries = (entry,) if isinstance(entry, str) else entry
        found = shapes(trace, entries[-1])
        theirs = row["shape"] if row["name"] else oracle(name)["outputs"][0]["shape"]
        assert any(fits(theirs, shape, turned=model.turned) for shape in found), (row, found)
        counts = [count for e in entries if (count := parameters(trace, e)) is not None]
        if counts:
            assert sum(counts) == row["params"], (row["name"], entries, counts)


@EACH
def test_no_entry_is_left_over(name):
    """Every entry of the table belongs to a module of theirs."""
    seen = {row["name"] for row in modules_of(name)}
    hidden = {"encoder.norm", "decoder.norm"} if name == "detr_own_transformer" else set()
    assert set(PUBLISHED[name].modules) - seen == hidden


def hold(trace, facts, rows, *, turned=False):
    """Assert that our rows have the shapes of their facts."""
    for fact, entry in rows.items():
        if isinstance(entry, dict):
            hold(trace, facts[fact], entry)
            continue
        found = shapes(trace, entry)
        assert any(fits(facts[fact], shape, turned=turned) for shape in found), (fact, found)


@EACH
def test_the_facts_hold(name):
    """q, k^T, scores, probabilities, values, context and projections have their shapes."""
    model = PUBLISHED[name]
    hold(traced(model.preset), oracle(name)["facts"], model.facts, turned=model.turned)


DECODING = [name for name, model in PUBLISHED.items() if model.decode]


@pytest.mark.parametrize("name", DECODING)
def test_a_decode_step_has_their_shapes(name):
    """One query against the cache."""
    model = PUBLISHED[name]
    trace = traced(model.decode)
    facts = oracle(name)["facts"]["decode_step"]
    rows = {fact: model.facts[fact] for fact in facts} | model.decode_facts
    hold(trace, facts, rows)
    assert trace.memory.parameters == oracle(name)["params"]


@EACH
def test_the_outputs_are_theirs(name):
    """The block returns tensors of their shapes."""
    trace = traced(PUBLISHED[name].preset)
    expected = [tuple(out["shape"]) for out in oracle(name)["outputs"]]
    assert [trace.tensors[row].shape for row in trace.facts.outputs] == expected


def test_llamas_cache_costs_128_kibibytes_a_token():
    """8 heads of 128 features, k and v, bfloat16, 32 layers."""
    facts = oracle("llama3_8b_gqa")["facts"]
    rows = [r for r in traced("llama3-8b-decode").tensors if r.name in ("k_cache", "v_cache")]
    per_token = sum(r.nbytes // (r.shape[0] * r.shape[2]) for r in rows)
    assert per_token == facts["kv_cache_bytes_bf16_per_token_all_layers"]
    assert {r.shape for r in rows} == {tuple(facts["kv_cache_layer_after_decode"])}


def test_gpt2_caches_9_mebibytes():
    """64 tokens of 2 sequences: the published bytes of a prefill, and a row more after a step."""
    facts = oracle("gpt2")["facts"]
    rows = [r for r in traced("gpt2-decode").tensors if r.name in ("k_cache", "v_cache")]
    assert {r.shape for r in rows} == {tuple(facts["kv_cache_layer_after_decode"])}
    assert sum(r.nbytes for r in rows) * 64 // 65 == facts["kv_cache_bytes_fp32_prefill"]


def test_latent_cache_is_the_latent():
    """DeepSeek keeps kv_lora_rank + rope_head_dim features of a token, whatever the heads."""
    trace = traced("deepseek-v3-small-decode")
    rows = {r.name: r.shape for r in trace.tensors if r.name in ("latent_cache", "k_rope_cache")}
    assert rows == {"latent_cache": (2, 1, 13, 32), "k_rope_cache": (2, 1, 13, 8)}


def captured(preset, *names):
    """Return the values of rows of a real run, by name, in order."""
    spec = attntrace.load(ROOT / "configs" / f"{preset}.yaml")
    block, seen = attntrace.build(spec), {name: [] for name in names}
    for path, module in block.named_modules():
        name = path.rpartition(".")[2]
        if name in names and ".tap." in f".{path}":
            module.register_forward_hook(lambda _m, _a, out, name=name: seen[name].append(out))
    with torch.no_grad():
        block(**make_inputs(spec))
    return seen


def test_detr_has_their_weights_for_each_head():
    """Theirs are averaged over the 8 heads; ours are the heads' own."""
    facts, rows = oracle("detr_own_transformer")["facts"], traced("detr-r50")
    for fact, path in {
        "enc_self_weights": "encoder.layers.0.attention.attend",
        "dec_self_weights": "decoder.layers.0.attention.attend",
        "dec_cross_weights": "decoder.layers.0.cross_attention.attend",
    }.items():
        batch, queries, keys = facts[fact]
        assert shapes(rows, f"{path}/probs") == [(batch, 8, queries, keys)]


def test_t5_has_one_table_of_distances_a_stack():
    """Two tables of (buckets, heads), however many layers."""
    block = attntrace.build(attntrace.load(ROOT / "configs" / "t5-small.yaml"))
    tables = [p.shape for name, p in block.named_parameters() if "bias" in name]
    assert tables == [torch.Size(oracle("t5_small_cross")["facts"]["rel_bias_table"])] * 2


def test_mistral_sees_its_window():
    """Query i has min(i + 1, 8) keys with a probability above 0, itself included."""
    probs, *_ = captured("mistral-window8", "probs")["probs"]
    seen = (probs > 0).sum(dim=-1)
    expected = oracle("mistral_small_window8")["facts"]["nonzero_keys_per_query"]
    assert seen.unique(dim=1).tolist() == [[expected]]


def test_mistral_keeps_its_window():
    """After 20 tokens the cache holds 7, which is all that the next query sees beside itself."""
    kept = oracle("mistral_small_window8")["facts"]["kv_cache_layer_keys"]
    trace = traced("mistral-window8-decode")
    inputs = {r.shape for r in trace.tensors if r.kind == "input" and len(r.shape) == 4}
    assert inputs == {tuple(kept)}


def test_every_token_meets_its_experts():
    """The experts of DeepSeek's layer are given batch*tokens*experts_per_token rows in all."""
    (counts,) = captured("deepseek-v3-small", "tokens_per_expert")["tokens_per_expert"]
    facts = oracle("deepseek_v3_small_cpu")["facts"]
    assert counts.sum() == facts["sum_tokens_over_experts"]
    assert len(counts) == 16
