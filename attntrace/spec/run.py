"""Where and how the block runs: nothing in here changes what the block is."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import BeforeValidator, Field

from attntrace.errors import Problem
from attntrace.spec.component import Component, setting
from attntrace.spec.values import DEVICE

if TYPE_CHECKING:
    from attntrace.spec.block import Spec
    from attntrace.spec.subject import Subject

Device = Annotated[str, Field(pattern=DEVICE)]
DType = Literal["float64", "float32", "bfloat16", "float16"]
RealDevice = Literal["cpu", "cuda"]
Optimizer = Literal[
    "none", "sgd", "sgd-momentum", "adam", "adamw", "adamax", "nadam", "radam", "rmsprop", "rprop",
    "adagrad", "adadelta", "adafactor", "asgd",
]  # fmt: skip
TrapName = Literal[
    "batch-attention", "batch-recurrence", "causal-offset", "heads-attention", "heads-view", "kv-lengths", "mask-fill",
    "mask-inverted", "one-key", "outer-broadcast", "softmax-axis", "tokens-view",
]  # fmt: skip


def _listed(value: object) -> object:
    """YAML has lists and a flag names between commas, a frozen model tuples."""
    if isinstance(value, str):
        value = [name.strip() for name in value.split(",")] if value != "none" else []
    return tuple(value) if isinstance(value, list) else value


BY_VALUE = ("adafactor", "asgd")
"""Optimizers whose step reads numbers out of tensors on the device."""


class RunSpec(Component):
    """Device, number format, seed, the two modes of torch, and what of training is followed."""

    device: Device = setting("cpu", "where it runs; on meta nothing is allocated or computed")
    as_device: RealDevice | None = setting(
        None, "what a run on meta speaks for", rule="device meta", shown="on meta cpu"
    )
    dtype: DType = setting(
        "float32", "number format of weights and input", aliases=("torch_dtype",), rule="mps has no float64"
    )  # fmt: skip
    seed: Annotated[int, Field(ge=0, lt=2**63)] = setting(0, "seed of weights and input")
    mode: Literal["eval", "train"] = setting(
        "eval", "mode of the modules: dropout and batch statistics act in train"
    )
    grad: bool = setting(False, "record for backward, and follow it", aliases=("requires_grad",))
    optimizer: Optimizer = setting(
        "none",
        "what steps after backward, with the state that it has by then",
        rule="needs grad true; adafactor and asgd not on meta",
    )
    checkpoint: bool = setting(
        False,
        "run each layer again in backward instead of keeping its tensors: of a stack, else the block",
        rule="needs grad true",
    )
    allow: Annotated[tuple[TrapName, ...], BeforeValidator(_listed)] = setting(
        (), "warnings that are not given: names, as a list or separated by commas"
    )


def run_rules(spec: Spec | Subject) -> Iterator[Problem]:
    """Yield what is wrong between the run section and the rest."""
    if spec.run.device == "mps" and spec.run.dtype == "float64":
        yield Problem("run.dtype", "mps has no float64; use float32, or device cpu")
    if spec.run.as_device is not None and spec.run.device != "meta":
        device, other = spec.run.device, spec.run.as_device
        yield Problem(
            "run.as_device",
            f"only a run on meta speaks for another device: device {device} as {other} would still "
            f"be {device}; set device meta (--device meta --as {other}), or device {other}",
        )
    yield from _training_rules(spec.run)


def _training_rules(run: RunSpec) -> Iterator[Problem]:
    if run.optimizer != "none" and not run.grad:
        yield Problem(
            "run.optimizer",
            f"optimizer {run.optimizer} steps along gradients, and without grad there are none; "
            "set run.grad true (--grad)",
        )
    if run.checkpoint and not run.grad:
        yield Problem(
            "run.checkpoint",
            "checkpoint saves what backward would need, and without grad nothing is kept for it; "
            "set run.grad true (--grad)",
        )
    if run.optimizer in BY_VALUE and run.device == "meta":
        yield Problem(
            "run.optimizer",
            f"optimizer {run.optimizer} reads numbers out of its tensors, and on meta there are "
            "none; use device cpu, or another optimizer",
        )
