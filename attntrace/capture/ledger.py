"""What one run has shown so far: rows, ops and storages, and which tensor object is which row.

The three witnesses write here while the forward runs, so this is the hot path: it notes objects as
they come and leaves every conversion to `facts.py`. It keeps weak references to tensors and no
strong ones, so that memory is freed when it would have been freed unwatched.
"""

from __future__ import annotations

import weakref
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Size, Tensor
from torch import dtype as DType

from attntrace.capture.describe import nbytes_of, shape_of, shapes_of, stride_of
from attntrace.capture.saved import ROWS, adopt_numbers
from attntrace.capture.source import Site, name_at
from attntrace.capture.storages import Life, Storages, storage_of
from attntrace.capture.structure import tensors_in
from attntrace.capture.tap import Tap
from attntrace.record import Kind, Origin, Phase, Shape, Witness

ATEN = torch.ops.aten
ADD = ATEN.add.Tensor
LIFT_FRESH = ATEN.lift_fresh.default  # torch.tensor(...): its argument is new memory
CONVOLUTION = ATEN.convolution.default
PRODUCTS = (ATEN.mm.default, ATEN.bmm.default)
COPIES = (ATEN.clone.default, ATEN._to_copy.default)  # noqa: SLF001 - an op
WHERE = ATEN.where.self  # attention makes a bool mask one of numbers by it
WRAPPING = {id(op.Tensor) for op in (ATEN.mul, ATEN.div, ATEN.mul_, ATEN.div_)}
"""Of these autograd keeps an operand, in a tensor even where it is a Python number."""
SPECIAL = {id(op) for op in (CONVOLUTION, ADD, WHERE, *COPIES)}  # an op's own hash is slow


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
    phase: Phase = "forward"
    target: Row | str | None = None
    """Of a gradient: the row or the parameter that it is the gradient of."""
    inside: object = None
    """The visit to a module of torch's own whose code made it, None for code of the author's; once
    the run is over, whether there is one."""

    def __init__(self, index: int, tensor: Tensor, op: str, path: str, life: Life | None) -> None:
        self.index, self.op, self.path, self.life = index, op, path, life
        self.dtype, self.device = tensor.dtype, tensor.device
        self.shape: Size | None
        self.nbytes: int | None
        self.stride: Shape | None
        try:
            self.shape, self.nbytes, self.stride = tensor.shape, tensor.nbytes, tensor.stride()
        except RuntimeError:  # sparse or nested
            self.shape, self.nbytes = shape_of(tensor), nbytes_of(tensor)
            self.stride = stride_of(tensor)

    @property
    def in_structure(self) -> bool:
        """Whether it came in as a part of something: its place there names it best."""
        return self.kind == "input" and any(mark in (self.name or "") for mark in ".[")

    def title(self) -> str:
        """Return the tensor's name: its tap's, else the author's own, else its op's."""
        if self.target is not None:
            of = self.target
            return f"d {of.title() if isinstance(of, Row) else of.rpartition('.')[2]}"
        if self.tap is not None and not self.in_structure:
            return self.tap.name
        if self.name is None and self.site is not None and not self.inside:
            self.name = name_at(self.site, self.output)
        boundary = self.inside is not None and "hook" in self.seen_by
        return self.name or (self.path if boundary else "") or self.op


class Op:
    """An `OpRecord` in the making: for each output its shape, dtype, bytes, storage and origin."""

    __slots__ = ("copied", "func", "inputs", "outputs", "path", "phase", "row", "transposed")

    def __init__(self, func: Any, path: str, phase: Phase, inputs: list[Size | None]) -> None:
        self.func, self.path, self.phase, self.inputs = func, path, phase, inputs
        self.copied: tuple[Life, DType, Shape | None] | None = None
        """What was read: its storage, number format and stride."""
        self.transposed: bool | None = None
        self.row: int | None = None
        self.outputs: list[tuple[Size | None, DType, int | None, Life | None, Origin]] = []

    def made(self, name: str) -> list[Life]:
        """Return what it allocated, nothing if it is another op than "mul", say."""
        if not self.func.__name__.startswith(f"{name}."):
            return []
        return [out[3] for out in self.outputs if out[3] is not None and out[4] == "new"]


class Ledger:
    """Rows, ops and storages in execution order."""

    def __init__(self) -> None:
        self.rows: list[Row] = []
        self.ops: list[Op] = []
        self.storages = Storages(self.ops)
        self.path = ""
        self.phase: Phase = "forward"
        self.began: dict[Phase, int] = {}
        self.marks_graph = False
        """Whether rows note themselves on the nodes that made them, for backward."""
        self.between_nodes = False
        """Whether backward is under way and its engine, no node, is at work."""
        self.dispatching = False
        """Whether an op is running."""
        self._row_of: dict[int, tuple[weakref.ref[Tensor], Row]] = {}

    def row_of(self, tensor: Tensor) -> Row | None:
        """Return the newest row of this very tensor object."""
        known = self._row_of.get(id(tensor))
        return known[1] if known is not None and known[0]() is tensor else None

    def rows_of(self, tensors: Sequence[Tensor]) -> list[int]:
        """Return the rows of the tensors that have one, each once, in order."""
        found: list[int] = []
        for tensor in tensors:
            row = self.row_of(tensor)
            if row is not None and row.index not in found:
                found.append(row.index)
        return found

    def add_op(self, func: Any, args: tuple[Any, ...], given: list[Tensor], out: Any) -> None:
        """Enter one dispatched op, the tensors that it was given and those that it returned."""
        storages, ops = self.storages, self.ops
        number = len(ops)
        op = Op(func, self.path, self.phase, shapes_of(given))
        ops.append(op)
        if id(func) in SPECIAL:
            self._note_special(op, args, given, out)
        for tensor in (out,) if isinstance(out, Tensor) else tensors_in(out):
            life = storages.find(tensor)
            origin: Origin = "view"
            if life is None:
                life = None if func is LIFT_FRESH else self._adopt_argument(tensor, given)
                life = life or storages.born(tensor, number)
            if life is None:
                origin = "view"  # of memory that cannot be seen
            elif life.op == number:
                origin = "new"
            elif is_any(tensor, given) and func._schema.is_mutable:
                origin, life = "in place", storages.resized(life, tensor, number) or life
                life.written = number
            elif func is ADD:
                origin = "in place"
            try:
                op.outputs.append((tensor.shape, tensor.dtype, tensor.nbytes, life, origin))
            except RuntimeError:
                shape, nbytes = shape_of(tensor), nbytes_of(tensor)
                op.outputs.append((shape, tensor.dtype, nbytes, life, origin))

    def _note_special(self, op: Op, args: tuple[Any, ...], given: list[Tensor], out: Any) -> None:
        """Note what is to be known of a few ops beyond their shapes."""
        if op.func is CONVOLUTION:
            op.transposed = bool(args[6])
        elif op.func in COPIES or op.func is WHERE:
            life = self.storages.find(given[0])
            if life is not None and not any(value.dim() for value in given[1:]):
                op.copied = life, given[0].dtype, stride_of(given[0])
        elif self.between_nodes:
            self.storages.expect_heir(given[0], op)
        elif self._adds_bias(given):
            self.storages.take_over(out, self.storages.find(given[0]))

    def _adds_bias(self, given: list[Tensor]) -> bool:
        """Return whether an addition is the last step of `linear` on an input that is not flat.

        Unwatched, `linear` adds its bias in place there; under any dispatch mode it does not (see
        `isTensorSubclassLike` in ATen's Linear.cpp). It is counted as it runs unwatched.
        """
        if len(given) != 2 or given[1].dim() != 1:
            return False
        product = self.storages.find(given[0])
        return (
            product is not None
            and product.op is not None
            and product.op >= len(self.ops) - 3
            and self.ops[product.op].func in PRODUCTS
            and self.ops[product.op].row is None  # or the author wrote `x @ w + b`
        )

    def _adopt_argument(self, tensor: Tensor, given: list[Tensor]) -> Life | None:
        """Return the life of a storage that came in with an argument and was not known before."""
        storage = storage_of(tensor)
        for argument in given:
            if storage_of(argument) is storage and storage is not None:
                return self.storages.adopt(tensor, "outside")
        return None

    def add_row(self, tensor: Tensor, op: str, start: int, given: Sequence[Tensor] = ()) -> Row:
        """Enter a tensor that a call returned.

        `start` is the number of the call's first op, `given` are the tensors that it was given.
        """
        life = self.storages.find(tensor)
        given_back = is_any(tensor, given)
        if life is None and (given_back or not given):
            life = self.storages.adopt(tensor, "outside")
        row = Row(len(self.rows), tensor, op, self.path, life)
        row.phase = self.phase
        if tensor.grad_fn is not None:
            self._note_node(tensor.grad_fn, tensor.output_nr, row, start)
        if given:
            row.inputs = self.rows_of(given)
        if life is not None:
            before = self.row_of(tensor)
            row.alias_of = life.row if before is None else before.index
            if life.row is None and life.owner == "run":
                row.origin, row.allocated = "new", life.nbytes
            elif given_back or before is not None:
                row.origin = "in place" if life.written >= start else "same"
            elif life.row is not None:
                row.origin = "view"
            if life.row is None:
                life.row = row.index
        self.rows.append(row)
        self._row_of[id(tensor)] = (weakref.ref(tensor), row)
        return row

    def _note_node(self, node: Any, output: int, row: Row, start: int) -> None:
        """Note a row on the node of the graph that made it, and what that node keeps unseen."""
        if self.marks_graph:
            node.metadata.setdefault(ROWS, {})[output] = row
        if start < len(self.ops) and id(self.ops[-1].func) in WRAPPING:
            adopt_numbers(node, self.storages, self.storages.clock)

    def enter_phase(self, phase: Phase) -> None:
        """Begin what follows the forward."""
        self.phase = phase
        self.began.setdefault(phase, self.storages.clock)

    @contextmanager
    def in_phase(self, phase: Phase) -> Iterator[None]:
        """Be in a phase for a while."""
        before = self.phase
        self.enter_phase(phase)
        try:
            yield
        finally:
            self.phase = before

    def add_input(self, tensor: Tensor, name: str) -> None:
        """Enter a tensor that goes into the run."""
        self.storages.adopt(tensor, "input", name)
        row = self.add_row(tensor, "input", 0)
        row.kind, row.origin, row.name = "input", "input", name

    def settle(self, row: Row, start: int) -> None:
        """Give the ops of a call, from number `start` on, to the first row that came of it.

        The row takes what they allocated and no row shows; in backward only what has died.
        """
        wait = self.phase == "backward"
        for number in range(start, len(self.ops)):
            op = self.ops[number]
            if op.row is None:
                op.row = row.index
                for _, _, _, life, _ in op.outputs:
                    if life is not None and life.op == number and not (wait and life.died is None):
                        self._hide(life, row)

    def settle_rest(self) -> None:
        """Give what backward allocated and no row has shown to the rows of the ops that did."""
        for life in self.storages.lives:
            row = None if life.op is None else self.ops[life.op].row
            if row is not None:
                self._hide(life, self.rows[row])

    def _hide(self, life: Life, row: Row) -> None:
        if life.row is None:
            row.hidden += life.nbytes
            life.row = row.index


def is_any(tensor: Tensor, tensors: Sequence[Tensor]) -> bool:
    """Return whether a tensor is one of these, the same object."""
    for other in tensors:  # noqa: SIM110 - a generator costs more than the loop
        if other is tensor:
            return True
    return False
