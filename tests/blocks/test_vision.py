"""The vision blocks: the oracle's tensors, and the values of independent computations."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import nn

import attntrace
from attntrace.blocks.axes import Axes
from attntrace.blocks.stack.layer import Layer
from attntrace.blocks.stack.stack import StackBlock
from attntrace.blocks.vision import C2PSA, PatchEmbedBlock, T2TBlock
from attntrace.spec.token_layers import token_layer_of

ROOT = Path(__file__).parents[2]
BLOCKS = {"patch-embed": PatchEmbedBlock, "t2t": T2TBlock, "psa": C2PSA, "encoder": StackBlock}
VIT = {
    "block": "patch-embed",
    "batch": 13,
    "chan": 768,
    "image": {"class_token": True},
    "positions": {"kind": "learned"},
}
PSA = {"block": "psa", "batch": 2, "chan": 256, "heads": 2, "image": {"map": [20, 20]}}
SPLIT = {"block": "t2t", "batch": 2, "chan": 384}


def oracle(name):
    """Return the facts of one system."""
    return json.loads((ROOT / "tests" / "oracles" / f"{name}.json").read_text())


def config(name):
    """Return the path of a config."""
    return ROOT / "configs" / f"{name}.yaml"


def image_of(spec):
    """Return an image, a map or tokens for a block, whatever it takes."""
    if spec.stem != "none":
        return torch.randn(spec.batch, spec.image.channels, *spec.image.size)
    if spec.block == "psa":
        return torch.randn(spec.batch, spec.chan, *spec.map)
    return torch.randn(spec.batch, spec.tokens, spec.dim)


def block_of(spec):
    """Return a block with random weights, norms and running statistics that are no identity."""
    torch.manual_seed(0)
    block = BLOCKS[spec.block](spec).eval()
    for module in block.modules():
        if isinstance(module, (nn.BatchNorm2d, nn.LayerNorm)):
            nn.init.normal_(module.weight, 1, 0.1)
            nn.init.normal_(module.bias, 0, 0.1)
        if isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.running_mean, 0, 0.1)
            nn.init.uniform_(module.running_var, 0.5, 2)
    return block


def traced(**settings):
    """Return the trace of a block of these settings, and its spec."""
    spec = attntrace.load(**settings)
    with torch.no_grad():
        return attntrace.trace(block_of(spec), image_of(spec)), spec


def assert_oracle(trace, expected, ours):
    """Assert that each tensor of the oracle is a row: shape, strides, dtype, bytes and memory.

    `ours` maps the oracle's name to the name of our row, or to its index.
    """
    index = {theirs: place(trace, name) for theirs, name in ours.items()}
    assert [row["name"] for row in expected] == list(ours)
    for row in expected:
        seen = trace.tensors[index[row["name"]]]
        owner = None if row["alias_of"] is None else index[row["alias_of"]]
        assert (
            list(seen.shape), list(seen.stride), seen.dtype, seen.nbytes, seen.alias_of
        ) == (row["shape"], row["stride"], row["dtype"], row["bytes"], owner), row["name"]  # fmt: skip
    assert list(index.values()) == sorted(index.values())


def place(trace, name):
    """Return the index of a row, of its name or of (its name, which one of that name)."""
    name, number = name if isinstance(name, tuple) else (name, 0)
    return [row.index for row in trace.tensors if row.name == name][number]


def parameters(block, *, trainable=False):
    """Return how many scalars a block has."""
    return sum(p.numel() for p in block.parameters() if p.requires_grad or not trainable)


def shapes(parameters):
    """Return the shapes of parameters, sorted."""
    return sorted(list(p) for p in parameters)


def test_patch_embedding_oracle():
    """ViT's patch embedding has the oracle's tensors, weights and memory."""
    facts = oracle("vision_vit_patch_embed")
    trace, spec = traced(**VIT)
    ours = {
        "conv(image)": "patch_map",
        "flatten(2)": "patch_row",
        "tokens": "patches",
        "cat(cls, tokens)": "classed",
        "+ pos_embed": "x_placed",
    }
    unfold, *expected = facts["intermediates"]
    assert_oracle(trace, expected, ours)
    assert trace["image"].nbytes == facts["inputs"][0]["bytes"]
    assert trace.memory.parameters == facts["params"] == 742656
    block = block_of(spec)
    mine = {
        n: [1, *p.shape] if "table" in n else list(p.shape) for n, p in block.named_parameters()
    }
    assert shapes(mine.values()) == shapes(facts["params_by_name"].values())
    patches = F.unfold(torch.empty(13, 3, 224, 224), 16, stride=16).transpose(1, 2)
    assert (list(patches.shape), list(patches.stride())) == (unfold["shape"], unfold["stride"])


def test_the_convolution_is_unfold_and_a_linear_map():
    """Patches of 16*16*3 numbers, times the kernel as a matrix, are the patch tokens."""
    spec = attntrace.load(block="patch-embed", batch=2, chan=24, image={"size": [48, 32]})
    block, image = block_of(spec), image_of(spec)
    patches = F.unfold(image, 16, stride=16).transpose(1, 2)
    assert patches.shape == (2, 6, 768)
    with torch.no_grad():
        expected = F.linear(patches, block.proj.weight.flatten(1), block.proj.bias)
        torch.testing.assert_close(block(image), expected, atol=1e-5, rtol=1e-5)


def test_patch_embedding_is_that_of_transformers():
    """With the same weights the block computes what transformers' ViTEmbeddings does."""
    from transformers import ViTConfig
    from transformers.models.vit.modeling_vit import ViTEmbeddings

    theirs = ViTEmbeddings(
        ViTConfig(hidden_size=24, image_size=48, patch_size=16, num_attention_heads=3)
    ).eval()
    spec = attntrace.load(**{**VIT, "chan": 24, "image": {"size": [48, 48], "class_token": True}})
    block, image = block_of(spec), image_of(spec)
    conv = theirs.patch_embeddings.projection
    conv.weight.data, conv.bias.data = block.proj.weight.data, block.proj.bias.data
    theirs.cls_token.data = block.front.class_token.data
    (table,) = block.front.positions.parameters()
    theirs.position_embeddings.data = table.data[None]
    with torch.no_grad():
        torch.testing.assert_close(block(image), theirs(image))


@pytest.mark.parametrize("class_token", [True, False])
@pytest.mark.parametrize(
    ("positions", "table"),
    [
        ({"kind": "none"}, 0),
        ({"kind": "learned"}, 1),
        ({"kind": "sinusoidal"}, 0),
        ({"kind": "sinusoidal", "stored": True}, 1),
        ({"kind": "sine-2d"}, 0),
    ],
)
def test_class_token_and_positions_are_free_to_choose(class_token, positions, table):
    """Each adds its parameters and no others; a stored table of sines is not trained."""
    image = {"size": [48, 32], "class_token": class_token}
    spec = attntrace.load(block="patch-embed", batch=5, chan=24, image=image, positions=positions)
    tokens = 6 + class_token
    block = block_of(spec)
    out = block(image_of(spec))
    assert out.shape == (5, tokens, 24)
    patches = 768 * 24 + 24
    assert parameters(block) == patches + 24 * class_token + tokens * 24 * table
    frozen = tokens * 24 if positions.get("stored") else 0
    assert parameters(block) - parameters(block, trainable=True) == frozen


def test_soft_split_oracle():
    """Three soft splits with the article's attention in between have the oracle's tensors."""
    facts = oracle("vision_t2t_soft_split_3ch")
    trace, spec = traced(**SPLIT, image={"token_block": "attention"})
    ours = {
        "soft_split0": "unfolded",
        "soft_split0.T": "split",
        "attention1": "out",
        "restructurize1": "map",
        "soft_split1": ("unfolded", 1),
        "soft_split1.T": ("split", 1),
        "attention2": ("out", 1),
        "restructurize2": ("map", 1),
        "soft_split2": ("unfolded", 2),
        "soft_split2.T": ("split", 2),
        "project": "project",
    }
    assert_oracle(trace, facts["intermediates"], ours)
    assert trace.memory.parameters == facts["params"] == 368704
    block = block_of(spec)
    assert shapes(p.shape for p in block.parameters()) == shapes(facts["params_by_name"].values())


def test_tokens_to_token_oracle():
    """T2T-ViT-14's own tokens-to-token module: shapes, parameters, and no N x N tensor."""
    facts = oracle("t2t_vit_14")
    trace, spec = traced(**SPLIT)
    seen = {tuple(row.shape) for row in trace.tensors}
    ours = [r for r in facts["intermediates"] if r["name"].startswith("tokens_to_token")]
    bookkeeping = ("einsum#3", "unsqueeze", "dropout")
    missing = [
        row["name"]
        for row in ours
        if tuple(row["shape"]) not in seen and not any(w in row["name"] for w in bookkeeping)
    ]
    assert missing == []
    names = ("soft_split0", "soft_split1", "soft_split2", "project", "attention1_out")
    assert all(tuple(facts["facts"][name]) in seen for name in names)
    assert not any(
        list(shape)[-2:] == [3136, 3136] or list(shape)[-2:] == [784, 784] for shape in seen
    )
    assert trace["k_features"].shape[-1] == facts["facts"]["performer_m"] == 32
    first, second = block_of(spec).steps
    recorded = {row["name"]: row["params"] for row in ours if row["kind"] == "module"}
    assert parameters(first) == recorded["tokens_to_token.attention1"] == 43366
    assert recorded["tokens_to_token.attention2.kqv"] == 110784
    assert parameters(second) == 2 * 576 + 110784 + 4160 + 2 * 64 + 2 * 4160 + 32 * 64


def test_a_soft_split_is_a_convolution_over_patches():
    """The last split and its linear map are a strided convolution of the map before it."""
    spec = attntrace.load(block="t2t", batch=2, chan=24, image={"size": [48, 32], "token_dim": 10})
    block, image = block_of(spec), image_of(spec)
    kept = {}
    block.steps[1].register_forward_hook(lambda m, args, out: kept.update(map=out))
    weight = block.project.weight.view(24, 10, 3, 3)
    with torch.no_grad():
        out = block(image)
        expected = F.conv2d(kept["map"], weight, block.project.bias, stride=2, padding=1)
    assert expected.shape == (2, 24, 3, 2)
    torch.testing.assert_close(out, expected.flatten(2).transpose(1, 2))


def test_one_soft_split_is_a_patch_embedding():
    """One split whose kernel is its stride makes the patches of a ViT."""
    image = {"size": [48, 32], "kernels": [16], "strides": [16], "pads": [0]}
    split = block_of(attntrace.load(block="t2t", batch=2, chan=24, image=image))
    spec = attntrace.load(block="patch-embed", batch=2, chan=24, image={"size": [48, 32]})
    patch, pixels = block_of(spec), image_of(spec)
    split.project.weight.data = patch.proj.weight.data.flatten(1)
    split.project.bias.data = patch.proj.bias.data
    with torch.no_grad():
        torch.testing.assert_close(split(pixels), patch(pixels), atol=1e-5, rtol=1e-5)


def test_token_performer_oracle():
    """T2T's performer at the article's sizes has the oracle's tensors and weights."""
    facts = oracle("vision_t2t_token_modules")
    spec = attntrace.load(config("t2t-token-performer"))
    block = block_of(spec)
    with torch.no_grad():
        trace = attntrace.trace(block, image_of(spec))
    ours = {
        "performer norm1": "normed",
        "performer kqv": "qkv",
        "performer k": "k",
        "performer q": "q",
        "performer v": "v",
        "performer kp": "k_features",
        "performer qp": "q_features",
        "performer D": "normalizer",
        "performer kptv": "kv",
        "performer y": "context",
        "performer v + proj(y)": ("out", 0),
        "performer + mlp": "residual",
    }
    assert_oracle(trace, facts["intermediates"], ours)
    assert parameters(block) == facts["params"] == facts["values"]["performer_params"]
    assert parameters(block, trainable=True) == facts["values"]["performer_trainable"]
    assert shapes(p.shape for p in block.parameters()) == shapes(facts["params_by_name"].values())


def test_token_transformer_oracle():
    """T2T's token transformer has the oracle's output and parameters, and scales by dim^-0.5."""
    facts = oracle("vision_t2t_token_modules")
    spec = attntrace.load(config("t2t-token-transformer"))
    block = block_of(spec)
    assert parameters(block) == facts["values"]["token_transformer_params"] == 22114
    assert spec.scale == pytest.approx(1 / 7)
    out = facts["outputs"][1]
    with torch.no_grad():
        assert list(block(image_of(spec)).shape) == out["shape"]


def t2t_layer(token_block):
    """Return the layer between two splits in float64, its weights by their shapes, and tokens."""
    spec = attntrace.load(block="t2t", batch=2, image={"size": [24, 16], "token_dim": 10, "channels": 1, "token_block": token_block})  # fmt: skip
    layer = token_layer_of(spec, 0)
    torch.manual_seed(0)
    built = Layer(layer, Axes.of(layer)).double()
    for parameter in built.parameters():
        nn.init.normal_(parameter, 0, 0.3)
    return built, torch.randn(2, 24, 49, dtype=torch.float64)


def after_attention(layer, out):
    """Return out + mlp(norm2(out)), as both of T2T's modules end."""
    norm, mlp = layer.feed_forward_residual.norm, layer.feed_forward
    hidden = F.gelu(
        F.linear(F.layer_norm(out, (10,), norm.weight, norm.bias), mlp.up.weight, mlp.up.bias)
    )
    return out + F.linear(hidden, mlp.down.weight, mlp.down.bias)


def normed(layer, x):
    """Return norm1(x)."""
    norm = layer.attention_residual.norm
    return F.layer_norm(x, (49,), norm.weight, norm.bias)


def test_performer_is_t2ts_formula():
    """v + proj(y) with y = q' (k'^T v) / (q' sum k'), the features exp(w x - |x|^2/2) / sqrt(m)."""
    layer, x = t2t_layer("performer")
    attention, features = layer.attention, layer.attention.attend.features
    linear = attention.project.qkv
    k, q, v = F.linear(normed(layer, x), linear.weight, linear.bias).split(10, dim=-1)

    def positive(t):
        projected = torch.einsum("bti,mi->btm", t, features.w)
        return torch.exp(projected - (t**2).sum(-1, keepdim=True) / 2) / features.w.shape[0] ** 0.5

    kp, qp = positive(k), positive(q)
    kernel = torch.einsum("bqm,bkm->bqk", qp, kp)  # what the performer never writes down
    y = kernel @ v / (kernel.sum(-1, keepdim=True) + 1e-8)
    out = v + F.linear(y, attention.proj.weight, attention.proj.bias)
    assert features.w.shape == (5, 10)
    torch.testing.assert_close(layer(x), after_attention(layer, out))


@pytest.mark.parametrize("impl", ["eager", "sdpa"])
def test_token_transformer_is_t2ts_formula(impl):
    """v + proj(softmax(q k^T / sqrt(49)) v): the scale is that of the width that comes in."""
    layer, x = t2t_layer("transformer")
    if impl == "sdpa":
        spec = attntrace.load(block="t2t", batch=2, attention={"impl": "sdpa"}, image={"size": [24, 16], "token_dim": 10, "channels": 1, "token_block": "transformer"})  # fmt: skip
        part = token_layer_of(spec, 0)
        fused = Layer(part, Axes.of(part)).double()
        fused.load_state_dict(layer.state_dict())
        layer = fused
    attention = layer.attention
    q, k, v = F.linear(normed(layer, x), attention.project.qkv.weight).split(10, dim=-1)
    y = (q @ k.transpose(1, 2) / 7).softmax(-1) @ v
    out = v + F.linear(y, attention.proj.weight, attention.proj.bias)
    torch.testing.assert_close(layer(x), after_attention(layer, out))


def test_psa_oracle():
    """C2PSA of YOLO11n has the oracle's 22 tensors, in its order, in the same memory."""
    facts = oracle("yolo11n_c2psa")
    trace, spec = traced(**PSA)
    names = [
        "cv1", "bypass", "attended", "qkv", "qkv_split", "q", "k", "v", "scores", "probs",
        "context", "context_map", "v_map", "positions", "context_placed", "proj",
        "attn_residual", "hidden", "ff", "ff_residual", "joined", "out",
    ]  # fmt: skip
    expected = facts["intermediates"]
    theirs = [row["name"] for row in expected]
    assert_oracle(trace, expected, dict(zip(theirs, names, strict=True)))
    assert trace.memory.parameters == facts["params"] == 249728
    block = block_of(spec)
    assert shapes(p.shape for p in block.parameters()) == shapes(facts["params_by_name"].values())
    keys = set(block.state_dict())
    assert {"cv1.conv.weight", "m.0.attn.qkv.bn.running_var", "m.0.ffn.1.conv.weight"} <= keys


def conv_bn(state, name, x, groups=1):
    """Return a convolution and its BatchNorm in eval mode."""
    weight = state[f"{name}.conv.weight"]
    x = F.conv2d(x, weight, padding=weight.shape[-1] // 2, groups=groups)
    mean, var = state[f"{name}.bn.running_mean"], state[f"{name}.bn.running_var"]
    scale = state[f"{name}.bn.weight"] / (var + 1e-3).sqrt()
    return (x - mean.view(-1, 1, 1)) * scale.view(-1, 1, 1) + state[f"{name}.bn.bias"].view(
        -1, 1, 1
    )


def psa_attention(state, name, x, heads):
    """Return the attention with tokens in front of features, head by head."""
    batch, width, rows, columns = x.shape
    value = width // heads
    key = value // 2
    parts, values = [], []
    for part in conv_bn(state, f"{name}.qkv", x).chunk(heads, dim=1):
        q, k, v = part.flatten(2).transpose(1, 2).split([key, key, value], dim=-1)
        parts.append(F.scaled_dot_product_attention(q, k, v).transpose(1, 2))
        values.append(v.transpose(1, 2))
    shape = (batch, width, rows, columns)
    placed = conv_bn(state, f"{name}.pe", torch.cat(values, 1).reshape(shape), groups=width)
    return conv_bn(state, f"{name}.proj", torch.cat(parts, 1).reshape(shape) + placed)


@pytest.mark.parametrize("layers", [1, 2])
def test_psa_is_its_formula(layers):
    """The same from its weights alone: BatchNorm as a formula, attention by torch, head by head."""
    spec = attntrace.load(
        block="psa", batch=5, chan=24, heads=3, layers=layers, image={"map": [6, 7]}
    )
    block, x = block_of(spec).double(), image_of(spec).double()
    state = block.state_dict()
    a, b = F.silu(conv_bn(state, "cv1", x)).chunk(2, dim=1)
    for n in range(layers):
        b = b + psa_attention(state, f"m.{n}.attn", b, 3)
        b = b + conv_bn(state, f"m.{n}.ffn.1", F.silu(conv_bn(state, f"m.{n}.ffn.0", b)))
    expected = F.silu(conv_bn(state, "cv2", torch.cat([a, b], 1)))
    with torch.no_grad():
        torch.testing.assert_close(block(x), expected)


SMALL = [
    {"block": "patch-embed", "batch": 5, "chan": 24, "image": {"size": [48, 32]}},
    {**VIT, "batch": 5, "chan": 24, "image": {"size": [48, 32], "class_token": True}},
    *(
        {
            "block": "t2t",
            "batch": 5,
            "chan": 22,
            "image": {"size": [64, 40], "token_dim": 14, "token_block": name, "class_token": first},
        }
        for name in ("performer", "transformer", "attention")
        for first in (False, True)
    ),
    {"block": "psa", "batch": 5, "chan": 24, "heads": 3, "layers": 2, "image": {"map": [8, 9]}},
    {
        "block": "psa",
        "batch": 5,
        "chan": 30,
        "heads": 2,
        "image": {"map": [8, 9], "expansion": 0.4},
    },
]


@pytest.mark.parametrize("settings", SMALL, ids=str)
def test_axes_are_true_of_every_row(settings):
    """Every row but a table's own steps has axes that come to its shape."""
    trace, spec = traced(**settings)
    for row in trace.tensors:
        if row.axes is None:
            assert "positions" in row.path or "attend" in row.path, row
            continue
        axes = tuple(eval(axis, {}, spec.sizes) for axis in row.axes)  # noqa: S307 - ours
        assert axes == row.shape, row
    if spec.block != "psa":
        assert trace.tensors[-1].axes == ("batch", "tokens", "chan")


@pytest.mark.parametrize("settings", SMALL, ids=str)
def test_meta_has_the_same_rows(settings):
    """On meta, without memory, the rows and the peak are the same."""
    real, spec = traced(**settings)
    with torch.device("meta"), torch.no_grad():
        block = BLOCKS[spec.block](spec).eval()
        meta = attntrace.trace(block, image_of(spec))
    assert [(r.name, r.shape, r.stride) for r in meta] == [
        (r.name, r.shape, r.stride) for r in real
    ]
    assert meta.memory.peak_nbytes == real.memory.peak_nbytes


@pytest.mark.parametrize(
    "name",
    [
        "vit-patch-embed",
        "t2t-tokens",
        "t2t-token-transformer",
        "t2t-token-performer",
        "yolo11n-c2psa",
    ],
)
def test_configs(name):
    """Each config has the parameters that its second line says."""
    spec = attntrace.load(config(name))
    with torch.device("meta"):
        count = parameters(BLOCKS[spec.block](spec))
    assert config(name).read_text().splitlines()[1] == f"# {count:,} parameters"


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        (
            {"block": "patch-embed", "image": {"size": [225, 224]}},
            (
                "image 225x224 is not divisible by patch 16 (225 = 14*16 + 1); a convolution would "
                "silently drop the rest; use patch 1, or size 240x224"
            ),
        ),
        (
            {"block": "psa", "chan": 400, "heads": 3},
            (
                "chan*expansion 200 is not divisible by heads 3 (200 = 3*66 + 2); nearest heads "
                "that divide 200: 2, 4"
            ),
        ),
        (
            {"block": "psa", "chan": 400, "heads": 3, "value_head_dim": 64},
            (
                "heads*value_head_dim 192 is not the 200 channels that PSA attends to; leave "
                "value_head_dim out"
            ),
        ),
        (
            {"block": "psa", "chan": 256, "dim": 128, "heads": 2},
            "psa needs equal input and output channels, got dim 128 and chan 256",
        ),
        (
            {"block": "t2t", "attention": {"impl": "sdpa"}},
            (
                "impl means nothing here: the performer has no softmax; use "
                "image.token_block transformer or attention"
            ),
        ),
        (
            {"block": "t2t", "attention": {"impl": "torch"}, "image": {"token_block": "attention"}},
            (
                "nn.MultiheadAttention takes as many features as it returns, and a soft split's "
                "tokens are wider than token_dim; use impl eager or sdpa"
            ),
        ),
        (
            {"block": "t2t", "image": {"kernels": [7, 3], "pads": [2, 1]}},
            "every soft split has a kernel, a stride and a pad, got 2 kernels, 3 strides and 2 pads",
        ),
        (
            {"block": "t2t", "image": {"size": [9, 224], "pads": [0, 0, 0]}},
            "soft split 2 slides a kernel of 3 over a map of 1x55 with pad 0, which is too small",
        ),
    ],
)
def test_rules(settings, expected):
    """What cannot be built is refused with the arithmetic and a fix."""
    with pytest.raises(attntrace.SettingsError) as caught:
        attntrace.load(**settings)
    assert [problem.message for problem in caught.value.problems] == [expected]


def test_t2t_vit_14_as_a_whole():
    """The stem in front of an encoder makes the published model, to the parameter."""
    facts = oracle("t2t_vit_14")
    spec = attntrace.load(
        block="encoder",
        batch=2,
        chan=384,
        heads=6,
        layers=14,
        ff_dim=1152,
        image={"stem": "t2t", "class_token": True},
        positions={"kind": "sinusoidal", "stored": True},
        stack={"head": "classes", "classes": 1000, "head_bias": True},
    )
    with torch.device("meta"), torch.no_grad():
        block = StackBlock(spec).eval()
        out = block(x=torch.empty(2, 3, 224, 224))
    assert spec.tokens == 197
    assert list(out.shape) == facts["outputs"][0]["shape"]
    assert parameters(block) == facts["params"]
    assert parameters(block, trainable=True) == facts["config"]["trainable"]
