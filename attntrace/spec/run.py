"""Where and how the block runs: nothing in here changes what the block is."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from attntrace.errors import Problem
from attntrace.spec.component import Component

if TYPE_CHECKING:
    from attntrace.spec.block import Spec

Device = Annotated[str, Field(pattern=r"^(cpu|cuda|cuda:(0|[1-9][0-9]{0,2})|mps|meta)$")]
DType = Literal["float64", "float32", "bfloat16", "float16"]


class RunSpec(Component):
    """Device, number format, seed of weights and input, and the two modes of torch."""

    device: Device = "cpu"
    dtype: DType = "float32"
    seed: Annotated[int, Field(ge=0, lt=2**63)] = 0
    mode: Literal["eval", "train"] = "eval"
    grad: bool = False


def run_rules(spec: Spec) -> Iterator[Problem]:
    """Yield what is wrong between the run section and the rest."""
    if spec.run.device == "mps" and spec.run.dtype == "float64":
        yield Problem("run.dtype", "mps has no float64; use float32, or device cpu")
