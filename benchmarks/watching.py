"""The ways to watch one forward that are timed against each other: ours, a floor, and the peers.

Each returns calls that run the layer once, so that whoever times them needs to know nothing more.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

import torch
from torch import nn
from torch.nn.modules.module import register_module_forward_hook, register_module_forward_pre_hook
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode

import attntrace
from benchmarks.plain_layer import PlainAttention, seeded_input

Call = Callable[[], object]
BARE = "bare"


def ours() -> dict[str, Call]:
    """Return the forward of our block: bare, barely watched, traced, and traced and read."""
    block, x = attntrace.build({"heads": 4, "chan": 64}), seeded_input()
    plain = _plain_layer(block)
    with torch.no_grad():
        assert torch.equal(plain(x), block(x)), "the plain layer is not the same layer"
    return {
        BARE: lambda: block(x),
        "floor": lambda: _barely_watched(block, x),
        "trace": lambda: attntrace.trace(block, x),
        "trace and read": lambda: attntrace.trace(block, x).facts,
    }


def peer(name: str) -> dict[str, Call]:
    """Return the forward of the plain layer: bare, traced, and watched by a peer.

    The plain layer, because our block's taps would be modules to them, and cost them time.
    Raises ImportError where the peer is not installed.
    """
    package: Any = importlib.import_module(name)
    layer, x = _plain_layer(), seeded_input()
    watch: dict[str, Call] = {
        "torchinfo": lambda: package.summary(layer, input_data=x, verbose=0),
        "torchview": lambda: package.draw_graph(layer, input_data=x),
        "torchlens": lambda: package.trace(layer, x),
    }
    return {BARE: lambda: layer(x), "trace": lambda: attntrace.trace(layer, x), name: watch[name]}


def _plain_layer(like: nn.Module | None = None) -> PlainAttention:
    layer = PlainAttention().eval()
    if like is not None:
        own = {".".join(key.split(".")[-2:]): value for key, value in like.state_dict().items()}
        layer.load_state_dict(own)
    return layer


def _barely_watched(block: nn.Module, x: torch.Tensor) -> None:
    """Run the block under every witness that a tracer needs, none of which does anything."""
    before = register_module_forward_pre_hook(lambda _module, _args: None)
    after = register_module_forward_hook(lambda _module, _args, _output: None, always_call=True)
    try:
        with _IdleDispatch(), _IdleFunction():  # type: ignore[no-untyped-call]
            block(x)
    finally:
        before.remove()
        after.remove()


class _IdleFunction(TorchFunctionMode):
    def __torch_function__(
        self, func: Any, types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        return func(*args, **kwargs) if kwargs else func(*args)


class _IdleDispatch(TorchDispatchMode):  # type: ignore[no-untyped-call]
    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        return func(*args, **kwargs) if kwargs else func(*args)
