"""Floating-point operations from recorded shapes: two per multiply-add, one formula an op.

Only multiply-adds of matrix products, convolutions and attention kernels are counted, as in
`torch.utils.flop_counter`; softmax, norms, activations and additions are not, and are listed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from math import prod

from attntrace.record import OpRecord, Phase, Shape

CONVENTION = "2 per multiply-add, matrix products only"


def flops_of(
    op: str, inputs: Sequence[Shape | None], outputs: Sequence[Shape | None]
) -> int | None:
    """Return the FLOPs of one dispatched op, None where there is no formula or a shape is None.

    `op` is the dispatcher's name, such as "aten.bmm.default", or "transposed_convolution".
    """
    formula = _FORMULAS.get(op.split(".")[1] if op.count(".") else op)
    if formula is None:
        return None
    given = [shape for shape in inputs if shape is not None]
    out = [shape for shape in outputs if shape is not None]
    whole = len(given) == len(inputs) and len(out) == len(outputs) > 0
    return formula(given, out) if whole else None


def total_flops(ops: Iterable[OpRecord], phase: Phase = "forward") -> int:
    """Return the sum over the ops of a phase that have a formula."""
    return sum(op.flops or 0 for op in ops if op.phase == phase)


def not_counted(ops: Iterable[OpRecord]) -> tuple[str, ...]:
    """Return the names of ops that computed something and have no formula, in order."""
    names = (
        op.op.split(".")[1].strip("_")
        for op in ops
        if op.flops is None
        and any(out.origin in ("new", "in place") for out in op.outputs)
        and not op.op.startswith(_COPIES)
    )
    return tuple(dict.fromkeys(names))


def _product(inputs: Sequence[Shape], outputs: Sequence[Shape]) -> int:
    """Of (..., n, k) @ (..., k, m): 2 n m k for each matrix of the batch."""
    return 2 * prod(outputs[0]) * inputs[0][-1]


def _product_after_bias(inputs: Sequence[Shape], outputs: Sequence[Shape]) -> int:
    """Of addmm and baddbmm, whose first argument is what is added."""
    return _product(inputs[1:], outputs)


def _grouped_product(inputs: Sequence[Shape], outputs: Sequence[Shape]) -> int:
    """Of `_grouped_mm`: each row, or in a weight's gradient each summand, belongs to one group."""
    a, out = inputs[0], outputs[0]
    return 2 * min(prod(a) * out[-1], prod(out) * a[-1])


def _convolution(inputs: Sequence[Shape], outputs: Sequence[Shape]) -> int:
    """Of weight (out, in/groups, *kernel): each output element sums in/groups * kernel products."""
    return 2 * prod(outputs[0]) * prod(inputs[1][1:])


def _transposed_convolution(inputs: Sequence[Shape], outputs: Sequence[Shape]) -> int:
    """Of weight (in, out/groups, *kernel): each input element is spread over as many."""
    return 2 * prod(inputs[0]) * prod(inputs[1][1:])


def _attention(inputs: Sequence[Shape], outputs: Sequence[Shape]) -> int:
    """Of q (..., n, d), k (..., m, d), v (..., m, e): 2 n m d for the scores, 2 n m e for p v."""
    q, k, v = inputs[:3]
    return 2 * prod(q[:-1]) * k[-2] * (q[-1] + v[-1])


def _attention_backward(inputs: Sequence[Shape], outputs: Sequence[Shape]) -> int:
    """Of the gradient of out, then q, k, v: the scores again, and the gradients of p, v, q and k."""
    _, q, k, v = inputs[:4]
    return 2 * prod(q[:-1]) * k[-2] * (3 * q[-1] + 2 * v[-1])


def _fused_mha(inputs: Sequence[Shape], outputs: Sequence[Shape]) -> int:
    """Of `_native_multi_head_attention`: q, k, v (batch, n, width), then three projections in one.

    Four width x width projections a token, and 2 n m width for the scores and for p v each.
    """
    (batch, n, width), (_, m, _) = inputs[0], inputs[1]
    projections = 2 * batch * width * width * (2 * n + 2 * m)
    return projections + 4 * batch * n * m * width


_COPIES = (
    "aten.clone", "aten.copy", "aten.contiguous", "aten._to_copy", "aten.empty", "aten.zeros",
    "aten.ones", "aten.full", "aten.fill", "aten.arange", "aten.cat", "aten.stack", "aten.new_",
    "aten.detach", "aten.zero",
)  # fmt: skip

_FORMULAS: dict[str, Callable[[Sequence[Shape], Sequence[Shape]], int]] = {
    "mm": _product,
    "bmm": _product,
    "_grouped_mm": _grouped_product,
    "addmm": _product_after_bias,
    "baddbmm": _product_after_bias,
    "convolution": _convolution,
    "transposed_convolution": _transposed_convolution,
    "_native_multi_head_attention": _fused_mha,
    "_scaled_dot_product_flash_attention_for_cpu": _attention,
    "_scaled_dot_product_flash_attention": _attention,
    "_scaled_dot_product_efficient_attention": _attention,
    "_scaled_dot_product_cudnn_attention": _attention,
    "_scaled_dot_product_flash_attention_for_cpu_backward": _attention_backward,
    "_scaled_dot_product_flash_attention_backward": _attention_backward,
    "_scaled_dot_product_efficient_attention_backward": _attention_backward,
    "_scaled_dot_product_cudnn_attention_backward": _attention_backward,
    "_scaled_dot_product_fused_attention_overrideable": _attention,
}
