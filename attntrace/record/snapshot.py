"""What of a run is compared with another run: the same on every machine, and small enough to keep."""

from __future__ import annotations

from dataclasses import dataclass, field

from attntrace.record.runs import Setting
from attntrace.record.tensors import Kind, Phase, Shape


@dataclass(frozen=True, slots=True, kw_only=True)
class SnapshotRow:
    """One row of a run, without what depends on the machine or the kernel."""

    path: str
    """The module whose forward was running, "" for the outermost."""
    name: str
    """The author's name or expression, in one spelling; "" where it is the path alone."""
    op: str
    """The call as it stands in the code; of every gradient "gradient"."""
    kind: Kind
    phase: Phase
    shape: Shape | None
    """None for a nested tensor."""
    axes: tuple[str, ...] | None
    """A symbol or formula a dimension; None where no axes are known."""
    dtype: str
    nbytes: int | None
    """Logical size; None for what has none, such as a sparse tensor."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SnapshotModule:
    """One module of a run, in the order of entering; a call that repeats is there again."""

    path: str
    type: str
    parameters: int
    """Scalars in the parameters of the module and everything below it."""
    own: tuple[tuple[str, str], ...] = ()
    """Its parameters but for those of other modules of the run, in order of name: ("weight",
    "float32[64, 49]")."""
    settings: tuple[tuple[str, Setting], ...] = ()
    """How a module of torch's was made, in order of name: ("num_heads", 4)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """Bytes as one device had them; compared on that device alone. None where not measured."""

    peak_nbytes: int
    """Of the forward, above parameters and inputs."""
    training_peak_nbytes: int | None = None
    saved_for_backward_nbytes: int | None = None


@dataclass(frozen=True, kw_only=True)
class Snapshot:
    """The comparable part of a run: what a baseline holds."""

    subject: str
    sizes: dict[str, int]
    """What the symbols stand for."""
    parameters: int
    rows: tuple[SnapshotRow, ...]
    modules: tuple[SnapshotModule, ...]
    measured: dict[str, Measured] = field(default_factory=dict)
    """By device: "cpu", "meta as cuda", "cuda NVIDIA H100"."""
