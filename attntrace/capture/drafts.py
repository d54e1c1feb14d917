"""Rows and ops in the making: what is noted of them while the forward runs, before it is frozen."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from torch import Size, Tensor
from torch import dtype as DType

from attntrace.capture.describe import NO_NUMBERS, layout_of, nbytes_of, shape_of, stride_of
from attntrace.capture.source import Site, name_at
from attntrace.capture.storages import Life
from attntrace.capture.tap import Tap
from attntrace.record import Argument, Kind, Origin, Phase, Shape, Witness


class Row:
    """A `TensorRecord` in the making. What is not set yet has its default on the class."""

    kind: Kind = "op"
    name: str | None = None
    tap: Tap | None = None
    origin: Origin = "outside"
    alias_of: int | None = None
    allocated = 0
    hidden = 0
    inputs: Sequence[int] = ()
    seen_by: tuple[Witness, ...] = ()
    site: Site | None = None
    output = 0
    """Which of its call's tensors this is."""
    count: int | None = None
    """How many its call returned, 0 where that was a tensor alone, None where it is not known."""
    layout: str | None = None
    arguments: dict[str, Argument] | None = None
    phase: Phase = "forward"
    gradient_of: Row | str | None = None
    """Of a gradient: the row or the parameter that it is the gradient of."""
    inside: object = None
    """The visit to a module of torch's own whose code made it, None for code of the author's."""

    def __init__(self, index: int, tensor: Tensor, op: str, path: str, life: Life | None) -> None:
        self.index, self.op, self.path, self.life = index, op, path, life
        self.dtype, self.device = tensor.dtype, tensor.device
        self.shape: Size | None
        self.nbytes: int | None
        self.stride: Shape | None
        try:
            self.shape, self.nbytes, self.stride = tensor.shape, tensor.nbytes, tensor.stride()
        except NO_NUMBERS:
            self.shape, self.nbytes = shape_of(tensor), nbytes_of(tensor)
            self.stride, self.layout = stride_of(tensor), layout_of(tensor)

    @property
    def in_structure(self) -> bool:
        """Whether it came in as a part of something: its place there names it best."""
        return self.kind == "input" and any(mark in (self.name or "") for mark in ".[")

    def title(self) -> str:
        """Return the tensor's name: its tap's, else the author's own, else its op's."""
        if self.gradient_of is not None:
            of = self.gradient_of
            return f"d {of.title() if isinstance(of, Row) else of.rpartition('.')[2]}"
        if self.tap is not None and not self.in_structure:
            return self.tap.name
        if self.name is None and self.site is not None and self.inside is None:
            self.name = name_at(self.site, self.output, self.count)
        return self.name or (self.path if "hook" in self.seen_by else "") or self.op


Output = tuple[Size | None, DType, int | None, Life | None, Origin]
"""Shape, dtype, bytes, storage and origin of a tensor that an op returned."""


class Copied(NamedTuple):
    """What an op that copies one tensor read."""

    life: Life
    dtype: DType
    stride: Shape | None


class Op:
    """An `OpRecord` in the making."""

    __slots__ = ("copied", "func", "inputs", "outputs", "path", "phase", "row", "transposed")

    def __init__(self, func: Any, path: str, phase: Phase, inputs: list[Size | None]) -> None:
        self.func, self.path, self.phase, self.inputs = func, path, phase, inputs
        self.row: int | None = None
        self.outputs: tuple[Output, ...] = ()
        self.copied: Copied | None = None
        self.transposed: bool | None = None

    def made(self, name: str) -> list[Life]:
        """Return what it allocated, nothing if it is another op than "mul", say."""
        if not self.func.__name__.startswith(f"{name}."):
            return []
        return [out[3] for out in self.outputs if out[3] is not None and out[4] == "new"]
