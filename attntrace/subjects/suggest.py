"""A command line to start from, where what goes in, or what a module is made with, was not said."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import is_dataclass
from inspect import Parameter
from typing import Any

from torch import nn

from attntrace.spec import Subject
from attntrace.subjects.configs import kind_of, needs
from attntrace.subjects.signatures import name_of

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
_OBJECTS = ("config", "cfg", "conf", "args", "hparams", "opts", "options", "params", "settings")
"""What parameters are called that YAML seldom has a value for."""


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


def start_for(made_by: Callable[..., Any], missing: Sequence[Parameter], subject: Subject) -> str:
    """Return how to say what a module is made with, on the command line or in a function."""
    objects = [p.name for p in missing if p.name in _OBJECTS and p.annotation is p.empty]
    if not objects:
        return (
            "say what it is made with, such as\n"
            f"        {subject.command(*init_for(made_by, missing))}"
        )
    given = ", ".join(f"{p.name}=..." for p in missing)
    return (
        f"where {objects[0]} is an object, name a function that makes it, such as\n"
        f"        def make(): return {name_of(made_by)}({given})"
    )


def init_for(made_by: Callable[..., Any], parameters: Iterable[Parameter]) -> list[str]:
    """Return `--init` and `name=value` for each parameter."""
    return [
        word
        for p in parameters
        for word in ("--init", f"{p.name}={_made(p, kind_of(made_by, p.name))}")
    ]


def _made(parameter: Parameter, made_of: type | None = None) -> str:
    if made_of is not None and is_dataclass(made_of):
        return f"{{{', '.join(f'{p.name}: {_made(p)}' for p in needs(made_of))}}}"
    kind = _annotation(parameter)
    if kind in _PLAIN and kind != "int":
        return _PLAIN[kind]
    return next((value for part, value in _MADE if part in parameter.name), "64")


def _annotation(parameter: Parameter) -> str:
    said = parameter.annotation
    return said if isinstance(said, str) else getattr(said, "__name__", "")
