"""The facts of one run. Frozen, made of names, ints and strings, and nothing that needs torch.

Capture writes these records, analysis and render read them, and tests fake them. A number that was
not measured is `None`. `docs/trace-json.md` documents the JSON form, which has the same fields.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field, fields
from typing import Any, Literal, Self

from attntrace.errors import TraceFileError, nearest

SCHEMA_VERSION = 1

Shape = tuple[int, ...]
Witness = Literal["hook", "function", "dispatch"]
Kind = Literal["input", "op", "module", "output", "gradient"]
Phase = Literal["forward", "recompute", "backward", "optimizer"]
Origin = Literal["input", "new", "view", "in place", "same", "outside"]
Device = Literal["cpu", "cuda"]
Owner = Literal["parameter", "buffer", "input", "optimizer", "outside", "run"]


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Operand:
    """One argument of the call that failed."""

    name: str
    shape: Shape | None
    dtype: str
    device: str
    row: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """Where and why a forward stopped."""

    error: str
    message: str
    op: str | None
    path: str
    source: str | None
    line: str | None
    operands: tuple[Operand, ...]

    def __str__(self) -> str:
        place = f" in {self.path}" if self.path else ""
        at = f" at {self.source}" if self.source else ""
        return f"{self.op or 'the forward'} failed{place}{at}: {self.error}: {self.message}"


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


@dataclass(frozen=True, kw_only=True)
class Trace:
    """One pass through a module or a function: every fact, in execution order."""

    subject: str
    tensors: tuple[TensorRecord, ...]
    ops: tuple[OpRecord, ...]
    modules: tuple[ModuleRecord, ...]
    storages: tuple[StorageRecord, ...]
    outputs: tuple[int, ...]
    environment: Environment
    parameters: int
    spec: dict[str, Any] | None = None
    sizes: dict[str, int] = field(default_factory=dict)
    """What the symbols in `axes` stand for."""
    failure: Failure | None = None
    notes: tuple[str, ...] = ()
    attention: tuple[AttentionRecord, ...] = ()
    began: dict[Phase, int] = field(default_factory=dict)
    """When backward and the optimizer's step first began, on the clock of births and deaths."""
    schema_version: int = SCHEMA_VERSION

    def __getitem__(self, name: str) -> TensorRecord:
        """Return the last row of that name. Raises KeyError with the names that come near."""
        for row in reversed(self.tensors):
            if row.name == name:
                return row
        others = nearest(name, dict.fromkeys(row.name for row in self.tensors))
        raise KeyError(f"no tensor {name!r}; {others}")

    def to_dict(self) -> dict[str, Any]:
        """Return the facts as plain dicts, lists, strings and ints."""
        return {item.name: _plain(getattr(self, item.name)) for item in fields(Trace)}

    @classmethod
    def from_json(cls, text: str | bytes) -> Self:
        """Read what `render.to_json` wrote; what it adds to the facts is passed over.

        Raises:
            TraceFileError: not JSON, not a trace, or written by a newer attntrace.

        """
        document = _document(text)
        from pydantic import TypeAdapter, ValidationError  # 50 ms that only readers pay

        known = {name: document[name] for name in _names(Trace) if name in document}
        try:
            facts = TypeAdapter(Trace).validate_python(known)
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(str(part) for part in first["loc"])
            raise TraceFileError(f"not a trace: {where}: {first['msg']}") from error
        return cls(**{name: getattr(facts, name) for name in _names(Trace)})


def _names(record: type[Any]) -> list[str]:
    return [item.name for item in fields(record)]


def _plain(value: Any) -> Any:
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    return asdict(value) if hasattr(value, "__dataclass_fields__") else value


def _document(text: str | bytes) -> dict[str, Any]:
    try:
        document = json.loads(text)
    except ValueError as error:
        raise TraceFileError(f"not a trace: not JSON: {error}") from error
    if not isinstance(document, dict) or "schema_version" not in document:
        raise TraceFileError("not a trace: a JSON object with schema_version was expected")
    version = document["schema_version"]
    if type(version) is not int:
        raise TraceFileError(f"not a trace: schema_version must be a whole number, got {version!r}")
    if version > SCHEMA_VERSION:
        raise TraceFileError(
            f"schema_version {version} is newer than the {SCHEMA_VERSION} that this attntrace "
            "reads; install a newer attntrace"
        )
    return document
