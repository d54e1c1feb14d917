"""The flags that are settings, shared by every command that runs a block."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import wraps
from typing import Any, NamedTuple

from attntrace.cli import options

Given = dict[str, Any]
"""The value of every flag and argument of a command, by the name of its parameter."""
Command = Callable[..., None]


class Flag(NamedTuple):
    """A flag that sets a field of the spec."""

    path: str
    declared: Any


SETTINGS = {
    "block": Flag("block", options.Block),
    "batch": Flag("batch", options.Batch),
    "tokens": Flag("tokens", options.Tokens),
    "dim": Flag("dim", options.Dim),
    "chan": Flag("chan", options.Chan),
    "heads": Flag("heads", options.Heads),
    "kv_heads": Flag("kv_heads", options.KvHeads),
    "head_dim": Flag("head_dim", options.HeadDim),
    "layers": Flag("layers", options.Layers),
    "qkv_bias": Flag("attention.qkv_bias", options.QkvBias),
    "qk_scale": Flag("attention.qk_scale", options.QkScale),
    "skip": Flag("attention.skip", options.Skip),
    "impl": Flag("attention.impl", options.Impl),
    "dropout": Flag("attention.dropout", options.Dropout),
    "mask": Flag("mask.kind", options.Mask),
    "device": Flag("run.device", options.Device),
    "as_device": Flag("run.as_device", options.As),
    "dtype": Flag("run.dtype", options.DType),
    "seed": Flag("run.seed", options.Seed),
    "train": Flag("run.mode", options.Train),
    "grad": Flag("run.grad", options.Grad),
    "optimizer": Flag("run.optimizer", options.Optimizer),
    "checkpoint": Flag("run.checkpoint", options.Checkpoint),
}


OWN = {"init": options.Init, "inputs": options.Input, "sizes": options.Size}
"""The flags of targets, code of the user's own."""


def with_settings(**argument: Any) -> Callable[[Command], Command]:
    """Return what gives a command an argument, the flags of SETTINGS, `--set` and OWN, besides its own.

    The command is called as `with_flags` says.
    """
    settings = {name: flag.declared for name, flag in SETTINGS.items()}
    return with_flags(**argument, **settings, sets=options.Sets, **OWN)


def with_flags(**declared: Any) -> Callable[[Command], Command]:
    """Return what gives a command flags, each None by default, besides its own.

    The command is called with all values as its first argument, `given`, then with its own.
    """

    def decorate(command: Command) -> Command:
        _, *own = inspect.signature(command, eval_str=True).parameters.values()

        @wraps(command)
        def run(**given: Any) -> None:
            command(given, **{parameter.name: given[parameter.name] for parameter in own})

        keyword = inspect.Parameter.KEYWORD_ONLY
        parameters = [
            *(
                inspect.Parameter(name, keyword, default=None, annotation=kind)
                for name, kind in declared.items()
            ),
            *(parameter.replace(kind=keyword) for parameter in own),
        ]
        run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
        return run

    return decorate


def flags_of(given: Given) -> dict[str, str]:
    """Return the text of each given flag under the path of its field."""
    texts = {}
    for name, flag in SETTINGS.items():
        value = given[name]
        if name == "train" and value is not None:
            value = "train" if value else "eval"
        if value is not None:
            texts[flag.path] = str(value).lower() if isinstance(value, bool) else value
    return texts
