"""Why nn.MultiheadAttention and nn.TransformerEncoderLayer leave their fused fast paths.

The rules are rows in the order of PyTorch 2.13's own source, `torch/nn/modules/activation.py`
(`MultiheadAttention.forward`) and `torch/nn/modules/transformer.py`. Torch stops at its first
reason; here all that apply are returned. Left out: nested inputs, tracing and compiling.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

Rule = tuple[Callable[[Any], bool], str]
"""What refuses the fast path, and the sentence that says so: `{0.heads}` is a fact of the module."""

_DEVICES = ("cpu", "cuda")
_LAYER_DEVICES = (*_DEVICES, "xpu")


@dataclass(frozen=True, slots=True, kw_only=True)
class ModuleFacts:
    """What both modules look at. Defaults: as torch switches them."""

    training: bool
    dims: int
    """Dimensions of the input; 3 with a batch."""
    device: str
    """Type of the device of input and weights."""
    grad: bool
    """Grad mode is on, and the input or a weight of the module requires grad."""
    autocast: bool = False
    """`torch.is_autocast_enabled()`, which without arguments asks about CUDA alone."""
    torch_function: bool = False
    """A torch-function mode is active, or an argument has a `__torch_function__` of its own."""
    fastpath_enabled: bool = True
    """`torch.backends.mha.get_fastpath_enabled()`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MultiheadFacts(ModuleFacts):
    """What `nn.MultiheadAttention.forward` looks at. Its weights: in and out projections."""

    same_qkv: bool
    """query, key and value are one tensor, by identity."""
    dtype: str
    """Of the query."""
    weight_dtype: str | None
    """Of in_proj_weight; None where kdim or vdim gives q, k and v weights of their own."""
    bias_dtype: str | None
    """Of in_proj_bias; None without bias."""
    heads: int
    batch_first: bool
    bias_kv: bool
    add_zero_attn: bool
    float_mask: bool
    """attn_mask or key_padding_mask is floating point."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EncoderLayerFacts(ModuleFacts):
    """What `nn.TransformerEncoderLayer.forward` looks at. Its weights: all of them."""

    batch_first: bool
    bias: bool
    activation: str | None
    """`relu` or `gelu`; None for any other."""
    norm_eps: tuple[float, float]
    heads: int
    hooks: bool
    """A forward hook or pre-hook is on the layer or on any module in it."""
    fused_qkv: bool
    """in_proj_weight of its attention serves q, k and v."""


_DISABLED: Rule = (lambda it: not it.fastpath_enabled, "torch.backends.mha's fast path is disabled")
_UNBATCHED: Rule = (lambda it: it.dims != 3, "the input has {0.dims} dimensions, not 3")
_TRAINING: Rule = (lambda it: it.training, "the module is in training mode")
_BATCH_SECOND: Rule = (lambda it: not it.batch_first, "batch_first is False")
_SEPARATE = "q, k and v have weights of their own"
_ODD: Rule = (lambda it: it.heads % 2 == 1, "the number of heads is odd: {0.heads}")
_AUTOCAST: Rule = (lambda it: it.autocast, "autocast is on")
_FUNCTION: Rule = (lambda it: it.torch_function, "an argument or a mode has __torch_function__")
_GRAD: Rule = (lambda it: it.grad, "grad is on and the input or a weight requires it")

_MULTIHEAD: tuple[Rule, ...] = (
    (lambda it: it.float_mask, "a mask is floating point"),
    _DISABLED,
    _UNBATCHED,
    (lambda it: not it.same_qkv, "query, key and value are not the same tensor"),
    (
        lambda it: it.bias_dtype not in (None, it.dtype),
        "the query is {0.dtype} and in_proj_bias {0.bias_dtype}",
    ),
    (lambda it: it.weight_dtype is None, _SEPARATE),
    (
        lambda it: it.weight_dtype not in (None, it.dtype),
        "the query is {0.dtype} and in_proj_weight {0.weight_dtype}",
    ),
    _TRAINING,
    _ODD,
    _BATCH_SECOND,
    (lambda it: it.bias_kv, "key and value have added biases (add_bias_kv)"),
    (lambda it: it.add_zero_attn, "add_zero_attn is on"),
    _AUTOCAST,
    _FUNCTION,
    (lambda it: it.device not in _DEVICES, "the device is {0.device}, not cpu or cuda"),
    _GRAD,
    (lambda it: it.bias_dtype is None, "the projections have no bias"),
)
_ENCODER_LAYER: tuple[Rule, ...] = (
    _DISABLED,
    _UNBATCHED,
    _TRAINING,
    _BATCH_SECOND,
    (lambda it: not it.bias, "the layer has no bias"),
    (lambda it: not it.fused_qkv, _SEPARATE),
    (lambda it: it.activation is None, "the activation is neither relu nor gelu"),
    (
        lambda it: it.norm_eps[0] != it.norm_eps[1],
        "eps of norm1 is {0.norm_eps[0]}, of norm2 {0.norm_eps[1]}",
    ),
    _ODD,
    _AUTOCAST,
    (lambda it: it.hooks, "forward hooks are on the layer or in it"),
    _FUNCTION,
    (lambda it: it.device not in _LAYER_DEVICES, "the device is {0.device}, not cpu, cuda or xpu"),
    _GRAD,
)


def multihead_refusals(facts: MultiheadFacts) -> tuple[str, ...]:
    """Return why `_native_multi_head_attention` does not run; empty where it does."""
    return _refusals(_MULTIHEAD, facts)


def encoder_layer_refusals(facts: EncoderLayerFacts) -> tuple[str, ...]:
    """Return why `_transformer_encoder_layer_fwd` does not run; empty where it does.

    A layer that is refused calls its attention with need_weights=False, which has a fast path of
    its own: the layer turns masks into floating point, so it is open only without any.
    """
    return _refusals(_ENCODER_LAYER, facts)


def _refusals(rules: tuple[Rule, ...], facts: ModuleFacts) -> tuple[str, ...]:
    """Return the sentences of the rules that apply."""
    return tuple(sentence.format(facts) for refuses, sentence in rules if refuses(facts))
