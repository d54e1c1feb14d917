"""Errors and silent traps of attention code: each is refused, or done right, or cannot be said in a spec.

The oracle lists calls of torch and transformers that fail late, fail with no useful words, or do not
fail at all.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel

import attntrace
from tests.blocks.by_hand import close, ran, ran_with

ORACLE = Path(__file__).parent.parent / "oracles" / "errors_and_traps.json"
FACTS = json.loads(ORACLE.read_text())
ITEMS = [item["what"] for part in ("checks", "errors") for item in FACTS[part]]
PATCHES = {"stem": "patch", "size": [225, 224]}
IDS = {"stack": {"vocab": 50}}
OF_NOTHING = {"kind": "causal,padding,sliding", "window": 2, "lengths": [9, 3]}

REFUSED = {
    "SDPA enable_gqa, 8 query heads, 3 kv heads": (
        {"heads": 8, "kv_heads": 3, "attention": {"impl": "sdpa"}},
        "heads 8 is not a multiple of kv_heads 3",
    ),
    "HF Llama heads 4, kv_heads 3 (build + run)": (
        {"block": "decoder", "heads": 4, "kv_heads": 3},
        "heads 4 is not a multiple of kv_heads 3",
    ),
    "nn.TransformerEncoderLayer nhead 3 of 16": (
        {"block": "encoder", "chan": 16, "nhead": 3},
        "chan 16 is not divisible by heads 3 (16 = 3*5 + 1)",
    ),
    "HF BERT hidden 768, heads 10": (
        {"block": "encoder", "hidden_size": 768, "num_attention_heads": 10},
        "chan 768 is not divisible by heads 10",
    ),
    "HF GPT-2 n_embd 768, n_head 10": (
        {"block": "decoder", "n_embd": 768, "n_head": 10},
        "chan 768 is not divisible by heads 10",
    ),
    "HF Llama hidden 64, heads 5": (
        {"block": "decoder", "hidden_size": 64, "num_attention_heads": 5},
        "chan 64 is not divisible by heads 5",
    ),
    "HF Llama head_dim 15 (odd, RoPE)": (
        {"block": "decoder", "heads": 4, "head_dim": 15, "positions": {"kind": "rope"}},
        "rope needs an even rotary width, got head_dim 15",
    ),
    "HF ViT image 225x224": (
        {"block": "encoder", "image": PATCHES},
        "image 225x224 is not divisible by patch 16 (225 = 14*16 + 1)",
    ),
    "HF ViT image_size 225, patch 16 (floor: 14x14, last pixels dropped silently)": (
        {"block": "encoder", "image": {**PATCHES, "size": [225, 225]}},
        "a convolution would silently drop the rest",
    ),
    "HF GPT-2 sequence 1025 > n_positions 1024": (
        {"block": "decoder", "tokens": 1025, "n_positions": 1024, "positions": {"kind": "learned"}, **IDS},
        "tokens 1025 exceeds max 1024 of learned positions",
    ),
    "HF BERT sequence 513 > 512": (
        {"block": "encoder", "tokens": 513, "positions": {"kind": "learned", "max": 512}, **IDS},
        "tokens 513 exceeds max 512 of learned positions",
    ),
    "HF Swin image 230 (padded silently)": (
        {
            "block": "encoder",
            "attention": {"kind": "window", "window": 7},
            "image": {**PATCHES, "patch": 4, "size": [230, 230]},
        },
        "image 230x230 is not divisible by patch 4",
    ),
    "T2T-ViT built for 224, fed 256x256": (
        {
            "block": "encoder",
            "tokens": 197,
            "image": {"stem": "t2t", "size": [256, 256], "class_token": True},
        },
        "the image makes tokens 257, got tokens 197",
    ),
    "nn.TransformerEncoderLayer activation='swish'": (
        {"block": "encoder", "feed_forward": {"activation": "swish"}},
        "did you mean 'silu'?",
    ),
    "nn.Transformer wrong feature size": (
        {"block": "encoder-decoder", "chan": 24, "context_tokens": 7, "context_dim": 10},
        "x of width context_dim 10 to an output of width chan 24",
    ),
    "LayerNorm wrong width": (
        {"block": "encoder", "chan": 24, "dim": 20},
        "x of width dim 20 to an output of width chan 24",
    ),
    "nn.MultiheadAttention key_padding_mask of wrong length": (
        {"tokens": 5, "batch": 2, "mask": {"kind": "padding", "lengths": [5, 6]}},
        "lengths must be at most the 5 keys, got 6",
    ),
    "eager softmax of an all -inf row is NaN": (
        {"tokens": 9, "batch": 2, "mask": OF_NOTHING},
        "a softmax of nothing is NaN in eager",
    ),
    "TRAP nn.MultiheadAttention with a fully padded row returns NaN": (
        {"tokens": 5, "batch": 2, "mask": {"kind": "padding", "lengths": [5, 0]}},
        "lengths must be a list of whole numbers >= 1",
    ),
}  # fmt: skip
"""Item -> settings that ask for it, and a part of what is said."""

ONE_LENGTH = "keys and values are made from one context, so they are as long as each other"
UNSAYABLE = {
    "TRAP SDPA default CPU kernel, 7 keys and 6 values: no error, key 7 silently dropped (length is taken from v)": ONE_LENGTH,
    "TRAP SDPA default CPU kernel, 6 keys (a view of 7) and 7 values: no error, reads the row behind the key view": ONE_LENGTH,
    "SDPA k length 7, v length 6": ONE_LENGTH,
    "7 keys, 6 values under SDPBackend.MATH": ONE_LENGTH,
    "nn.MultiheadAttention key len 5, value len 6": ONE_LENGTH,
    "SDPA q width 16, k width 8": "head_dim is the width of q and of k; only values have another",
    "nn.MultiheadAttention 4-D input": "tokens are (batch, tokens, dim); a spec has no further axis",
    "nn.Transformer src/tgt batch mismatch": "there is one batch, for what is encoded and decoded",
}  # fmt: skip
"""Items that no settings can ask for, with the reason."""

HANDLED: dict[str, str] = {}
"""Item -> the test that shows it done right."""


def handles(*items):
    """Note that a test shows these items done right."""

    def noted(test):
        HANDLED.update(dict.fromkeys(items, test.__name__))
        return test

    return noted


def test_every_item_is_somewhere_once():
    """Refused, done right or unsayable: each item of the oracle is one of them, and nothing else is."""
    listed = [*REFUSED, *UNSAYABLE, *HANDLED]
    assert sorted(listed) == sorted(ITEMS)


@pytest.mark.parametrize("item", REFUSED)
def test_it_is_refused_before_anything_is_built(item):
    """The settings are an error, in words that name the sizes."""
    settings, words = REFUSED[item]
    with pytest.raises(attntrace.SettingsError) as caught:
        attntrace.load(**settings)
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"heads": 0}, "heads must be a whole number >= 1, got 0"),
        ({"heads": -4}, "heads must be a whole number >= 1, got -4"),
        (
            {"mask": {"kind": "causal", "fill": -1e10}, "run": {"dtype": "float16"}},
            "fill -1e+10 does not fit float16 (max 65504)",
        ),
        (
            {"block": "encoder", "stack": {"vocab": 50, "embedding_dim": 32}},
            "embedding_dim 32 does not match chan 64",
        ),
        (
            {"attention": {"source": "cross"}, "context_tokens": 7, "mask": {"kind": "causal"}},
            "mask=causal needs queries and keys of one sequence",
        ),
        (
            {"batch": 2, "mask": {"kind": "padding", "lengths": [5, 3, 2]}},
            "lengths has 3 entries, batch is 2",
        ),
    ],
)
def test_other_traps_are_refused(settings, words):
    """Traps of the articles' own code: no heads, a fill that overflows, an embedding too narrow."""
    with pytest.raises(attntrace.SettingsError) as caught:
        attntrace.load(**settings)
    assert words in str(caught.value)


EIGHT = {"tokens": 5, "chan": 128, "heads": 8, "dim": 20, "batch": 2}


@handles("SDPA enable_gqa=True", "SDPA 8 query heads, 2 kv heads, enable_gqa not set")
@pytest.mark.parametrize("expand", ["repeat", "broadcast"])
def test_fewer_kv_heads_in_the_kernel(expand):
    """By copies or by the kernel's own switch, which is set: 8 heads meet 2, as in eager."""
    attention = {"kv_expand": expand, "impl": "sdpa"}
    case = ran(**EIGHT, kv_heads=2, attention=attention)
    assert list(case.seen["context"].shape) == FACTS["checks"][0]["expected"]
    close(ran_with(case.weights, **EIGHT, kv_heads=2).out, case.out)


@handles("SDPA d_v may differ from d_k")
def test_values_of_another_width():
    """Keys of 16 features and values of 24 meet in the kernel."""
    case = ran(**EIGHT, value_head_dim=24, attention={"impl": "sdpa"})
    assert list(case.seen["context"].shape) == FACTS["checks"][1]["expected"]
    assert case.seen["k"].shape[-1] == 16


@handles(
    "TRAP SDPA is_causal with q_len=1, k_len=7 (decode step): top-left alignment, the new token sees only key 0",
    "decode step without is_causal sees all keys",
)
@pytest.mark.parametrize("impl", ["eager", "sdpa"])
def test_a_decode_step_sees_all_keys(impl):
    """One causal query after 6 cached tokens meets 7 keys, and its last value counts."""
    step = {"tokens": 1, "mask": {"kind": "causal"}, "cache": {"past": 6}}
    case = ran(**step, attention={"impl": impl})
    q, k, v = case.seen["q"], case.seen["k_cache"], case.seen["v_cache"]
    assert k.shape[2] == 7
    probs = (q @ k.mT * q.shape[-1] ** -0.5).softmax(dim=-1)
    assert (probs > 0).all()
    close(case.seen["context"], probs @ v)


FIVE = {"tokens": 5, "dim": 24, "batch": 2}


@handles(
    "nn.MultiheadAttention bool attn_mask: True = BLOCKED (upper triangle True gives causal weights)"
)
def test_torchs_module_is_given_what_to_block():
    """Its weights above the diagonal are 0, those below are not."""
    attention = {"impl": "torch", "need_weights": "per-head"}
    probs = ran(**FIVE, attention=attention, mask={"kind": "causal"}).seen["probs"]
    seen = torch.ones(5, 5, dtype=torch.bool).tril()
    assert torch.equal(probs > 0, seen.expand_as(probs))


@handles("SDPA bool attn_mask: True = KEEP", "SDPA int64 mask")
def test_the_kernel_is_given_what_to_keep():
    """The mask is of bools, True where a key is seen; eager's is the opposite."""
    padded = {"kind": "padding", "lengths": [5, 3]}
    fused = ran(**FIVE, attention={"impl": "sdpa"}, mask=padded)
    steps = ran_with(fused.weights, **FIVE, mask=padded)
    seen, hidden = fused.seen["seen_padding"], steps.seen["hidden_padding"]
    assert (seen.dtype, hidden.dtype) == (torch.bool, torch.bool)
    assert torch.equal(seen, ~hidden)
    close(fused.out, steps.out)


@handles(
    "HF 2-D attention_mask: 1 = KEEP, 0 = padding (columns 3,4 get zero weight)",
    "SDPA mask (2,7) padding mask without unsqueeze",
)
@pytest.mark.parametrize("impl", ["eager", "torch"])
def test_padding_has_no_weight(impl):
    """Lengths 5 and 3 give columns 3 and 4 of the second sequence no weight; the mask has four axes."""
    attention = {"impl": impl} | ({"need_weights": "per-head"} if impl == "torch" else {})
    seen = ran(**FIVE, attention=attention, mask={"kind": "padding", "lengths": [5, 3]}).seen
    assert seen["hidden_padding"].shape == (2, 1, 1, 5)
    probs = seen["probs"]
    assert (probs[0] > 0).all()
    assert not probs[1, ..., 3:].any()
    assert (probs[1, ..., :3] > 0).all()


@handles(
    "SDPA attn_mask and is_causal together",
    "same call (attn_mask + is_causal) under SDPBackend.MATH",
)
def test_causal_and_padding_are_one_mask():
    """Both together hide what either hides, whichever kernel of torch's does it."""
    assert FACTS["values"]["sdpa_mask_and_is_causal_cpu"] == "intersection"
    mask = {"kind": "causal,padding", "lengths": [5, 3]}
    steps = ran(**FIVE, mask=mask)
    for backend in (SDPBackend.MATH, SDPBackend.FLASH_ATTENTION):
        with sdpa_kernel(backend):
            fused = ran_with(steps.weights, **FIVE, attention={"impl": "sdpa"}, mask=mask)
        close(fused.out, steps.out)
    assert torch.equal(fused.seen["seen"], ~steps.seen["hidden"])


@handles(
    "nn.MultiheadAttention attn_mask (B,L,S) instead of (B*heads,L,S)",
    "nn.MultiheadAttention attn_mask 4-D (B,h,L,S)",
    "nn.MultiheadAttention is_causal=True without attn_mask",
)
@pytest.mark.parametrize("kind", ["causal", "causal,padding"])
def test_torchs_module_takes_every_mask(kind):
    """The mask comes in the shape that it wants, a causal one as a mask and not as a hint."""
    lengths = {"lengths": [5, 3]} if "padding" in kind else {}
    biased = {"qkv_bias": True, "out_bias": True}
    case = ran(**FIVE, attention={"qkv": "fused", **biased}, mask={"kind": kind, **lengths})
    weights = {
        "attn.in_proj_weight": case.weights["project.qkv.weight"],
        "attn.in_proj_bias": case.weights["project.qkv.bias"],
        "attn.out_proj.weight": case.weights["proj.weight"],
        "attn.out_proj.bias": case.weights["proj.bias"],
    }
    torchs = {"impl": "torch", **biased}
    close(ran_with(weights, **FIVE, attention=torchs, mask={"kind": kind, **lengths}).out, case.out)


@handles("q,k,v of a fused projection are views of ONE storage", "q is non-contiguous")
def test_fused_parts_share_their_storage():
    """Three views, none of them contiguous, of what one projection made."""
    trace = attntrace.run({"heads": 4})
    rows = [trace[name] for name in "qkv"]
    assert {row.storage_id for row in rows} == {trace["qkv"].storage_id}
    assert {row.origin for row in rows} == {"view"}
    assert all(row.stride[-2] != row.shape[-1] for row in rows)


@handles("nn.Linear fp16 input, fp32 weight")
def test_weights_and_inputs_have_one_dtype():
    """run.dtype is that of both, so a half never meets a float."""
    spec = attntrace.load(tokens=5, run={"dtype": "float16"})
    trace, block = attntrace.run(spec), attntrace.build(spec)
    assert {row.dtype for row in trace.tensors} == {"float16"}
    assert {weight.dtype for weight in block.parameters()} == {torch.float16}


@handles("OK (not a trap): HF T5 d_model 512, heads 7 (allowed: d_kv is explicit)")
def test_heads_need_not_divide_where_their_width_is_given():
    """7 heads of 64 features beside a width of 512."""
    spec = attntrace.load(block="encoder", tokens=5, d_model=512, num_heads=7, d_kv=64)
    assert attntrace.run(spec)["context_merged"].shape[-1] == 448


@handles("HF Llama sequence beyond max_position_embeddings (no check)")
def test_rope_has_no_last_place():
    """12 tokens after a maximum of 8 that a config may name: rope has no table to run out of."""
    rope = {"positions": {"kind": "rope"}, "max_position_embeddings": 8}
    with pytest.warns(UserWarning, match="max_position_embeddings.*left out"):
        spec = attntrace.load(block="decoder", batch=1, tokens=12, heads=4, **rope, **IDS)
    assert attntrace.run(spec)["q_rope"].shape == (1, 4, 12, 16)


@handles("T2T module on a non-square image 224x160")
def test_soft_splits_of_an_image_that_is_no_square():
    """56 x 40 tokens, then 28 x 20, then 14 x 10."""
    image = {"size": "224x160"}
    trace = attntrace.run({"block": "t2t", "image": image, "run": {"device": "meta"}})
    splits = [row.shape[1] for row in trace.tensors if row.name == "split"]
    assert splits == [56 * 40, 28 * 20, 14 * 10]


def test_a_finite_fill_leaves_a_row_of_nothing_uniform():
    """-1e10 everywhere is the same everywhere: 1/L, where -inf would be NaN and is refused."""
    assert FACTS["values"]["transformer_finite_minus_1e10_fully_masked_row"] == "uniform 1/L"
    probs = ran(tokens=9, mask={**OF_NOTHING, "fill": -1e10}).seen["probs"]
    close(probs[1, :, -1], torch.full((4, 9), 1 / 9, dtype=torch.float64))


@pytest.mark.parametrize("impl", ["eager", "sdpa"])
def test_side_by_side_is_a_copy_in_eager_and_a_view_after_the_kernel(impl):
    """torch's kernel writes heads behind tokens, so that putting them side by side moves nothing."""
    trace = attntrace.run({"heads": 4, "attention": {"impl": impl}})
    view = FACTS["values"][f"{impl}_output_concat_is_view"]
    assert trace["context_merged"].origin == ("view" if view else "new")
    assert list(trace["context"].stride) == FACTS["values"][f"{impl}_output_stride"]
