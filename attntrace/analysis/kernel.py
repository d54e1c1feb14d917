"""Which attention kernel ran, read off the dispatched ops."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from math import prod

from attntrace.record import OpRecord, Shape, TensorRecord, Trace

KERNELS = {
    "aten._scaled_dot_product_flash_attention_for_cpu": "flash (cpu)",
    "aten._scaled_dot_product_flash_attention": "flash",
    "aten._scaled_dot_product_efficient_attention": "efficient",
    "aten._scaled_dot_product_cudnn_attention": "cudnn",
    "aten._native_multi_head_attention": "fused nn.MultiheadAttention",
    "aten._transformer_encoder_layer_fwd": "fused nn.TransformerEncoderLayer",
}
STEPS = "bmm, softmax, bmm"
MATH = f"math ({STEPS})"
_PRODUCTS = ("aten.bmm", "aten.baddbmm", "aten.mm", "aten._scaled_dot_product_attention_math")


def kernel_of(op: OpRecord) -> str | None:
    """Return the fused attention kernel that an op is, None for any other op."""
    return KERNELS.get(op.op.rpartition(".")[0])


def fused_kernels(ops: Iterable[OpRecord]) -> tuple[str, ...]:
    """Return the fused attention kernels that ran, each once: their scores are in no tensor."""
    found = (kernel_of(op) for op in ops)
    return tuple(dict.fromkeys(name for name in found if name is not None))


def keeps_scores(kernel: str) -> bool:
    """Return whether a fused kernel holds all scores at once, in scratch that no witness sees."""
    return kernel.startswith("fused nn.")


def scores_of(op: OpRecord, heads: int | None) -> Shape | None:
    """Return the shape that the scores of a fused kernel would have: (batch, heads, q, k).

    `heads` is for kernels that are given tokens (batch, tokens, width), not heads.
    """
    shapes = [shape for shape in op.inputs if shape is not None]
    if len(shapes) < 2 or len(shapes[0]) < 3:
        return None
    q, k = shapes[0], shapes[1]
    if len(q) == 4:
        return (*q[:-1], k[-2])
    keys = k[-2] if len(k) == 3 else q[-2]
    return None if heads is None else (q[0], heads, q[1], keys)


def attention_kernel(trace: Trace) -> str | None:
    """Return the fused kernel that ran, or how the attention was put together; None without any."""
    forward = [op for op in trace.ops if op.phase == "forward"]
    fused = fused_kernels(forward)
    if fused:
        return " + ".join(fused)
    names = [op.op.rpartition(".")[0] for op in forward]
    softmax = any(name in ("aten._softmax", "aten._safe_softmax") for name in names)
    if not softmax or not any(name in _PRODUCTS for name in names):
        return None
    called = any(row.op == "scaled_dot_product_attention" for row in trace.tensors)
    return MATH if called else f"none fused ({STEPS})"


@dataclass(frozen=True, slots=True)
class Absent:
    """Scores that no witness saw, and what they take as a tensor."""

    shape: Shape
    axes: tuple[str, ...] | None
    dtype: str
    nbytes: int
    kept: bool = False
    """Whether the kernel does hold them all, in scratch."""


def absent_scores(trace: Trace) -> dict[int, Absent]:
    """Return by row the scores that its call kept to itself."""
    found = {}
    for call in trace.attention:
        if call.row is None or call.scores is None:
            continue
        row = trace.tensors[call.row]
        count = prod(row.shape or ())
        item = (row.nbytes or 0) // count if count else 0
        axes = _scores_axes(trace, row, call.scores)
        found[call.row] = Absent(
            call.scores, axes, row.dtype, prod(call.scores) * item, keeps_scores(call.kernel)
        )
    return found


def _scores_axes(trace: Trace, row: TensorRecord, scores: Shape) -> tuple[str, ...] | None:
    """Return the axes of q k^T, where those of q and k are known."""
    inputs = [trace.tensors[index] for index in row.inputs[:2]]
    axes = [one.axes for one in inputs if one.axes and len(one.axes) == 4]
    if len(axes) != len(inputs) or len(axes) < 1 or len(scores) != 4:
        return None
    return (*axes[0][:-1], axes[-1][-2])
