"""Which attention kernel ran, read off the dispatched ops."""

from __future__ import annotations

from attntrace.record import Trace

_FUSED = {
    "aten._scaled_dot_product_flash_attention_for_cpu": "flash (cpu)",
    "aten._scaled_dot_product_flash_attention": "flash",
    "aten._scaled_dot_product_efficient_attention": "efficient",
    "aten._scaled_dot_product_cudnn_attention": "cudnn",
    "aten._native_multi_head_attention": "fused nn.MultiheadAttention",
    "aten._transformer_encoder_layer_fwd": "fused nn.TransformerEncoderLayer",
}
_PRODUCTS = ("aten.bmm", "aten.baddbmm", "aten.mm", "aten._scaled_dot_product_attention_math")


def fused_kernels(trace: Trace) -> tuple[str, ...]:
    """Return the fused attention kernels that ran, each once: their scores are in no tensor."""
    names = (op.op.rpartition(".")[0] for op in trace.ops)
    return tuple(dict.fromkeys(_FUSED[name] for name in names if name in _FUSED))


def keeps_scores(kernel: str) -> bool:
    """Return whether a fused kernel holds all scores at once, in scratch that no witness sees."""
    return kernel.startswith("fused nn.")


def attention_kernel(trace: Trace) -> str | None:
    """Return the fused kernel that ran, or how the attention was put together; None without any."""
    names = [op.op.rpartition(".")[0] for op in trace.ops]
    fused = fused_kernels(trace)
    if fused:
        return " + ".join(fused)
    softmax = any(name in ("aten._softmax", "aten._safe_softmax") for name in names)
    if not softmax or not any(name in _PRODUCTS for name in names):
        return None
    called = any(row.op == "scaled_dot_product_attention" for row in trace.tensors)
    return "math (bmm, softmax, bmm)" if called else "none fused (bmm, softmax, bmm)"
