"""Where and how the block runs: nothing in here changes what the block is."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from attntrace.errors import Problem
from attntrace.spec.component import Component, setting
from attntrace.spec.values import DEVICE

if TYPE_CHECKING:
    from attntrace.spec.block import Spec

Device = Annotated[str, Field(pattern=DEVICE)]
DType = Literal["float64", "float32", "bfloat16", "float16"]


class RunSpec(Component):
    """Device, number format, seed of weights and input, and the two modes of torch."""

    device: Device = setting("cpu", "where it runs; on meta nothing is allocated or computed")
    dtype: DType = setting(
        "float32", "number format of weights and input", aliases=("torch_dtype",), rule="mps has no float64"
    )  # fmt: skip
    seed: Annotated[int, Field(ge=0, lt=2**63)] = setting(0, "seed of weights and input")
    mode: Literal["eval", "train"] = setting(
        "eval", "mode of the modules: dropout and batch statistics act in train"
    )
    grad: bool = setting(False, "record for backward", aliases=("requires_grad",))


def run_rules(spec: Spec) -> Iterator[Problem]:
    """Yield what is wrong between the run section and the rest."""
    if spec.run.device == "mps" and spec.run.dtype == "float64":
        yield Problem("run.dtype", "mps has no float64; use float32, or device cpu")
