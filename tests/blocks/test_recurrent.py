"""The recurrent blocks: the oracle's tensors, and the values of independent computations."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from torch import nn

import attntrace
from attntrace.blocks.recurrent import RnnSeq2Seq

ROOT = Path(__file__).parents[2]
SIZES = {"batch": 3, "context_tokens": 7, "tokens": 5, "context_dim": 10, "dim": 12, "chan": 16}
ALIGN = {"none": {}, "additive": {"align_dim": 11}, "dot": {}}


def oracle(name):
    """Return the facts of one system."""
    return json.loads((ROOT / "tests" / "oracles" / f"{name}.json").read_text())


def spec_of(alignment, **changes):
    """Return a spec at the oracle's sizes."""
    settings = {"attention": ALIGN[alignment], "recurrent": {"alignment": alignment}, **SIZES}
    return attntrace.load(block="rnn-seq2seq", **{**settings, **changes})


def seq2seq(alignment, **changes):
    """Return a block of random weights, and x and context for it, all in float64."""
    torch.manual_seed(0)
    spec = spec_of(alignment, **changes)
    x = torch.randn(spec.batch, spec.tokens, spec.dim, dtype=torch.float64)
    context = torch.randn(spec.batch, spec.context_tokens, spec.context_dim, dtype=torch.float64)
    return RnnSeq2Seq(spec).double(), x, context


def traced(alignment, **changes):
    """Return the trace of one run in float32, and its spec."""
    block, x, context = seq2seq(alignment, **changes)
    with torch.no_grad():
        trace = attntrace.trace(block.float(), x.float(), context.float())
    return trace, spec_of(alignment, **changes)


def facts_of(row, names):
    """Return what the oracle says of a tensor, with the name of the row that owns its memory."""
    alias = names.get(row.alias_of)
    return list(row.shape), list(row.stride), row.dtype, row.nbytes, alias


def by_name(trace):
    """Return the rows of each name, in order, and the name of each row."""
    rows = {}
    for row in trace.tensors:
        rows.setdefault(row.name, []).append(row)
    return rows, {row.index: row.name for row in trace.tensors}


PLAIN = {
    "enc [h_0; x_1]": ("h_x", 0, None),
    "h_1": ("h", 0, None),
    "h_7": ("h", 6, None),
    "s_0 = h_m": ("s_0", 0, "encoder_states"),
    "dec [s_0; x'_1]": ("s_x", 0, None),
    "s_1": ("s", 0, None),
    "s_5": ("s", 4, None),
}
ADDITIVE = {
    "H = h_1..h_m": ("encoder_states", 0, None),
    "s_0 = h_m": ("s_0", 0, "encoder_states"),
    "s expanded": ("s_rows", 0, "encoder_states"),
    "[h_i; s_j]": ("h_s", 0, None),
    "tanh(W[h;s])": ("align", 0, None),
    "alpha~ = v^T(.)": ("score_column", 0, None),
    "alpha~ (squeezed)": ("scores", 0, "score_column"),
    "alpha": ("probs", 0, None),
    "c_j = sum_i alpha_i h_i": ("c", 0, None),
    "[s_0; x'_1; c_0]": ("s_x_c", 0, None),
    "s_1": ("s", 0, None),
    "alpha, all decoder steps stacked": ("all_probs", 0, None),
}
"""The oracle's name -> ours, which row of that name, and whose memory it is."""


@pytest.mark.parametrize(
    ("alignment", "name", "ours"),
    [
        ("none", "seq2seq_rnn_seq2seq", PLAIN),
        ("additive", "seq2seq_rnn_attention_additive", ADDITIVE),
    ],
)
def test_oracle(alignment, name, ours):
    """Every tensor of the oracle is a row of the same shape, strides, bytes and memory."""
    facts = oracle(name)
    trace, _ = traced(alignment)
    rows, names = by_name(trace)
    assert [row["name"] for row in facts["intermediates"]] == list(ours)
    for row in facts["intermediates"]:
        called, number, alias = ours[row["name"]]
        expected = row["shape"], row["stride"], row["dtype"], row["bytes"], alias
        assert facts_of(rows[called][number], names) == expected, row["name"]
    order = [rows[called][number].index for called, number, _ in ours.values()]
    assert order == sorted(order)
    source, target = facts["inputs"]
    assert facts_of(rows["x_context"][0], names)[:2] == (source["shape"], source["stride"])
    assert facts_of(rows["x"][0], names)[:2] == (target["shape"], target["stride"])
    out = facts["outputs"][0]
    assert facts_of(rows["out"][0], names)[:2] == (out["shape"], out["stride"])
    assert trace.memory.parameters == facts["params"]


def test_parameters_by_name():
    """The matrices have the shapes that the oracle recorded, and the ones that the sums imply."""
    for alignment, name in (
        ("none", "seq2seq_rnn_seq2seq"),
        ("additive", "seq2seq_rnn_attention_additive"),
    ):
        block, _, _ = seq2seq(alignment)
        shapes = [list(p.shape) for p in block.parameters()]
        recorded = oracle(name)["params_by_name"].values()
        assert all(shape in shapes for shape in recorded)
    assert shapes == [[16, 26], [16], [11, 32], [1, 11], [16, 44], [16]]


def rnn_like(cell, width):
    """Return nn.RNN with the weights of a cell: A is [A_h A_x]."""
    rnn = nn.RNN(width, 16, batch_first=True).double()
    rnn.weight_hh_l0.data = cell.A.weight.data[:, :16]
    rnn.weight_ih_l0.data = cell.A.weight.data[:, 16:]
    rnn.bias_ih_l0.data = cell.A.bias.data
    rnn.bias_hh_l0.data.zero_()
    return rnn


def test_plain_is_torchs_rnn_with_split_weights():
    """The encoder and the decoder are two nn.RNN, the second from the last state of the first."""
    block, x, context = seq2seq("none")
    encoder, decoder = rnn_like(block.encoder.cell, 10), rnn_like(block.decoder.cell, 12)
    with torch.no_grad():
        states, last = encoder(context)
        assert last.shape == (1, 3, 16)  # layers first, batch_first or not
        torch.testing.assert_close(block.encoder(context), states)
        torch.testing.assert_close(block(x, context), decoder(x, last)[0])


def test_additive_is_bahdanaus_split_form():
    """W [h; s] is W_h h + W_s s; each step computed by hand from c of the state before it."""
    block, x, context = seq2seq("additive")
    decoder = block.decoder
    W_h, W_s = decoder.W.weight.split(16, dim=1)  # noqa: N806 - the paper's names
    A_s, A_x, A_c = decoder.cell.A.weight.split([16, 12, 16], dim=1)  # noqa: N806
    with torch.no_grad():
        H = block.encoder(context)  # noqa: N806
        s, expected, alphas = H[:, 6], [], []
        for j in range(5):
            energy = torch.tanh(H @ W_h.T + (s @ W_s.T)[:, None])
            alpha = torch.softmax((energy * decoder.v.weight[0]).sum(-1), dim=1)
            c = (alpha[:, :, None] * H).sum(1)
            s = torch.tanh(s @ A_s.T + x[:, j] @ A_x.T + c @ A_c.T + decoder.cell.A.bias)
            expected.append(s)
            alphas.append(alpha)
        seen = kept(block, x, context, "all_probs", "out")
    torch.testing.assert_close(seen["out"], torch.stack(expected, 1))
    torch.testing.assert_close(seen["all_probs"], torch.stack(alphas, 1))
    torch.testing.assert_close(seen["all_probs"].sum(-1), torch.ones(3, 5).double())


@pytest.mark.parametrize("align", [{}, {"align_dim": 11}])
def test_dot_starts_from_no_context(align):
    """c_0 is zero, c_j = sum_i softmax(K^T q_j)_i v_i, computed by hand; no scale."""
    block, x, context = seq2seq("dot", attention=align)
    decoder = block.decoder
    W_Q, W_K, W_V = decoder.W_Q.weight, decoder.W_K.weight, decoder.W_V.weight  # noqa: N806
    assert W_Q.shape == W_K.shape == (align.get("align_dim", 16), 16)
    A_s, A_x, A_c = decoder.cell.A.weight.split([16, 12, 16], dim=1)  # noqa: N806
    with torch.no_grad():
        H = block.encoder(context)  # noqa: N806
        s, c, expected, alphas = H[:, 6], torch.zeros(3, 16).double(), [], []
        for j in range(5):
            s = torch.tanh(s @ A_s.T + x[:, j] @ A_x.T + c @ A_c.T + decoder.cell.A.bias)
            q, k, v = s @ W_Q.T, H @ W_K.T, H @ W_V.T
            alpha = torch.softmax((k @ q[:, :, None])[..., 0], dim=1)
            c = (alpha[:, None] @ v)[:, 0]
            expected.append(s)
            alphas.append(alpha)
        seen = kept(block, x, context, "all_probs", "out", "c_0")
    torch.testing.assert_close(seen["out"], torch.stack(expected, 1))
    torch.testing.assert_close(seen["all_probs"], torch.stack(alphas, 1))
    assert not seen["c_0"].any()


def kept(block, x, context, *names):
    """Return what passed the decoder's taps of these names."""
    seen = {}
    for name in names:
        block.decoder.tap.get(name).register_forward_hook(
            lambda m, args, out, name=name: seen.update({name: out})
        )
    block(x, context)
    return seen


@pytest.mark.parametrize("alignment", list(ALIGN))
@pytest.mark.parametrize("bias", [True, False])
def test_axes_are_true_of_every_row(alignment, bias):
    """Every row has axes, which worked out from the spec's sizes are its shape."""
    trace, spec = traced(alignment, recurrent={"alignment": alignment, "bias": bias})
    for row in trace.tensors:
        axes = tuple(eval(axis, {}, spec.sizes) for axis in row.axes)  # noqa: S307 - ours
        assert axes == row.shape, row
    assert trace["out"].axes == ("batch", "tokens", "chan")


@pytest.mark.parametrize("alignment", list(ALIGN))
def test_meta_has_the_same_rows(alignment):
    """On meta, without memory, the rows and the peak are the same."""
    real, spec = traced(alignment)
    with torch.device("meta"), torch.no_grad():
        block, x, context = RnnSeq2Seq(spec), torch.empty(3, 5, 12), torch.empty(3, 7, 10)
        meta = attntrace.trace(block, x, context)
    assert [(r.name, r.shape, r.stride, r.alias_of) for r in meta] == [
        (r.name, r.shape, r.stride, r.alias_of) for r in real
    ]
    assert meta.memory.peak_nbytes == real.memory.peak_nbytes


def test_no_bias():
    """recurrent.bias false takes the bias out of both cells."""
    block, _, _ = seq2seq("none", recurrent={"bias": False})
    assert [n for n, _ in block.named_parameters()] == [
        "encoder.cell.A.weight",
        "decoder.cell.A.weight",
    ]


@pytest.mark.parametrize(
    ("name", "parameters"), [("rnn-seq2seq", 896), ("rnn-additive", 1515), ("rnn-dot", 1920)]
)
def test_configs(name, parameters):
    """Each config has the parameters that its second line says."""
    path = ROOT / "configs" / f"{name}.yaml"
    block = RnnSeq2Seq(attntrace.load(path))
    assert sum(p.numel() for p in block.parameters()) == parameters
    assert path.read_text().splitlines()[1] == f"# {parameters:,} parameters"


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        (
            {"recurrent": {"alignment": "additive"}, "attention": {}},
            (
                "recurrent.alignment additive needs attention.align_dim, the width of "
                "v^T tanh(W [h; s])"
            ),
        ),
        (
            {"context_tokens": None},
            "rnn-seq2seq needs context_tokens, the length of the source sequence",
        ),
    ],
)
def test_rules(changes, expected):
    """What is missing is asked for."""
    given = {key: value for key, value in {**SIZES, **changes}.items() if value is not None}
    with pytest.raises(attntrace.SettingsError) as caught:
        attntrace.load(block="rnn-seq2seq", **given)
    assert [problem.message for problem in caught.value.problems] == [expected]
