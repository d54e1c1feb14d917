"""The feed-forwards equal independent ones with the same weights, and their taps are true."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from transformers import (
    DeepseekV2Config,
    DeepseekV3Config,
    LlamaConfig,
    MixtralConfig,
    T5Config,
)
from transformers.activations import ACT2FN
from transformers.models.deepseek_v2.modeling_deepseek_v2 import DeepseekV2Moe
from transformers.models.deepseek_v3.modeling_deepseek_v3 import DeepseekV3MoE
from transformers.models.llama.modeling_llama import LlamaMLP
from transformers.models.mixtral.modeling_mixtral import MixtralSparseMoeBlock
from transformers.models.t5.modeling_t5 import T5DenseActDense, T5DenseGatedActDense

import attntrace
from attntrace.blocks.axes import Axes
from attntrace.blocks.feed_forward import feed_forward
from attntrace.blocks.feed_forward.activation import ACTIVATIONS
from attntrace.errors import SettingsError

BATCH, TOKENS, CHAN, WIDE = 2, 9, 16, 24
MOE = {"kind": "moe", "experts": 6, "experts_per_token": 2, "expert_dim": 8, "bias": False}
GROUPED = {"experts": 12, "groups": 4, "groups_per_token": 2, "experts_per_token": 3}


def built(run=(), **settings):
    """Return a feed-forward with random weights, in eval mode, and its spec."""
    width = {} if settings["kind"] == "moe" else {"ff_dim": WIDE}
    spec = attntrace.load(
        block="encoder", batch=BATCH, tokens=TOKENS, chan=CHAN, run=dict(run),
        feed_forward=settings, **width,
    )  # fmt: skip
    torch.manual_seed(3)
    with torch.device("meta" if spec.run.device == "meta" else "cpu"):
        module = feed_forward(spec, Axes.of(spec)).to(getattr(torch, spec.run.dtype))
    return module.eval(), spec


def randomise(module):
    """Draw every parameter and buffer anew: some of theirs start at zero."""
    for tensor in (*module.parameters(), *module.buffers()):
        nn.init.normal_(tensor, std=0.3)
    return module.eval()


def tokens(**options):
    """Return x (batch, tokens, chan)."""
    return torch.randn(BATCH, TOKENS, CHAN, **options)


def take(ours, theirs, names):
    """Copy weights into ours: `names` maps our names to theirs, for parameters and buffers."""
    state = theirs.state_dict()
    ours.load_state_dict({mine: state[other] for mine, other in names.items()})


@pytest.mark.parametrize(("ours", "theirs"), [
    ("relu", "relu"), ("gelu", "gelu"), ("gelu-tanh", "gelu_new"), ("silu", "silu"),
    ("quick-gelu", "quick_gelu"),
])  # fmt: skip
def test_activations_are_the_ones_of_that_name(ours, theirs):
    """Each nonlinearity equals the one that transformers has under its name for it."""
    x = torch.linspace(-4, 4, 101)
    torch.testing.assert_close(ACTIVATIONS[ours](x), ACT2FN[theirs](x))


def test_mlp_is_t5s():
    """Up, relu, down without biases: T5's."""
    config = T5Config(d_model=CHAN, d_ff=WIDE, feed_forward_proj="relu")
    theirs = randomise(T5DenseActDense(config))
    ours, _ = built(kind="mlp", activation="relu", bias=False)
    take(ours, theirs, {"up.weight": "wi.weight", "down.weight": "wo.weight"})
    x = tokens()
    torch.testing.assert_close(ours(x), theirs(x))


def test_mlp_is_that_of_an_encoder_layer_of_torch():
    """Up, gelu, down with biases: the two linears of `nn.TransformerEncoderLayer`."""
    layer = nn.TransformerEncoderLayer(CHAN, 1, WIDE, activation="gelu").eval()
    ours, _ = built(kind="mlp", activation="gelu")
    parts = {"up": "linear1", "down": "linear2"}
    names = {f"{a}.{p}": f"{b}.{p}" for a, b in parts.items() for p in ("weight", "bias")}
    take(ours, layer, names)
    x = tokens()
    torch.testing.assert_close(ours(x), layer._ff_block(x))


def test_glu_is_llamas():
    """SwiGLU: down(silu(gate(x)) * up(x))."""
    config = LlamaConfig(
        hidden_size=CHAN, intermediate_size=WIDE, num_attention_heads=2, mlp_bias=True
    )
    theirs = randomise(LlamaMLP(config))
    ours, _ = built(kind="glu", activation="silu")
    names = [f"{part}.{p}" for part in ("gate", "up", "down") for p in ("weight", "bias")]
    take(ours, theirs, {name: name.replace(".", "_proj.") for name in names})
    x = tokens()
    torch.testing.assert_close(ours(x), theirs(x))


def test_glu_is_the_gated_t5s():
    """GEGLU with the approximation by tanh: down(gelu(gate(x)) * up(x))."""
    config = T5Config(d_model=CHAN, d_ff=WIDE, feed_forward_proj="gated-gelu")
    theirs = randomise(T5DenseGatedActDense(config))
    ours, _ = built(kind="glu", activation="gelu-tanh", bias=False)
    parts = {"gate.weight": "wi_0.weight", "up.weight": "wi_1.weight", "down.weight": "wo.weight"}
    take(ours, theirs, parts)
    x = tokens()
    torch.testing.assert_close(ours(x), theirs(x))


def test_conv_is_a_stencil_over_the_map():
    """A token's output depends on its neighbours on the map and on no others."""
    ours, _ = built(kind="conv")
    x = tokens(requires_grad=True)
    ours(x)[0, 4].sum().backward()  # the middle of 3x3 sees all nine
    assert x.grad[0].abs().sum(-1).bool().tolist() == [True] * 9
    x.grad = None
    ours(x)[0, 0].sum().backward()
    assert x.grad[0].abs().sum(-1).bool().nonzero().flatten().tolist() == [0, 1, 3, 4]
    assert x.grad[1].abs().sum() == 0


def test_conv_with_a_kernel_of_one_is_an_mlp():
    """With 1x1 kernels the convolutions are linears of each token, by the formula written out."""
    ours, _ = built(kind="conv", kernel=1, activation="silu")
    x = tokens()
    hidden = F.linear(x, ours.up.weight[:, :, 0, 0], ours.up.bias)
    hidden = F.silu(hidden * ours.depthwise.weight[:, 0, 0, 0] + ours.depthwise.bias)
    torch.testing.assert_close(
        ours(x), F.linear(hidden, ours.down.weight[:, :, 0, 0], ours.down.bias)
    )


@pytest.mark.parametrize("expert_impl", ["loop", "grouped"])
def test_moe_is_mixtrals(expert_impl):
    """Softmax over all experts, the best two, their weights normalised."""
    config = MixtralConfig(
        hidden_size=CHAN, intermediate_size=8, num_local_experts=6, num_experts_per_tok=2
    )
    theirs = randomise(MixtralSparseMoeBlock(config))
    ours, _ = built(**MOE, activation="silu", expert_impl=expert_impl)
    take(ours, theirs, {
        "router.linear.weight": "gate.weight", "experts.up": "experts.gate_up_proj",
        "experts.down": "experts.down_proj",
    })  # fmt: skip
    x = tokens()
    torch.testing.assert_close(ours(x), theirs(x))


def deepseek(config, theirs, **settings):
    """Return a mixture of ours with groups and shared experts, and the weights of theirs."""
    sizes = {**MOE, **GROUPED, "shared_experts": 2, "router_scale": 2.5, "activation": "silu"}
    ours, _ = built(**sizes, **settings)
    names = {
        "router.linear.weight": "gate.weight", "experts.up": "experts.gate_up_proj",
        "experts.down": "experts.down_proj",
    }  # fmt: skip
    for part in ("gate", "up", "down"):
        names[f"shared.{part}.weight"] = f"shared_experts.{part}_proj.weight"
    if settings["router"] == "sigmoid":
        names["router.correction"] = "gate.e_score_correction_bias"
    take(ours, theirs, names)
    return ours


SIZES = {
    "hidden_size": CHAN, "moe_intermediate_size": 8, "n_shared_experts": 2,
    "num_experts_per_tok": 3, "n_routed_experts": 12, "n_group": 4, "topk_group": 2,
    "routed_scaling_factor": 2.5,
}  # fmt: skip


@pytest.mark.parametrize("normalize", [True, False])
@pytest.mark.parametrize("expert_impl", ["loop", "grouped"])
def test_moe_is_deepseek_v3s(expert_impl, normalize):
    """Sigmoid, a correction for the choice, groups by their two best, shared experts, a scale."""
    config = DeepseekV3Config(**SIZES, norm_topk_prob=normalize)
    theirs = randomise(DeepseekV3MoE(config))
    ours = deepseek(config, theirs, router="sigmoid", normalize=normalize, expert_impl=expert_impl)
    x = tokens()
    torch.testing.assert_close(ours(x), theirs(x))


def test_moe_is_deepseek_v2s():
    """Softmax, groups by their best expert, weights that are not normalised."""
    config = DeepseekV2Config(**SIZES, num_attention_heads=2, topk_method="group_limited_greedy")
    theirs = randomise(DeepseekV2Moe(config))
    ours = deepseek(config, theirs, router="softmax", normalize=False, expert_impl="loop")
    x = tokens()
    torch.testing.assert_close(ours(x), theirs(x))


@pytest.mark.parametrize("expert", ["glu", "mlp"])
@pytest.mark.parametrize("bias", [True, False])
def test_grouped_is_the_loop(expert, bias):
    """Both ways to compute the experts agree, gradients included."""
    settings = {**MOE, "expert": expert, "bias": bias}
    loop, _ = built(**settings, expert_impl="loop")
    grouped, _ = built(**settings, expert_impl="grouped")
    grouped.load_state_dict(loop.state_dict())
    x = tokens()
    torch.testing.assert_close(grouped(x), loop(x))
    for module in (loop, grouped):
        module(x).square().sum().backward()
    for mine, other in zip(grouped.parameters(), loop.parameters(), strict=True):
        torch.testing.assert_close(mine.grad, other.grad)


def test_a_plain_expert_is_an_mlp():
    """With one expert that every token goes to, the mixture is the feed-forward itself."""
    settings = {**MOE, "experts": 1, "experts_per_token": 1, "expert": "mlp", "bias": True}
    ours, _ = built(**settings, activation="gelu")
    x = tokens()
    e = ours.experts
    hidden = F.gelu(F.linear(x, e.up[0], e.up_bias[0]))
    torch.testing.assert_close(ours(x), F.linear(hidden, e.down[0], e.down_bias[0]))


@pytest.mark.parametrize(("run", "way"), [
    ({}, "loop"),
    ({"dtype": "bfloat16"}, "grouped"),
    ({"dtype": "bfloat16", "device": "meta"}, "grouped"),
    ({"device": "meta"}, "loop"),
    ({"dtype": "float64"}, "loop"),
])  # fmt: skip
def test_auto_is_grouped_in_bfloat16(run, way):
    """expert_impl auto takes the grouped product where it is legal and meant for."""
    ours, _ = built(**MOE, run=run)
    assert ours.experts.grouped == (way == "grouped")


def test_grouped_is_refused_where_torch_cannot():
    """The reason is in the error."""
    with pytest.raises(SettingsError, match="grouped_mm has no float64; use expert_impl loop"):
        built(**MOE, expert_impl="grouped", run={"dtype": "float64"})


VARIANTS = {
    "mlp": {"kind": "mlp"},
    "glu": {"kind": "glu", "bias": False},
    "conv": {"kind": "conv"},
    "moe": MOE,
    "moe-grouped": {**MOE, "run": {"dtype": "bfloat16"}},
    "moe-groups": {**MOE, **GROUPED, "router": "sigmoid", "shared_experts": 2, "router_scale": 2.5},
    "moe-softmax-groups": {**MOE, **GROUPED, "normalize": False, "expert": "mlp", "bias": True},
}


def table(settings, device):
    """Return the rows of one run, and the sizes of its symbols."""
    settings = dict(settings)
    run = {**settings.pop("run", {}), "device": device}
    ours, spec = built(**settings, run=run)
    x = tokens(device=device, dtype=getattr(torch, spec.run.dtype))
    return attntrace.trace(ours, x).tensors, spec.sizes


@pytest.mark.parametrize("variant", VARIANTS)
def test_axes_are_true(variant):
    """Each declared axis, worked out from the spec's sizes, is the size of its dimension."""
    rows, sizes = table(VARIANTS[variant], "cpu")
    tapped = [row for row in rows if row.axes is not None]
    assert len(tapped) >= 3
    for row in tapped:
        worked_out = tuple(eval(axis, {}, sizes) for axis in row.axes)  # noqa: S307
        assert worked_out == row.shape, row


@pytest.mark.parametrize("variant", VARIANTS)
def test_meta_has_the_same_rows(variant):
    """On meta there are as many rows, of the same names, and static shapes are the same."""
    real, _ = table(VARIANTS[variant], "cpu")
    meta, _ = table(VARIANTS[variant], "meta")
    assert [row.name for row in meta] == [row.name for row in real]
    for mine, other in zip(meta, real, strict=True):
        if mine.axes is not None:
            assert mine.shape == other.shape, mine


@pytest.mark.parametrize("device", ["cpu", "meta"])
def test_every_choice_is_one_row_of_an_expert(device):
    """tokens_per_expert counts batch*tokens*experts_per_token rows in all."""
    rows, _ = table(VARIANTS["moe-groups"], device)
    (counts,) = [row for row in rows if row.name == "tokens_per_expert"]
    assert (counts.shape, counts.dtype, counts.axes) == ((12,), "int64", ("experts",))
    if device == "cpu":
        ours, _ = built(**VARIANTS["moe-groups"])
        seen = []
        ours.tap.tokens_per_expert.register_forward_hook(lambda m, a, out: seen.append(out))
        ours(tokens())
        assert seen[0].sum() == BATCH * TOKENS * 3


def test_dropout_of_the_hidden_features_acts_in_train_mode_only():
    """With dropout, train differs from eval, and eval from nothing."""
    for settings in ({"kind": "mlp"}, {"kind": "glu"}, {"kind": "conv"}, MOE):
        ours, _ = built(**settings, dropout=0.5)
        plain, _ = built(**settings)
        plain.load_state_dict(ours.state_dict())
        x = tokens()
        torch.testing.assert_close(ours(x), plain(x))
        assert not torch.equal(ours.train()(x), plain(x))
