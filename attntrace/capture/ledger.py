"""What one run has shown so far: rows, ops and storages, and which tensor object is which row.

The three witnesses write here while the forward runs, so this is the hot path: it notes objects as
they come and leaves every conversion to `facts.py`. It keeps weak references to tensors and no
strong ones, so that memory is freed when it would have been freed unwatched.
"""

from __future__ import annotations

import weakref
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from typing import Any

import torch
from torch import Size, Tensor, UntypedStorage

from attntrace.capture.describe import NO_NUMBERS, nbytes_of, shape_of, shapes_of, stride_of
from attntrace.capture.drafts import Copied, Op, Output, Row
from attntrace.capture.fence import node_of, unasked
from attntrace.capture.saved import ROWS, adopt_numbers, graph
from attntrace.capture.schemas import SCHEMAS, Schema, schema_of
from attntrace.capture.storages import NO_STORAGE, Life, Storages, storage_of
from attntrace.capture.structure import flat_tensors, tensors_in
from attntrace.record import Origin, Phase

ATEN = torch.ops.aten
ADD = ATEN.add.Tensor
LIFT_FRESH = ATEN.lift_fresh.default  # torch.tensor(...): its argument is new memory
CONVOLUTION = ATEN.convolution.default
PRODUCTS = (ATEN.mm.default, ATEN.bmm.default)
COPIES = (ATEN.clone.default, ATEN._to_copy.default)  # noqa: SLF001 - an op
WHERE = ATEN.where.self  # attention makes a bool mask one of numbers by it
WRAPPING = {id(op.Tensor) for op in (ATEN.mul, ATEN.div, ATEN.mul_, ATEN.div_)}
"""Of these autograd keeps an operand, in a tensor even where it is a Python number."""
NEAR = 3
"""How many nodes of the graph there are at most for each op of a call, with those of parameters."""
SPECIAL = {id(op) for op in (CONVOLUTION, ADD, WHERE, *COPIES)}  # an op's own hash is slow


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
            known = self._row_of.get(id(tensor))
            if known is not None and known[0]() is tensor and known[1].index not in found:
                found.append(known[1].index)
        return found

    def alive(self) -> Iterator[Tensor]:
        """Yield the tensors that have a row and are still there."""
        for known, _ in self._row_of.values():
            tensor = known()
            if tensor is not None:
                yield tensor

    def add_op(
        self, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any] | None, out: Any
    ) -> None:
        """Enter one dispatched op, the tensors that it was given and those that it returned."""
        schema = SCHEMAS.get(id(func)) or schema_of(func)
        given: list[Tensor] = []
        inputs: list[Size | None] = []
        try:
            if kwargs or not schema.plain:
                given = flat_tensors(args, kwargs)
                inputs = [tensor.shape for tensor in given]
            else:
                count = len(args)
                for at in schema.tensors:
                    if at < count and isinstance(args[at], Tensor):
                        given.append(args[at])
                        inputs.append(args[at].shape)
        except NO_NUMBERS:
            given = flat_tensors(args, kwargs)
            inputs = shapes_of(given)
        op = Op(func, self.path, self.phase, inputs)
        self.ops.append(op)
        if id(func) in SPECIAL:
            self._note_special(op, args, given, out)
        if isinstance(out, Tensor):
            op.outputs = (self._output(op, out, given, schema),)
        elif out is not None:
            made = [self._output(op, tensor, given, schema) for tensor in tensors_in(out)]
            op.outputs = tuple(made)

    def _output(self, op: Op, tensor: Tensor, given: list[Tensor], schema: Schema) -> Output:
        """Return what is to be noted of a tensor that an op returned."""
        storages = self.storages
        origin: Origin = "view"
        try:
            storage = tensor.untyped_storage()
        except NO_STORAGE:
            return shape_of(tensor), tensor.dtype, nbytes_of(tensor), None, origin
        life = storages.alive.get(id(storage))
        if life is None and not schema.fresh and op.func is not LIFT_FRESH:
            life = self._adopt_argument(storage, given)
        if life is None:
            life, origin = storages.born(storage, tensor.device), "new"
        elif life.op == len(self.ops) - 1:
            origin = "new"  # another tensor of the same op shares it
        elif op.func is ADD:
            origin = "in place"
        elif schema.mutable and is_any(tensor, given):
            origin, life = "in place", storages.resized(life, tensor) or life
            life.written = len(self.ops) - 1
        try:
            return tensor.shape, tensor.dtype, tensor.nbytes, life, origin
        except NO_NUMBERS:
            return shape_of(tensor), tensor.dtype, nbytes_of(tensor), life, origin

    def _note_special(self, op: Op, args: tuple[Any, ...], given: list[Tensor], out: Any) -> None:
        """Note what is to be known of a few ops beyond their shapes."""
        if op.func is CONVOLUTION:
            op.transposed = bool(args[6])
        elif op.func in COPIES or op.func is WHERE:
            life = self.storages.find(given[0])
            if life is not None and not any(value.dim() for value in given[1:]):
                op.copied = Copied(life, given[0].dtype, stride_of(given[0]))
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

    def _adopt_argument(self, storage: UntypedStorage, given: list[Tensor]) -> Life | None:
        """Return the life of a storage that came in with an argument and was not known before."""
        for argument in given:
            if storage_of(argument) is storage:
                return self.storages.adopt(argument, "outside")
        return None

    def add_row(self, tensor: Tensor, op: str, start: int, given: Sequence[Tensor] = ()) -> Row:
        """Enter a tensor that a call returned.

        `start` is the number of the call's first op, `given` are the tensors that it was given.
        """
        if type(tensor) is Tensor:
            return self._add_row(tensor, op, start, given)
        with unasked():
            return self._add_row(tensor, op, start, given)

    def _add_row(self, tensor: Tensor, op: str, start: int, given: Sequence[Tensor]) -> Row:
        life = self.storages.find(tensor)
        given_back = is_any(tensor, given)
        if life is None and (given_back or not given):
            life = self.storages.adopt(tensor, "outside")
        row = Row(len(self.rows), tensor, op, self.path, life)
        row.phase = self.phase
        try:
            made = tensor.grad_fn is not None
        except RuntimeError:  # as `node_of` says
            made = False
        if made:
            self._note_node(tensor, row, start, given)
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

    def _note_node(self, tensor: Tensor, row: Row, start: int, given: Sequence[Tensor]) -> None:
        """Note a row on the node of the graph that made it, and what that node keeps unseen.

        A call that ran several ops has nodes between what it was given and what it returned.
        """
        node: Any = tensor.grad_fn
        if self.marks_graph:
            node.metadata.setdefault(ROWS, {})[tensor.output_nr] = row
        count = len(self.ops) - start
        if count and id(self.ops[-1].func) in WRAPPING:
            adopt_numbers(node, self.storages, self.storages.clock)
        elif count > 1 and any(id(op.func) in WRAPPING for op in islice(self.ops, start, None)):
            for near, _ in islice(graph([tensor], map(node_of, given)), NEAR * count):
                adopt_numbers(near, self.storages, self.storages.clock)

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
                for output in op.outputs:
                    life = output[3]
                    if (
                        life is not None
                        and life.row is None
                        and life.op == number
                        and not (wait and life.died is None)
                    ):
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
