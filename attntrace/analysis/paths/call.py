"""What a call of scaled_dot_product_attention looks like to the code that picks its kernel."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Backend = Literal["flash", "efficient", "cudnn", "math"]
BACKENDS: frozenset[Backend] = frozenset({"flash", "efficient", "cudnn", "math"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Operand:
    """A dense tensor: q, k, v (batch heads tokens head_dim) or a mask. Nested ones have no place."""

    shape: tuple[int, ...]
    stride: tuple[int, ...]
    dtype: str
    """Without the module, as `float32`."""
    requires_grad: bool
    offset: int = 0
    """Elements from the start of its storage."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SdpaCall:
    """The arguments of one call, `scale` apart: no kernel minds it."""

    q: Operand
    k: Operand
    v: Operand
    mask: Operand | None
    dropout: float
    is_causal: bool
    enable_gqa: bool
    grad: bool
    """Grad mode is on, and q, k or v requires grad."""

    @property
    def qkv(self) -> tuple[tuple[str, Operand], ...]:
        """Query, key and value with their names."""
        return (("q", self.q), ("k", self.k), ("v", self.v))

    @property
    def head_dims(self) -> tuple[int, int, int]:
        """The last sizes of q, k and v."""
        return self.q.shape[-1], self.k.shape[-1], self.v.shape[-1]


@dataclass(frozen=True, slots=True, kw_only=True)
class Hardware:
    """Where a call runs. With a cuDNN of 9.15 or older (wheels of CUDA 12), leave `cudnn` out."""

    device: Literal["cpu", "cuda"]
    capability: tuple[int, int] = (8, 0)
    """Compute capability of a CUDA device, as (9, 0) for an H100; nothing on a CPU."""
    enabled: frozenset[Backend] = BACKENDS
    """Backends that are switched on, as by `torch.nn.attention.sdpa_kernel`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """The kernel that a call gets, and what kept it from each one that torch tried before."""

    kernel: Backend | Literal["none"]
    """`none` where torch runs no kernel: an empty operand gives zeros, all refusing an error."""
    refused: tuple[tuple[Backend, tuple[str, ...]], ...]
