"""Taps: named identity modules that mark the intermediates of our own blocks."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from torch import Tensor, nn


class Tap(nn.Module):
    """Return the tensor as it came; a forward hook sees it under `name`, with its `axes`.

    Adds no op, no parameter, no state-dict key and no memory. `axes` has one symbol or formula a
    dimension, separated by spaces; `formula` says what the tensor is.
    """

    name: str
    axes: tuple[str, ...]
    formula: str

    def __init__(self, name: str, axes: str, formula: str) -> None:
        super().__init__()
        # set plainly: a module looks at each of its attributes for parameters, and taps are many
        vars(self).update(name=name, axes=tuple(axes.split()), formula=formula)

    def forward(self, tensor: Tensor) -> Tensor:
        """Return `tensor`, the same object."""
        return tensor

    if TYPE_CHECKING:  # torch leaves the call of a module untyped

        def __call__(self, tensor: Tensor) -> Tensor:
            """Return `tensor`, the same object."""


class Taps(nn.Module):
    """The taps of one block, each an attribute under its name."""

    def __init__(self, *taps: Tap) -> None:
        super().__init__()
        for tap in taps:
            self.add_module(tap.name, tap)

    def __getattr__(self, name: str) -> Tap:
        return cast(Tap, super().__getattr__(name))

    def get(self, name: str) -> Tap:
        """Return the tap of a name that is put together."""
        return cast(Tap, super().__getattr__(name))
