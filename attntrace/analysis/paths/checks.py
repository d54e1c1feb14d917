"""What a fused attention kernel asks of a call: each check returns a reason against it, or None.

A check is one of the `check_*` functions of PyTorch 2.13's
`aten/src/ATen/native/transformers/sdp_utils_cpp.h` and `sdp_utils_cpp.cpp`, for dense tensors.
All but `four_axes` may take q, k and v to have axes (batch heads tokens head_dim), none empty.
"""

from __future__ import annotations

from collections.abc import Callable

from attntrace.analysis.paths.call import Hardware, Operand, SdpaCall

Check = Callable[[SdpaCall, Hardware], str | None]


def four_axes(call: SdpaCall, _: Hardware) -> str | None:
    """q, k and v have four dimensions."""
    ranks = [len(operand.shape) for _, operand in call.qkv]
    if ranks == [4, 4, 4]:
        return None
    return f"q, k and v have {ranks[0]}, {ranks[1]} and {ranks[2]} dimensions, not 4"


def no_dropout(call: SdpaCall, _: Hardware) -> str | None:
    """The CPU kernel drops nothing out."""
    return f"dropout is {call.dropout} and the CPU kernel has none" if call.dropout > 0 else None


def no_mask(call: SdpaCall, _: Hardware) -> str | None:
    """CUDA's flash kernel knows `is_causal` and no mask."""
    return "a mask is given and the kernel takes none" if call.mask else None


def mask_shape(call: SdpaCall, _: Hardware) -> str | None:
    """A mask is 2-D or 4-D, each axis whole or 1, and does not require grad, in any grad mode."""
    mask = call.mask
    if mask is None:
        return None
    if mask.requires_grad:
        return "the mask requires grad"
    whole = (*call.q.shape[:-1], call.k.shape[-2])
    axes = whole[-len(mask.shape) :]
    if len(mask.shape) in (2, 4) and all(
        size in (1, most) for size, most in zip(mask.shape, axes, strict=True)
    ):
        return None
    return f"the mask is {mask.shape}, not {whole[-2:]} or {whole} with 1 for any of them"


# Heads


def heads(call: SdpaCall, hardware: Hardware) -> str | None:
    """One batch size; heads are the same, or grouped with as many of v as of k."""
    _, k, v = _head_counts(call)
    if call.enable_gqa and k != v:
        return _batches(call) or f"k has {k} heads and v has {v}"
    return heads_of_each(call, hardware)


def heads_of_each(call: SdpaCall, hardware: Hardware) -> str | None:
    """One batch size; heads are the same, or those of k and of v each divide those of q."""
    if not call.enable_gqa:
        return same_heads(call, hardware)
    q, k, v = _head_counts(call)
    uneven = q % k or q % v
    reason = f"{q} heads of q do not divide into {k} of k and {v} of v" if uneven else None
    return _batches(call) or reason


def same_heads(call: SdpaCall, _: Hardware) -> str | None:
    """One batch size and one number of heads: no groups, whatever `enable_gqa` says."""
    q, k, v = _head_counts(call)
    reason = f"q, k and v have {q}, {k} and {v} heads"
    if call.enable_gqa:
        reason += ", and the kernel has no groups of heads"
    return _batches(call) or (None if q == k == v else reason)


def _batches(call: SdpaCall) -> str | None:
    """Return a reason where batch sizes differ."""
    sizes = [operand.shape[0] for _, operand in call.qkv]
    if len(set(sizes)) == 1:
        return None
    return f"q, k and v have batch sizes {sizes[0]}, {sizes[1]} and {sizes[2]}"


def _head_counts(call: SdpaCall) -> tuple[int, int, int]:
    """Return the heads of q, k and v."""
    return call.q.shape[-3], call.k.shape[-3], call.v.shape[-3]


# Head dimension


def same_head_dim(call: SdpaCall, _: Hardware) -> str | None:
    """q, k and v have one head_dim."""
    q, k, v = call.head_dims
    return None if q == k == v else f"head_dim of q, k and v is {q}, {k} and {v}"


# Layout


def last_stride(call: SdpaCall, hardware: Hardware) -> str | None:
    """The last axis of q, k, v is contiguous, on CUDA that of a mask too."""
    strided = [(name, operand) for name, operand in call.qkv if operand.stride[-1] != 1]
    return _strided(call, hardware, strided)


def last_stride_unless_one(call: SdpaCall, hardware: Hardware) -> str | None:
    """As `last_stride`, but a head_dim of 1 may have any stride: it is padded."""
    if call.head_dims[0] == 1:
        return _strided(call, hardware, [])
    return last_stride(call, hardware)


def _strided(call: SdpaCall, hardware: Hardware, strided: list[tuple[str, Operand]]) -> str | None:
    """Return a reason that names each strided operand."""
    if hardware.device == "cuda" and call.mask and call.mask.stride[-1] != 1:
        strided = [*strided, ("mask", call.mask)]
    named = ", ".join(f"{operand.stride[-1]} in {name}" for name, operand in strided)
    return f"the stride of the last axis is {named}, not 1" if named else None


def dtypes(*allowed: str) -> Check:
    """Return a check of the dtype."""
    listed = ", ".join(allowed[:-1]) + " or " * (len(allowed) > 1) + allowed[-1]

    def check(call: SdpaCall, _: Hardware) -> str | None:
        return None if call.q.dtype in allowed else f"{call.q.dtype} is not {listed}"

    return check
