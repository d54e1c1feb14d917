"""The facts of one tensor, and of one op as the dispatcher ran it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Shape = tuple[int, ...]
Argument = int | float | bool | str | tuple[int, ...] | None
LATER = "later keys"
"""What a mask of attention is told by that shows each query the keys behind it, and no other."""
"""A plain value that a call was given."""
Witness = Literal["hook", "function", "dispatch"]
Kind = Literal["input", "op", "module", "output", "gradient"]
Phase = Literal["forward", "recompute", "backward", "optimizer"]
Origin = Literal["input", "new", "view", "in place", "same", "outside"]


@dataclass(frozen=True, slots=True, kw_only=True)
class TensorRecord:
    """One row: a tensor that the run was given, or that a Python-level call or a module returned.

    `origin` says where the bytes are: "new" memory, a "view" of the storage that row `alias_of`
    shows first, the storage of `alias_of` written "in place", the "same" tensor object handed back
    by a call that had nothing to do, or memory from "outside" the run (a parameter, a constant).
    """

    index: int
    name: str
    path: str
    """The module whose forward was running, "" for the outermost."""
    op: str
    kind: Kind
    shape: Shape | None
    """None for a nested tensor, whose parts differ in shape; `layout` has what they share."""
    stride: Shape | None
    """In elements; None where the layout has no strides (sparse)."""
    axes: tuple[str, ...] | None
    dtype: str
    device: str
    nbytes: int | None
    """Logical size: elements times element size, whoever owns the memory; None if sparse."""
    storage_id: int | None
    origin: Origin
    alias_of: int | None
    allocated_nbytes: int
    """Size of the storage if this row is the first to show it, otherwise 0."""
    hidden_nbytes: int
    """Storages born inside the call that no row ever shows, such as matmul's contiguous copies."""
    inputs: tuple[int, ...]
    """The rows that the call took as arguments."""
    seen_by: tuple[Witness, ...]
    source: str | None
    """`file:line` of the call in the author's code."""
    line: str | None = None
    """The text of that line; None where there is no source."""
    formula: str | None
    flops: int | None
    """Two per multiply-add; None where no counted kernel ran."""
    phase: Phase = "forward"
    gradient_of: int | None = None
    """Of a gradient: the row that it is the gradient of; None for a parameter's."""
    layout: str | None = None
    """What it is if no plain tensor: "sparse_coo, 5 values", "nested (2, *, 7)"."""
    arguments: dict[str, Argument] | None = None
    """What the call was given besides tensors, where shapes do not tell it: {"dim": -1}. None where
    nobody looked: only some calls are looked at, such as softmax, masked_fill and einsum. That of
    attention has attn_mask, `LATER`, where it is such a mask."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OpOutput:
    """One tensor that a dispatched op returned."""

    shape: Shape | None
    dtype: str
    nbytes: int | None
    storage_id: int | None
    origin: Origin
    allocated_nbytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class OpRecord:
    """One op as the dispatcher ran it, such as `aten.bmm.default`."""

    index: int
    op: str
    path: str
    row: int | None
    """The row whose call ran this op, None if no row came of it."""
    inputs: tuple[Shape | None, ...]
    outputs: tuple[OpOutput, ...]
    transposed: bool | None
    """Of a convolution, which its shapes do not tell; None for other ops."""
    flops: int | None
    phase: Phase = "forward"
    copied: int | None = None
    """Of an op that copies one tensor: the id of the storage that it read."""
    copied_dtype: str | None = None
    copied_stride: Shape | None = None
    """Number format and layout of what it read; the shape is that of the first input."""
    scratch_nbytes: int | None = None
    """The most that its kernel held at once besides its outputs; None where not measured."""
    clock: int | None = None
    """Births and deaths of storages before it ran; None where scratch was not measured."""
