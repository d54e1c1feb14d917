"""Values against torch's own attention, encoder, decoder and transformer, with the same weights."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import nn

import attntrace
from attntrace.blocks import make_inputs
from attntrace.capture.tap import Tap
from attntrace.spec.parts import layer_of
from tests.blocks.variants import ALL_MASKS, POSITIONS, SMALL, attention_layers, layer

REFERENCED = {
    name: spec
    for name, spec in attention_layers()
    if spec.get("attention", {}).get("impl", "eager") == "eager"
    and spec.get("attention", {}).get("kind", "mha") not in ("linear", "additive", "separate-heads")
    and "conv" not in name
    and "softcap" not in spec.get("attention", {})
}


def tapped(block, given):
    """Return every tensor that a tap of the block has seen in one run, by name, the last one."""
    seen = {}
    for module in block.modules():
        if isinstance(module, Tap):
            module.register_forward_hook(
                lambda tap, args, out: seen.update({tap.name: out.detach().clone()})
            )
    with torch.no_grad():
        block(**given)
    return seen


def heads_first(tensor, layout, heads):
    """Return q, k, v or the context as (batch, heads, tokens, d), whatever the layout."""
    match layout:
        case "token-first":
            return tensor.transpose(1, 2)
        case "folded":
            return tensor.unflatten(0, (-1, heads))
        case "single":
            return tensor.unsqueeze(1)
    return tensor


def reference(seen, spec):
    """Return softmax(q k^T * scale + bias, masked) v by torch's own kernel, from what was tapped."""
    layout = spec.attention.layout
    names = [("q_rope", "q_normed", "q"), ("k_cache", "k_rope", "k_normed", "k"), ("v_cache", "v")]
    if spec.kind == "mla" or spec.attention.qk_norm_over == "width":
        names = [("q_rope", "q"), ("k_cache", "k_rope", "k"), ("v_cache", "v")]
    if spec.kind == "mla":
        names = [("q",), ("k",), ("v",)]
    found = [seen[next(n for n in choices if n in seen)] for choices in names]
    q, k, v = (heads_first(t, layout, spec.heads) for t in found)
    mask = torch.zeros(q.shape[-2], k.shape[-2])
    if "bias" in seen:
        mask = mask + seen["bias"]
    for hidden in ("hidden", "hidden_order", "hidden_padding", "mask_windows"):
        if hidden in seen:
            mask = mask.masked_fill(seen[hidden], float("-inf"))
            break
    return F.scaled_dot_product_attention(
        q, k, v, attn_mask=mask, scale=spec.scale or 1.0, enable_gqa=k.shape[1] != q.shape[1]
    )


@pytest.mark.parametrize("name", REFERENCED)
def test_an_eager_layer_is_torchs_kernel(name):
    """From q, k, v, bias and mask the steps arrive where scaled_dot_product_attention does."""
    spec = attntrace.load(**REFERENCED[name])
    seen = tapped(attntrace.build(spec), make_inputs(spec))
    expected = reference(seen, spec)
    context = heads_first(seen["context"], spec.attention.layout, spec.heads)
    torch.testing.assert_close(context, expected, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("position", POSITIONS)
@pytest.mark.parametrize("layout", ["token-first", "folded"])
def test_layouts_are_one_function(layout, position):
    """The same weights give the same output, whatever the order of the axes."""
    given = {
        "dim": 24,
        "positions": {"kind": position},
        "mask": {} if position == "conv" else ALL_MASKS,
    }
    first = attntrace.build(layer(**given))
    other = attntrace.build(layer(**given, attention={"layout": layout, "qkv": "fused"}))
    other.load_state_dict(first.state_dict())
    inputs = make_inputs(attntrace.load(**layer(**given)))
    with torch.no_grad():
        torch.testing.assert_close(other(**inputs), first(**inputs))


@pytest.mark.parametrize("name", [n for n, s in attention_layers() if n.startswith("sdpa-")])
def test_eager_and_sdpa_agree(name):
    """A block on the fused kernel computes what the steps do, masks, bias and cache included."""
    spec = dict(attention_layers())[name]
    fused = attntrace.build(spec)
    steps = attntrace.build({**spec, "attention": {**spec["attention"], "impl": "eager"}})
    steps.load_state_dict(fused.state_dict())
    inputs = make_inputs(attntrace.load(**spec))
    with torch.no_grad():
        ours, theirs = steps(**inputs), fused(**inputs)
    if isinstance(ours, tuple):
        ours, theirs = ours[0], theirs[0]
    torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("mask", ["none", "causal", "padding", "causal,padding"])
@pytest.mark.parametrize("cross", [False, True])
def test_a_layer_is_nn_multihead_attention(mask, cross):
    """Eager and impl torch agree, self and cross, under every mask that torch knows."""
    if cross and "causal" in mask:
        pytest.skip("refused: a causal mask needs queries and keys of one sequence")
    given = {**SMALL, "dim": 24, "mask": {"kind": mask}}
    attention = {"qkv_bias": True, "out_bias": True, "skip": "none"}
    if cross:
        given |= {"context_tokens": 7, "context_dim": 10}
        attention["source"] = "cross"
    ours = attntrace.build({**given, "attention": {**attention, "qkv": "separate"}})
    spec = {**given, "attention": {**attention, "impl": "torch"}}
    torchs = attntrace.build(spec)
    take_projections(torchs.attention.attn, ours.attention)
    inputs = make_inputs(attntrace.load(**spec))
    with torch.no_grad():
        torch.testing.assert_close(ours(**inputs), torchs(**inputs))


def take_projections(torchs, ours):
    """Give nn.MultiheadAttention the weights of a layer with separate projections."""
    parts = [ours.project.q_proj, ours.project.k_proj, ours.project.v_proj]
    if torchs.in_proj_weight is not None:
        torchs.in_proj_weight.data = torch.cat([p.weight.data for p in parts])
    else:
        for name, part in zip("qkv", parts, strict=True):
            getattr(torchs, f"{name}_proj_weight").data = part.weight.data
    torchs.in_proj_bias.data = torch.cat([p.bias.data for p in parts])
    torchs.out_proj.load_state_dict(ours.proj.state_dict())


def take_layer(torchs, ours, norms):
    """Give torch's encoder or decoder layer the weights of one of ours."""
    take_projections(torchs.self_attn, ours.attention)
    parts = [ours.attention_residual, ours.feed_forward_residual]
    if ours.cross_attention is not None:
        take_projections(torchs.multihead_attn, ours.cross_attention)
        parts.insert(1, ours.cross_residual)
    for number, part in enumerate(parts, 1):
        getattr(torchs, f"norm{number}").load_state_dict(getattr(part, norms).state_dict())
    torchs.linear1.load_state_dict(ours.feed_forward.up.state_dict())
    torchs.linear2.load_state_dict(ours.feed_forward.down.state_dict())


STACK = {
    **SMALL,
    "layers": 2,
    "ff_dim": 40,
    "attention": {"qkv_bias": True, "qkv": "separate"},
    "feed_forward": {"activation": "relu"},
}


@pytest.mark.parametrize("place", ["pre", "post"])
def test_an_encoder_is_nn_transformer_encoder(place):
    """Two layers with the same weights, pre- and post-norm, with padding."""
    settings = {**STACK, "block": "encoder", "norm": {"place": place, "final": "none"}}
    spec = attntrace.load(**settings, mask={"kind": "padding"})
    ours, inputs = attntrace.build(spec), make_inputs(spec)
    one = nn.TransformerEncoderLayer(24, 4, 40, 0.0, batch_first=True, norm_first=place == "pre")
    torchs = nn.TransformerEncoder(one, 2, enable_nested_tensor=False).eval()
    for theirs, own in zip(torchs.layers, ours.stack.layers, strict=True):
        take_layer(theirs, own, "norm" if place == "pre" else "norm_after")
    padding = torch.arange(9) >= inputs["lengths"][:, None]
    with torch.no_grad():
        expected = torchs(inputs["x"], src_key_padding_mask=padding)
        torch.testing.assert_close(ours(**inputs), expected)


@pytest.mark.parametrize("place", ["pre", "post"])
def test_a_decoder_is_nn_transformer_decoder(place):
    """Causal self-attention, cross-attention and feed-forward, with the same weights."""
    settings = {**STACK, "block": "decoder", "norm": {"place": place, "final": "none"}}
    spec = attntrace.load(**settings, context_tokens=7, stack={"cross": True})
    ours, inputs = attntrace.build(spec), make_inputs(spec)
    one = nn.TransformerDecoderLayer(24, 4, 40, 0.0, batch_first=True, norm_first=place == "pre")
    torchs = nn.TransformerDecoder(one, 2).eval()
    for theirs, own in zip(torchs.layers, ours.stack.layers, strict=True):
        take_layer(theirs, own, "norm" if place == "pre" else "norm_after")
    causal = nn.Transformer.generate_square_subsequent_mask(9)
    with torch.no_grad():
        expected = torchs(inputs["x"], inputs["context"], tgt_mask=causal)
        torch.testing.assert_close(ours(**inputs), expected)


def test_an_encoder_decoder_is_nn_transformer():
    """The original transformer with the same weights, both final norms included."""
    norm = {"place": "post", "final": "all"}
    spec = attntrace.load(**STACK, block="encoder-decoder", context_tokens=7, norm=norm)
    ours, inputs = attntrace.build(spec), make_inputs(spec)
    torchs = nn.Transformer(24, 4, 2, 2, 40, 0.0, batch_first=True).eval()
    for side in ("encoder", "decoder"):
        theirs, own = getattr(torchs, side), getattr(ours, side)
        for one, other in zip(theirs.layers, own.layers, strict=True):
            take_layer(one, other, "norm_after")
        theirs.norm.load_state_dict(own.norm.state_dict())
    causal = nn.Transformer.generate_square_subsequent_mask(9)
    with torch.no_grad():
        expected = torchs(inputs["context"], inputs["x"], tgt_mask=causal)
        torch.testing.assert_close(ours(**inputs), expected)


def test_a_decode_step_is_the_last_row_of_a_prefill():
    """What a step finds with a cache is what the whole sequence gives for its last token."""
    for extra in (
        {"positions": {"kind": "rope"}, "kv_heads": 2},
        {"positions": {"kind": "alibi"}},
        {"positions": {"kind": "learned", "max": 16}},
        {"mask": {"kind": "causal, sliding", "window": 4}, "positions": {"kind": "rope"}},
        {
            "mask": {"kind": "causal, sliding", "window": 4, "full_every": 2},
            "positions": {"kind": "rope"},
        },
    ):
        settings = {**STACK, "block": "decoder", "stack": {"vocab": 50}, **extra}
        whole = attntrace.load(**settings, cache={"past": 0})
        step = attntrace.load(**{**settings, "tokens": 1, "cache": {"past": 8}})
        block, stepping = attntrace.build(whole), attntrace.build(step)
        stepping.load_state_dict(block.state_dict())
        inputs = make_inputs(whole)
        with torch.no_grad():
            expected, kept = block(**inputs)
            held = [layer_of(step, number).past for number in range(step.layers)]
            past = tuple(map(shortened, kept, held))
            out, grown = stepping(x=inputs["x"][:, -1:], past=past)
        torch.testing.assert_close(out[:, 0], expected[:, -1])
        assert [layer.k.shape[2] for layer in grown] == [tokens + 1 for tokens in held]


def shortened(past, tokens):
    """Return a layer's cache as it was before the last token, its last `tokens` tokens."""
    return type(past)(past.k[:, :, :-1][:, :, -tokens:], past.v[:, :, :-1][:, :, -tokens:])


def test_positions_make_order_matter_and_nothing_else_does():
    """Without positions and masks a layer is permutation-equivariant; with them it is not."""
    order = torch.randperm(9)
    for kind in POSITIONS:
        spec = attntrace.load(**layer(dim=24, positions={"kind": kind}))
        block, x = attntrace.build(spec), make_inputs(spec)["x"]
        with torch.no_grad():
            same = torch.allclose(block(x)[:, order], block(x[:, order]), atol=1e-6)
        assert same == (kind == "none"), kind
