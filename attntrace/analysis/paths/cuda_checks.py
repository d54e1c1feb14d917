"""What the CUDA kernels ask of a call beyond `checks`: compute capability, dtypes, alignment.

From PyTorch's `aten/src/ATen/native/transformers/cuda/sdp_utils.cpp` as of May 2026, shortly before
2.13: read, not run on a GPU. cuDNN is taken to be 9.16 or newer.
"""

from __future__ import annotations

from attntrace.analysis.paths.call import Hardware, SdpaCall
from attntrace.analysis.paths.checks import Check, dtypes

_LOW = ("float16", "bfloat16")
_CUDNN_GRID = 65535


def capability(least: tuple[int, int], most: tuple[int, int]) -> Check:
    """Return a check of the compute capability."""

    def check(_: SdpaCall, hardware: Hardware) -> str | None:
        if least <= hardware.capability <= most:
            return None
        span = f"{_dotted(least)} to {_dotted(most)}"
        return f"compute capability {_dotted(hardware.capability)} is not in {span}"

    return check


def half_precision(call: SdpaCall, hardware: Hardware) -> str | None:
    """float16, and bfloat16 from compute capability 8.0 on."""
    return dtypes(*_halves(hardware))(call, hardware)


def efficient_dtype(call: SdpaCall, hardware: Hardware) -> str | None:
    """As `half_precision`, and float32."""
    return dtypes("float32", *_halves(hardware))(call, hardware)


def _halves(hardware: Hardware) -> tuple[str, ...]:
    """Return the dtypes of 16 bits that a device computes with."""
    return _LOW if hardware.capability >= (8, 0) else _LOW[:1]


# Flash


def flash_head_dim(call: SdpaCall, _: Hardware) -> str | None:
    """CUDA's flash kernel ends at 256."""
    head_dim = call.head_dims[0]
    return f"head_dim is {head_dim}, over 256" if head_dim > 256 else None


def flash_backward(call: SdpaCall, hardware: Hardware) -> str | None:
    """On 8.6 to 8.9 and on 12.x, flash's backward takes 192, or over 224 without dropout."""
    head_dim = call.head_dims[0]
    small = (8, 6) <= hardware.capability <= (8, 9) or (12, 0) <= hardware.capability <= (12, 1)
    if not (call.grad and small) or head_dim <= 192 or (head_dim > 224 and call.dropout == 0):
        return None
    return (
        f"backward of head_dim {head_dim} with dropout {call.dropout} is beyond "
        f"compute capability {_dotted(hardware.capability)}"
    )


def square_causal(call: SdpaCall, _: Hardware) -> str | None:
    """Flash's causal mask is aligned to the last key: torch allows the square one alone."""
    q, k = call.q.shape[-2], call.k.shape[-2]
    return f"is_causal with {q} queries and {k} keys" if call.is_causal and q != k else None


# Memory-efficient


def efficient_head_dim(call: SdpaCall, hardware: Hardware) -> str | None:
    """head_dim of q and k is one, and fills the vectors of the kernel, as does that of v."""
    q, k, v = call.head_dims
    if q != k:
        return f"head_dim of q is {q}, of k {k}"
    step = _vector(call, hardware)
    if q % step or v % step:
        return f"head_dim of q and v is {q} and {v}, not multiples of {step}"
    return None


def efficient_offset(call: SdpaCall, hardware: Hardware) -> str | None:
    """From 8.0 on, q, k and v begin where a vector of the kernel may begin."""
    step = _vector(call, hardware)
    odd = [name for name, operand in call.qkv if operand.offset % step]
    if hardware.capability < (8, 0) or not odd:
        return None
    return f"{', '.join(odd)} begins at an element that is no multiple of {step} of its storage"


def _vector(call: SdpaCall, hardware: Hardware) -> int:
    """Return how many elements the efficient kernel loads at once (`minimum_gemm_alignment`)."""
    half = call.q.dtype in _LOW
    if hardware.capability >= (8, 0) or (hardware.capability >= (7, 0) and half):
        return 8 if half else 4
    return 1


# cuDNN


def cudnn_dropout(call: SdpaCall, _: Hardware) -> str | None:
    """Dropout is counted in sixteenths."""
    odd = call.dropout * 16 % 1
    return f"dropout is {call.dropout}, not a multiple of 1/16" if odd else None


def cudnn_sizes(call: SdpaCall, _: Hardware) -> str | None:
    """Batch and heads each fit a launch grid."""
    batch, count = call.q.shape[:2]
    if max(batch, count) <= _CUDNN_GRID:
        return None
    return f"batch {batch} or {count} heads is over {_CUDNN_GRID}"


def cudnn_head_dim(call: SdpaCall, hardware: Hardware) -> str | None:
    """Multiples of 8 up to 128; 256 on 9.0; on 10.x also (192, 128).

    Sources after 2.13 raise 10.x to 256 and lower 9.0 to 128 before cuDNN 9.23.
    """
    q, _, v = call.head_dims
    most = 256 if hardware.capability == (9, 0) else 128
    if hardware.capability[0] == 10 and (q, v) == (192, 128):
        most = 192
    if max(q, v) > most:
        return f"head_dim of q and v is {q} and {v}, over {most}"
    return f"head_dim of q and v is {q} and {v}, not multiples of 8" if q % 8 or v % 8 else None


def cudnn_tokens(call: SdpaCall, _: Hardware) -> str | None:
    """A single key is too few, and a single query with dropout."""
    if call.k.shape[-2] == 1:
        return "there is 1 key"
    return "there is 1 query, with dropout" if call.q.shape[-2] == 1 and call.dropout else None


def _dotted(version: tuple[int, int]) -> str:
    """Return 8.6 for (8, 6)."""
    return ".".join(map(str, version))
