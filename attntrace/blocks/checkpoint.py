"""Activation checkpointing: a module keeps what goes into it, and runs again in backward."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any, TypeVar

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint, noop_context_fn

Module = TypeVar("Module", bound=nn.Module)


class Checkpointed(nn.Module):
    """Goes before the class of a module whose calls are checkpointed.

    Its name, paths and parameters stay as they are. In training the state of the random numbers is
    kept, too, so that dropout drops the same again: by itself, since what `preserve_rng_state` keeps
    comes from no op.

    Source: Chen et al., "Training Deep Nets with Sublinear Memory Cost" (2016).
    """

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Return what the module returns."""
        return checkpoint(
            super().__call__,
            *args,
            use_reentrant=False,
            preserve_rng_state=False,
            context_fn=self.contexts if self.training else noop_context_fn,
            **kwargs,
        )

    def contexts(self) -> tuple[AbstractContextManager[None], AbstractContextManager[None]]:
        """Return the surroundings of the first run, and those of the second."""
        device = next((p.device.type for p in self.parameters()), "cpu")
        return nullcontext(), _replayed(device, _random_state(device))


def checkpointed(module: Module) -> Module:
    """Return the same module, its calls checkpointed from now on."""
    kind = type(module)
    module.__class__ = type(kind.__name__, (Checkpointed, kind), {"__module__": kind.__module__})
    return module


@contextmanager
def _replayed(device: str, state: Tensor) -> Iterator[None]:
    """Draw random numbers from `state` on, and afterwards as if nothing had been drawn."""
    before = _random_state(device)
    _source(device).set_rng_state(state)
    try:
        yield
    finally:
        _source(device).set_rng_state(before)


def _random_state(device: str) -> Tensor:
    """Return the state, marked as new memory, as `torch.tensor` marks its own: no op makes it."""
    random_state: Tensor = torch.ops.aten.lift_fresh(_source(device).get_rng_state())
    return random_state


def _source(device: str) -> Any:
    return {"cuda": torch.cuda, "mps": torch.mps}.get(device, torch)
