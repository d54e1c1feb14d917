"""The kernel of a scaled_dot_product_attention call, as PyTorch 2.13 chooses it.

Read from `aten/src/ATen/native/transformers`: `attention.cpp` (empty operands), `sdp_utils_cpp.cpp`
(CPU) and `cuda/sdp_utils.cpp` (CUDA: order and lists of checks). The CPU rules are tested against
the chooser itself; the CUDA rules were read and never run on a GPU.

Left out: nested tensors, ROCm, XPU, `torch.use_deterministic_algorithms` (it refuses cuDNN) and a
priority order that the user has set.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from attntrace.analysis.paths import checks, cuda_checks
from attntrace.analysis.paths.call import Backend, Choice, Hardware, SdpaCall

_CPU: Mapping[Backend, Sequence[checks.Check]] = {
    "flash": (
        checks.no_dropout,
        checks.heads,
        checks.mask_shape,
        checks.same_head_dim,
        checks.last_stride,
        checks.dtypes("float32", "float64", "bfloat16", "float16"),
    ),
    "math": (),
}
_CUDA: Mapping[Backend, Sequence[checks.Check]] = {
    "flash": (
        checks.no_mask,
        checks.same_head_dim,
        cuda_checks.flash_head_dim,
        cuda_checks.capability((8, 0), (12, 1)),
        cuda_checks.flash_backward,
        cuda_checks.square_causal,
        cuda_checks.half_precision,
        checks.heads,
        checks.last_stride_unless_one,
    ),
    "efficient": (
        cuda_checks.capability((5, 0), (12, 1)),
        cuda_checks.efficient_head_dim,
        cuda_checks.efficient_offset,
        checks.last_stride,
        checks.same_heads,
        cuda_checks.efficient_dtype,
    ),
    "cudnn": (
        cuda_checks.half_precision,
        checks.mask_shape,
        cuda_checks.capability((8, 0), (12, 1)),
        cuda_checks.cudnn_dropout,
        checks.last_stride_unless_one,
        checks.heads_of_each,
        cuda_checks.cudnn_sizes,
        cuda_checks.cudnn_head_dim,
        cuda_checks.cudnn_tokens,
    ),
    "math": (),
}


def sdpa_path(call: SdpaCall, hardware: Hardware) -> Choice:
    """Return the kernel of a call, with the reasons against each kernel that torch tries before.

    The call must be one that `scaled_dot_product_attention` takes: q, k, v of one dtype, of two
    dimensions or more, and a mask of two or more.
    """
    rules = _CPU if hardware.device == "cpu" else _CUDA
    refused: list[tuple[Backend, tuple[str, ...]]] = []
    for backend in _order(hardware):
        reasons = _empty(call) or _refusals(backend, rules[backend], call, hardware)
        if not reasons:
            return Choice(kernel=backend, refused=tuple(refused))
        refused.append((backend, reasons))
    return Choice(kernel="none", refused=tuple(refused))


def _order(hardware: Hardware) -> tuple[Backend, ...]:
    """Return the backends in the order that torch tries them (`priority_order`)."""
    if hardware.device == "cpu":
        return ("flash", "math")
    major, minor = hardware.capability
    if major in (9, 10) and minor in (0, 3):
        return ("cudnn", "flash", "efficient", "math")
    return ("flash", "efficient", "math", "cudnn")


def _empty(call: SdpaCall) -> tuple[str, ...]:
    """Return which operands have no elements: torch then returns zeros before it chooses."""
    return tuple(f"{name} has no elements" for name, operand in call.qkv if 0 in operand.shape)


def _refusals(
    backend: Backend, rules: Sequence[checks.Check], call: SdpaCall, hardware: Hardware
) -> tuple[str, ...]:
    """Return all that speaks against a backend. The rules read four axes, so rank comes first."""
    if backend not in hardware.enabled:
        return (f"the {backend} kernel is switched off",)
    if rules and (reason := checks.four_axes(call, hardware)):
        return (reason,)
    return tuple(reason for rule in rules if (reason := rule(call, hardware)))
