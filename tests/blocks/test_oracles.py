"""Row by row against tensors of independent implementations of the article's systems."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from torch import nn

import attntrace

ORACLES = Path(__file__).parent.parent / "oracles"
OPS = {"index": "getitem"}  # the oracles' words for what Python calls otherwise


def oracle(name):
    """Return the facts of one system."""
    return json.loads((ORACLES / f"{name}.json").read_text())


def expected_rows(facts):
    """Return name, op, shape, stride, dtype, bytes and the name of the storage's first row."""
    return [
        (
            OPS.get(op := row["op"].split("(")[0].split(" ")[0], op),
            tuple(row["shape"]),
            tuple(row["stride"]),
            row["dtype"],
            row["bytes"],
            row["alias_of"],
        )
        for row in facts["intermediates"]
    ]


def traced_rows(rows, names):
    """Return the same of a trace, its rows under the oracle's names."""
    called = {row.index: name for row, name in zip(rows, names, strict=True)}
    return [
        (row.op, row.shape, row.stride, row.dtype, row.nbytes, called.get(row.alias_of))
        for row in rows
    ]


@pytest.mark.parametrize(("name", "heads"), [("vision_single_head", 1), ("vision_multi_head_4", 4)])
def test_attention_layer(name, heads):
    """The article's layer has the oracle's tensors, in its order, in the same memory."""
    facts = oracle(name)
    trace = attntrace.run({"heads": heads})
    rows = [row for row in trace.tensors if row.kind != "input"]
    names = [row["name"] for row in facts["intermediates"]]
    assert traced_rows(rows, names) == expected_rows(facts)
    (x,) = (row for row in trace.tensors if row.kind == "input")
    assert (list(x.shape), x.nbytes) == (facts["inputs"][0]["shape"], facts["inputs"][0]["bytes"])
    assert trace.memory.parameters == facts["params"]
    block = attntrace.build({"heads": heads})
    shapes = {".".join(n.split(".")[-2:]): list(p.shape) for n, p in block.named_parameters()}
    assert shapes == facts["params_by_name"]
    assert len(block.state_dict()) == len(facts["params_by_name"])


def test_dot_product():
    """softmax(Q K^T / sqrt(d)) V as a plain function has the oracle's four tensors."""
    facts = oracle("vision_dot_product")

    def attention(Q, K, V):  # noqa: N803 - the article's names
        scores = torch.matmul(Q, K.transpose(-2, -1))
        scaled = scores / Q.shape[-1] ** 0.5
        A = scaled.softmax(dim=-1)  # noqa: N806
        return A @ V

    given = [torch.randn(row["shape"]) for row in facts["inputs"]]
    trace = attntrace.trace(attention, *given)
    assert [row.name for row in trace.tensors[:3]] == ["Q", "K", "V"]
    rows = [row for row in trace.tensors if row.kind != "input" and row.op != "transpose"]
    names = [row["name"] for row in facts["intermediates"]]
    assert traced_rows(rows, names) == expected_rows(facts)
    assert [row.name for row in rows] == ["scores", "scaled", "A", "A @ V"]


def test_dot_product_as_a_preset():
    """The block without projections has the same tensors; it multiplies where they divide."""
    facts = oracle("vision_dot_product")
    trace = attntrace.run("dot-product")
    inputs = [row for row in trace.tensors if row.kind == "input"]
    assert [list(row.shape) for row in inputs] == [row["shape"] for row in facts["inputs"]]
    rows = [trace[name] for name in ("scores", "scores_scaled", "probs", "context")]
    names = [row["name"] for row in facts["intermediates"]]
    ours = [found[1:] for found in traced_rows(rows, names)]
    assert ours == [expected[1:] for expected in expected_rows(facts)]


@pytest.mark.parametrize(("weights", "number"), [("averaged", 0), ("per-head", 1)])
def test_multihead_attention_of_torch(weights, number):
    """nn.MultiheadAttention shows its output and its weights as the oracle has them."""
    facts = oracle("vision_nn_multiheadattention")
    trace = attntrace.run(
        {
            "heads": 4,
            "attention": {"impl": "torch", "skip": "none", "need_weights": weights},
        }
    )
    probs, proj = trace["probs"], trace["proj"]
    row, out = facts["intermediates"][number], facts["outputs"][0]
    assert (list(probs.shape), probs.dtype, probs.nbytes) == (
        row["shape"],
        row["dtype"],
        row["bytes"],
    )
    assert (list(proj.shape), list(proj.stride), proj.nbytes) == (
        out["shape"],
        out["stride"],
        out["bytes"],
    )
    assert trace.memory.parameters == facts["params"]


def test_our_layer_is_torchs_with_the_same_weights():
    """Without its skip the layer computes what nn.MultiheadAttention does."""
    spec = {"heads": 4, "dim": 64, "attention": {"skip": "none", "qkv_bias": True}}
    ours = attntrace.build(spec)
    torchs = nn.MultiheadAttention(64, 4, batch_first=True).eval()
    qkv = ours.attention.project.qkv
    torchs.in_proj_weight.data, torchs.in_proj_bias.data = qkv.weight.data, qkv.bias.data
    torchs.out_proj.load_state_dict(ours.attention.proj.state_dict())
    x = torch.randn(13, 100, 64)
    with torch.no_grad():
        torch.testing.assert_close(ours(x), torchs(x, x, x)[0])


def test_eager_and_fused_agree():
    """The implementations are one function with one set of weights."""
    x = torch.randn(13, 100, 49)
    blocks = [attntrace.build({"heads": 4, "attention": {"impl": i}}) for i in ("eager", "sdpa")]
    with torch.no_grad():
        torch.testing.assert_close(blocks[0](x), blocks[1](x))
