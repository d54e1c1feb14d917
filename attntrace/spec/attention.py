"""How the attention layer computes: everything about it that is not a size."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from attntrace.spec.component import Component, Count, Positive, Share, Size, setting

Kind = Literal[
    "auto", "mha", "gqa", "mqa", "mla", "shared-head", "separate-heads", "additive", "linear", "window"
]  # fmt: skip
Impl = Literal["eager", "sdpa", "torch"]
Scale = Literal["head", "none", "embed", "input"]
Skip = Literal["auto", "none", "input", "value"]
Layout = Literal["heads-first", "token-first", "folded", "single"]


def _bias(given: dict[str, Any]) -> bool:
    return bool(given.get("qkv_bias"))


def _out_bias(given: dict[str, Any]) -> bool:
    one_switch = given.get("impl") == "torch"
    return bool(given.get("qkv_bias")) if one_switch else True


class AttentionSpec(Component):
    """Choices of the attention layers."""

    kind: Kind = setting(
        "auto",
        "which attention; auto is mha, gqa or mqa, as kv_heads says",
        rule="mha: kv_heads = heads; mqa: kv_heads = 1; gqa: between; mla: kv_lora_rank, nope_head_dim, rope_head_dim and value_head_dim",
    )
    source: Literal["self", "cross"] = setting(
        "self",
        "where keys and values come from: the tokens themselves, or a context of its own length and width",
        aliases=("cross_attn",),
        rule="cross needs context_tokens; for block attention only",
    )
    impl: Impl = setting(
        "eager",
        "eager: every step a torch call; sdpa: scaled_dot_product_attention; torch: nn.MultiheadAttention",
        aliases=("attn_implementation", "_attn_implementation"),
        rule="sdpa and torch refuse what their kernels cannot express",
    )
    qkv: Literal["auto", "fused", "separate", "kv-fused", "conv", "none"] = setting(
        "auto",
        "one projection for q, k and v, three, one for q and one for k and v, a convolution over the map, or none: q, k and v come in",
        rule="fused needs one input for q, k and v; none is for block attention, without output projection and skip",
        shown="fused; separate for cross, gqa, mqa, positions on qk, and biases that differ",
    )
    qkv_layout: Literal["3hd", "h3d", "kqv"] = setting(
        "3hd",
        "order inside a fused projection: q k v, then heads; heads, then q k v (BLOOM, GPT-NeoX); k q v (T2T performer)",
        rule="only with qkv fused or conv",
    )
    conv_kernel: Size = setting(
        1, "side of the kernel of qkv conv, in tokens of the map", rule="odd; only with qkv conv"
    )
    qkv_bias: bool = setting(
        False,
        "bias in the projections of q, k and v",
        aliases=("attn_bias",),
    )
    q_bias: bool = setting(_bias, "bias in the projection of q", shown="qkv_bias")
    k_bias: bool = setting(_bias, "bias in the projection of k", shown="qkv_bias")
    v_bias: bool = setting(_bias, "bias in the projection of v", shown="qkv_bias")
    out_proj: bool = setting(
        True,
        "an output projection",
        rule="without it, chan = heads*value_head_dim",
    )
    out_bias: bool = setting(
        _out_bias,
        "bias in the output projection",
        shown="true; with impl torch qkv_bias",
    )
    qk_scale: Scale | Annotated[float, Field(allow_inf_nan=False)] = setting(
        "head",
        "what q k^T is multiplied by: head is head_dim^-0.5, embed chan^-0.5, input dim^-0.5, none nothing, a number itself, 0.0 included",
        aliases=("scale", "scaling", "softmax_scale"),
        rule="a finite number",
    )
    scale_at: Literal["q", "scores", "masked_scores"] = setting(
        "q",
        "where eager multiplies: q before the product, the scores, or the scores after the mask",
    )
    qk_norm: Literal["none", "rmsnorm", "layernorm", "l2"] = setting(
        "none",
        "normalise q and k before they meet",
        aliases=("use_qk_norm", "qk_layernorm"),
    )
    qk_norm_over: Literal["head", "width"] = setting(
        "head", "over each head (Qwen3), or over all heads together before the split (OLMo 2)"
    )
    softcap: Positive | None = setting(
        None,
        "cap * tanh(scores / cap)",
        aliases=("attn_logit_softcapping",),
        rule="eager only",
    )
    dropout: Share = setting(
        0.0,
        "dropout of the probabilities; acts in train mode",
        aliases=("attn_drop", "attention_dropout", "attention_probs_dropout_prob", "attn_pdrop"),
    )
    need_weights: Literal["none", "averaged", "per-head"] = setting(
        "none",
        "the probabilities that nn.MultiheadAttention hands out",
        aliases=("output_attentions",),
        rule="impl torch only; sdpa never has them, eager shows them in any case",
    )
    skip: Skip = setting(
        "auto",
        "what is added to the output: nothing, the layer's input, or the values",
        rule="input: dim = chan; value: heads*value_head_dim = chan",
        shown="input where dim = chan, else value where the widths agree",
    )
    layout: Layout = setting(
        "heads-first",
        "(batch heads tokens d), (batch tokens heads d), (batch*heads tokens d), or no head axis at all",
        rule="single: heads = 1; kv_heads < heads: heads-first",
    )
    kv_expand: Literal["repeat", "broadcast"] = setting(
        "repeat",
        "how fewer kv heads serve all heads: copies, or matmul's broadcasting",
        rule="broadcast: kv_heads = 1, or impl sdpa",
    )
    q_lora_rank: Size | None = setting(None, "width of the latent that q is made from", rule="mla")
    kv_lora_rank: Size | None = setting(
        None, "width of the latent that k and v are made from, which is what mla caches", rule="mla"
    )
    nope_head_dim: Size | None = setting(
        None, "features of a head's q and k without position", aliases=("qk_nope_head_dim",), rule="mla"
    )  # fmt: skip
    rope_head_dim: Size | None = setting(
        None, "features of a head's q and k with rotary position", aliases=("qk_rope_head_dim",), rule="mla, even"
    )  # fmt: skip
    align_dim: Size | None = setting(
        None,
        "width of v^T tanh(W_q q + W_k k), or of q and k in recurrent dot alignment",
        aliases=("d_a",),
        rule="additive needs it",
    )
    features: Literal["performer", "elu"] = setting(
        "performer",
        "the feature map of linear attention: random exponential features, or elu + 1",
        rule="only with kind linear",
    )
    kernel_features: Size | None = setting(
        None,
        "number of random features of the performer",
        aliases=("nb_features",),
        rule="only with features performer",
        shown="head_dim / 2",
    )
    window: Size | None = setting(
        None,
        "side of a window, in tokens of the map",
        aliases=("window_size",),
        rule="kind window needs it; the map's sides are multiples of it",
    )
    shift: Count = setting(
        0,
        "how far the windows are shifted; every second layer of a stack uses it",
        aliases=("shift_size",),
        rule="0 <= shift < window",
    )
