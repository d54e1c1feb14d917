"""The facts of modules, storages and attention in one run, and of what the run depended on."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from attntrace.record.tensors import Shape

Device = Literal["cpu", "cuda"]
Owner = Literal["parameter", "buffer", "input", "optimizer", "outside", "run"]
Setting = bool | int | float | str | tuple[bool | int | float | str, ...]
"""A number, a word, true or false, or several of these."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModuleRecord:
    """One call of one module, in the order of entering."""

    path: str
    type: str
    depth: int
    parameters: int
    """Scalars in the parameters of the module and everything below it."""
    outputs: tuple[int, ...]
    note: str | None
    batch_first: bool | None = None
    """Of a module of torch's that is made with or without: None of all others."""
    inputs: tuple[int, ...] = ()
    """The rows that a module was given which has `batch_first`; of others nobody looked."""
    own: dict[str, str] = field(default_factory=dict)
    """Its parameters but for those of the modules in it that were called: by name, dtype and shape,
    such as "float32[192, 49]", and ", frozen" where no gradient is wanted of it."""
    settings: dict[str, Setting] = field(default_factory=dict)
    """Of a module of torch's how it was made, by name: {"num_heads": 4}; of those in it that were not
    called with the path before the name, as in `own`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StorageRecord:
    """One block of memory. `born` and `died` count the births and deaths of one run in order;
    `born` is None for memory that was there before, `died` is None for what outlived the run.
    """

    id: int
    nbytes: int
    owner: Owner
    name: str | None
    device: str
    born: int | None
    died: int | None
    op: int | None
    """The op that allocated it."""
    row: int | None
    """The row that shows it first, or whose call hid it."""
    saved_for_backward: bool | None
    """None where nothing was asked of autograd."""
    died_row: int | None = None
    """The row of the last op that ran before it died; None if it outlived the run."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AttentionRecord:
    """One call of attention that torch has more than one way to run."""

    path: str
    """The module whose forward was running."""
    row: int | None
    call: str
    """`scaled_dot_product_attention`, or the module of torch's that was called."""
    kernel: str
    refused: tuple[str, ...]
    """The faster kernels that did not run, and why."""
    unobserved: str | None
    """The kernel that runs when nobody watches, where that is another one."""
    scores: Shape | None
    """The shape that the scores would have had, where a fused kernel kept them to itself."""
    shapes: tuple[Shape, Shape, Shape] | None = None
    """Of q, k and v as the call got them; None of a module, which makes its own."""
    is_causal: bool | None = None
    """What the call was told; None of a module."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Environment:
    """What the run depended on besides the code and the inputs."""

    attntrace: str
    torch: str
    python: str
    device: str
    device_name: str
    dtype: str | None
    """Of the first input."""
    training: bool | None
    """None for a function, which has no mode."""
    grad: bool
    inference: bool
    autocast: str | None
    """The dtype that autocast computes in, None where it is off."""
    as_device: Device | None = None
    """The device that a run on meta speaks for; None where it ran on what it speaks of."""
