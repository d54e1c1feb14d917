"""A command line to start from, where what goes in, or what a module is made with, was not said."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from inspect import Parameter
from typing import Any

from torch import nn

_LEAVES: tuple[tuple[type, Callable[[Any], str]], ...] = (
    (nn.Embedding, lambda _: "int64[2,16]"),
    (nn.Linear, lambda leaf: f"2,16,{leaf.in_features}"),
    (nn.Conv1d, lambda leaf: f"2,{leaf.in_channels},32"),
    (nn.Conv2d, lambda leaf: f"2,{leaf.in_channels},32,32"),
    (nn.Conv3d, lambda leaf: f"2,{leaf.in_channels},8,32,32"),
    (nn.LayerNorm, lambda leaf: ",".join(map(str, (2, 16, *leaf.normalized_shape)))),
    (nn.RNNBase, lambda leaf: f"2,16,{leaf.input_size}"),
    (nn.MultiheadAttention, lambda leaf: f"2,16,{leaf.embed_dim}"),
)
_PLAIN = {"int": "2", "float": "0.5", "bool": "true", "str": "text"}
_MADE = (("vocab", "100"), ("head", "4"), ("layer", "2"), ("depth", "2"), ("dropout", "0.1"))


def inputs_for(call: Any, parameters: Iterable[Parameter]) -> list[str]:
    """Return `--input` and `name=shape` for each parameter, by the first leaf that has a shape."""
    usual = _usual(call) if isinstance(call, nn.Module) else "2,16,64"
    return [word for p in parameters for word in ("--input", f"{p.name}={_input(p, usual)}")]


def _usual(module: nn.Module) -> str:
    for leaf in module.modules():
        for kind, shape in _LEAVES:
            if isinstance(leaf, kind):
                return shape(leaf)
    return "2,16,64"


def _input(parameter: Parameter, usual: str) -> str:
    if plain := _PLAIN.get(_annotation(parameter)):
        return plain
    if parameter.name.endswith("ids"):
        return "int64[2,16]"
    return "bool[2,16]" if parameter.name.endswith("mask") else usual


def init_for(parameters: Iterable[Parameter]) -> list[str]:
    """Return `--init` and `name=value` for each parameter."""
    return [word for p in parameters for word in ("--init", f"{p.name}={_made(p)}")]


def _made(parameter: Parameter) -> str:
    kind = _annotation(parameter)
    if kind in _PLAIN and kind != "int":
        return _PLAIN[kind]
    return next((value for part, value in _MADE if part in parameter.name), "64")


def _annotation(parameter: Parameter) -> str:
    said = parameter.annotation
    return said if isinstance(said, str) else getattr(said, "__name__", "")
