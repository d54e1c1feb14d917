"""From a spec to a module and its input. The only door into this room."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from attntrace.blocks.attention import Attention
from attntrace.blocks.torch_attention import TorchAttention
from attntrace.errors import BuildError
from attntrace.spec import Spec


def build(spec: Spec) -> nn.Module:
    """Return the block with seeded weights, on its device, in its dtype and mode.

    The global random state is as before. Raises BuildError with torch's error as its cause.
    """
    kind = TorchAttention if spec.attention.impl == "torch" else Attention
    device = torch.device(spec.run.device)
    before = torch.get_rng_state()
    try:
        torch.default_generator.manual_seed(spec.run.seed)
        with torch.device("meta" if device.type == "meta" else "cpu"):
            block = kind(spec)
        block = block.to(device=device, dtype=_dtype(spec))
    except (RuntimeError, TypeError, MemoryError) as error:
        raise BuildError(f"the block could not be built: {_first_line(error)}") from error
    finally:
        torch.set_rng_state(before)
    return block.train(spec.run.mode == "train")


def make_input(spec: Spec) -> Tensor:
    """Return x (batch, tokens, dim): standard normal, drawn on the CPU, so alike on every device.

    Raises BuildError where the device has no room for it.
    """
    shape = (spec.batch, spec.tokens, spec.dim)
    try:
        if spec.run.device == "meta":
            return torch.empty(shape, dtype=_dtype(spec), device="meta")
        generator = torch.Generator().manual_seed(spec.run.seed)
        return torch.randn(shape, generator=generator).to(spec.run.device, _dtype(spec))
    except (RuntimeError, TypeError, MemoryError) as error:
        raise BuildError(f"the input could not be made: {_first_line(error)}") from error


def _first_line(error: Exception) -> str:
    """Return what torch says, without the frames of C++ that it may add."""
    return (str(error).splitlines() or [type(error).__name__])[0]


def _dtype(spec: Spec) -> torch.dtype:
    dtype = getattr(torch, spec.run.dtype)
    assert isinstance(dtype, torch.dtype)
    return dtype
