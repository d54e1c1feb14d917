"""Calls of attention: which kernel ran inside, and what kept torch from a faster one.

Torch picks without saying why. Here what it looked at is noted while the call is made, and
`analysis.paths` has the rules.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.backends import cuda

from attntrace.analysis.kernel import KERNELS, MATH, STEPS, kernel_of, scores_of
from attntrace.analysis.paths import (
    Backend,
    EncoderLayerFacts,
    Hardware,
    MultiheadFacts,
    Operand,
    SdpaCall,
    encoder_layer_refusals,
    multihead_refusals,
    sdpa_path,
)
from attntrace.capture.describe import dtype_name
from attntrace.capture.fence import has_hooks
from attntrace.record import AttentionRecord, OpRecord

ARGUMENTS = ("query", "key", "value", "attn_mask", "dropout_p", "is_causal")
SDPA = F.scaled_dot_product_attention
MULTIHEAD, ENCODER_LAYER = "nn.MultiheadAttention", "nn.TransformerEncoderLayer"
FUSABLE = (nn.MultiheadAttention, nn.TransformerEncoderLayer)
FUSED_MULTIHEAD = KERNELS["aten._native_multi_head_attention"]
FUSED_LAYER = KERNELS["aten._transformer_encoder_layer_fwd"]
_PARTS = "the layer's parts, one after the other,"


class Call:
    """One call that could have run a fused kernel; an `AttentionRecord` in the making."""

    heads: int | None = None
    dropout = 0.0
    seen: SdpaCall | None = None
    """What a call of the function got."""
    unwatched: str | None = None
    """The fused kernel that nothing but being watched keeps away."""

    def __init__(self, call: str, path: str, start: int, refused: tuple[str, ...]) -> None:
        self.call, self.path, self.start, self.refused = call, path, start, refused
        self.end = start

    def record(self, ops: Sequence[OpRecord]) -> AttentionRecord:
        """Return the facts, given all ops of the run."""
        mine = [op for op in ops[self.start : self.end] if op.phase in ("forward", "recompute")]
        if self.call == ENCODER_LAYER:  # its attention has a record of its own
            mine = [op for op in mine if op.path == self.path]
        fused = next((op for op in mine if kernel_of(op) is not None), None)
        kernel = (kernel_of(fused) if fused else None) or self._steps(mine)
        seen = self.seen
        is_fastest = kernel in (FUSED_MULTIHEAD, FUSED_LAYER)
        refused = () if is_fastest else (*self.refused, *self._inside(kernel))
        return AttentionRecord(
            path=self.path,
            row=next((op.row for op in mine if op.row is not None), None),
            call=self.call,
            kernel=kernel,
            refused=refused,
            unobserved=self.unwatched if kernel != self.unwatched else None,
            scores=scores_of(fused, self.heads) if fused else None,
            shapes=(seen.q.shape, seen.k.shape, seen.v.shape) if seen else None,
            is_causal=seen.is_causal if seen else None,
        )

    def _steps(self, mine: Sequence[OpRecord]) -> str:
        """Return how a call was put together that ran no fused kernel."""
        if self.call == ENCODER_LAYER:
            return _PARTS
        safe = any(op.op.startswith("aten._safe_softmax") for op in mine)
        return MATH if safe or self.call == "scaled_dot_product_attention" else STEPS

    def _inside(self, kernel: str) -> tuple[str, ...]:
        """Return why the attention inside nn.MultiheadAttention made its scores a tensor."""
        if self.call == MULTIHEAD and kernel == STEPS:
            return ("not flash: need_weights asks for the probs as a tensor",)
        if self.call == MULTIHEAD and kernel == MATH and self.dropout:
            return (f"not flash: dropout is {self.dropout} and the CPU kernel has none",)
        return ()


class Visited(NamedTuple):
    """Where a module of torch's begins: path, first op, and whether a mode of the author's is on."""

    path: str
    start: int
    moded: bool


class AttentionWitness:
    """Notes each call of attention that torch has more than one way to run."""

    def __init__(self, hardware: Hardware | None = None) -> None:
        self.hardware = hardware
        self.calls: list[Call] = []

    def attended(
        self, args: tuple[Any, ...], kwargs: Mapping[str, Any], path: str, ops: tuple[int, int]
    ) -> None:
        """Note a call of `scaled_dot_product_attention` and the range of ops that it ran."""
        seen = sdpa_call(*args, **kwargs)
        if seen is None:
            return
        chosen = sdpa_path(seen, self.hardware or hardware_of(args[0] if args else kwargs["query"]))
        refused = (f"not {name}: {', '.join(reasons)}" for name, reasons in chosen.refused)
        call = Call("scaled_dot_product_attention", path, ops[0], tuple(refused))
        call.end, call.seen = ops[1], seen
        self.calls.append(call)

    def entered(self, module: nn.Module, args: Any, visit: Visited) -> Call | None:
        """Note that a module of torch's begins which has a fused path."""
        if isinstance(module, nn.MultiheadAttention):
            refused = multihead_refusals(_multihead_facts(module, args, visit.moded))
            call = _module_call(MULTIHEAD, FUSED_MULTIHEAD, visit, refused)
            call.heads, call.dropout = module.num_heads, _dropped_on_cpu(module, self.hardware)
        elif isinstance(module, nn.TransformerEncoderLayer):
            refused = encoder_layer_refusals(_layer_facts(module, args, visit.moded))
            call = _module_call(ENCODER_LAYER, FUSED_LAYER, visit, refused)
            call.heads = module.self_attn.num_heads
        else:
            return None
        self.calls.append(call)
        return call


def _dropped_on_cpu(module: nn.MultiheadAttention, hardware: Hardware | None) -> float:
    """Return the dropout that keeps SDPA's kernel away: the CPU's has none, those of CUDA have."""
    device = hardware.device if hardware else module.out_proj.weight.device.type
    return module.dropout * module.training if device == "cpu" else 0.0


def _module_call(name: str, fused: str, visit: Visited, refused: tuple[str, ...]) -> Call:
    call = Call(
        name, visit.path, visit.start, (f"not {fused}: {', '.join(refused)}",) if refused else ()
    )
    call.unwatched = None if refused else fused
    return call


def sdpa_call(*args: Any, **kwargs: Any) -> SdpaCall | None:
    """Return what a call looks like to the code that picks its kernel; None for nested tensors.

    The arguments are those of `scaled_dot_product_attention`.
    """
    given = dict(zip(ARGUMENTS, args, strict=False)) | kwargs
    q, k, v = (given[name] for name in ARGUMENTS[:3])
    mask = given.get("attn_mask")
    if any(tensor.is_nested for tensor in (q, k, v)):
        return None
    return SdpaCall(
        q=_operand(q),
        k=_operand(k),
        v=_operand(v),
        mask=None if mask is None else _operand(mask),
        dropout=given.get("dropout_p", 0.0),
        is_causal=given.get("is_causal", False),
        enable_gqa=given.get("enable_gqa", False),
        grad=torch.is_grad_enabled() and any(tensor.requires_grad for tensor in (q, k, v)),
    )


def enabled_kernels() -> frozenset[Backend]:
    """Return the kernels that are switched on, as by `torch.nn.attention.sdpa_kernel`."""
    on: dict[Backend, Any] = {
        "flash": cuda.flash_sdp_enabled,
        "efficient": cuda.mem_efficient_sdp_enabled,
        "math": cuda.math_sdp_enabled,
        "cudnn": cuda.cudnn_sdp_enabled,
    }
    return frozenset(name for name, is_on in on.items() if is_on())


def hardware_of(tensor: Tensor) -> Hardware:
    """Return the device that a call runs on, with the kernels that are switched on."""
    enabled = enabled_kernels()
    if tensor.device.type != "cuda":
        return Hardware(device="cpu", enabled=enabled)
    capability = torch.cuda.get_device_capability(tensor.device)
    return Hardware(device="cuda", capability=capability, enabled=enabled)


def _operand(tensor: Tensor) -> Operand:
    return Operand(
        shape=tuple(tensor.shape),
        stride=tensor.stride(),
        dtype=dtype_name(tensor.dtype),
        requires_grad=tensor.requires_grad,
        offset=int(tensor.storage_offset()),
    )


def _shared_facts(module: nn.Module, args: Any, moded: bool) -> dict[str, Any]:
    """Return what every fused path looks at; a module that is called by keywords shows no input."""
    query = next((arg for arg in args if isinstance(arg, Tensor)), None)
    weight = next(module.parameters())
    tensors = (weight, *module.parameters(), *([query] if query is not None else []))
    return {
        "training": module.training,
        "dims": 3 if query is None else query.dim(),
        "device": "cpu" if weight.is_meta else weight.device.type,  # speaks for one that is fast
        "grad": torch.is_grad_enabled() and any(tensor.requires_grad for tensor in tensors),
        "autocast": torch.is_autocast_enabled(),
        "torch_function": moded,
        "fastpath_enabled": torch.backends.mha.get_fastpath_enabled(),
    }


def _multihead_facts(module: nn.MultiheadAttention, args: Any, moded: bool) -> MultiheadFacts:
    weight, bias = module.in_proj_weight, module.in_proj_bias
    first: Tensor = args[0] if args else next(module.parameters())
    return MultiheadFacts(
        **_shared_facts(module, args, moded),
        same_qkv=len(args) < 3 or (args[0] is args[1] and args[1] is args[2]),
        dtype=dtype_name(first.dtype),
        weight_dtype=None if weight is None else dtype_name(weight.dtype),
        bias_dtype=None if bias is None else dtype_name(bias.dtype),
        heads=module.num_heads,
        batch_first=module.batch_first,
        bias_kv=module.bias_k is not None or module.bias_v is not None,
        add_zero_attn=module.add_zero_attn,
        float_mask=any(_is_float(arg) for arg in args[3:]),
    )


def _layer_facts(module: nn.TransformerEncoderLayer, args: Any, moded: bool) -> EncoderLayerFacts:
    relu = module.activation_relu_or_gelu
    attention = module.self_attn
    return EncoderLayerFacts(
        **_shared_facts(module, args, moded),
        batch_first=attention.batch_first,
        bias=attention.in_proj_bias is not None and module.linear1.bias is not None,
        activation={1: "relu", 2: "gelu"}.get(relu),
        norm_eps=(module.norm1.eps, module.norm2.eps),
        heads=attention.num_heads,
        hooks=has_hooks(module),
        fused_qkv=attention.in_proj_weight is not None,
    )


def _is_float(value: Any) -> bool:
    return isinstance(value, Tensor) and value.is_floating_point()
