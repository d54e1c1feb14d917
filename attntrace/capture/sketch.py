"""A run on meta of which only the shape of each row is kept, in a third of the time of a trace.

The rows are those that the three witnesses enter for the same call: the same two of them are at
work, and the dispatcher's only where a module has a fused path, which it helps to take.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from sys import maxsize
from typing import Any, cast

from torch import Tensor, is_grad_enabled, nn

from attntrace.analysis.probing import Sketch, Stroke
from attntrace.capture.as_device import run_as
from attntrace.capture.as_device.modules import has_fused_path
from attntrace.capture.compiled import eagerly
from attntrace.capture.describe import plain, shape_of
from attntrace.capture.drafts import Row
from attntrace.capture.hooks import ModuleWitness
from attntrace.capture.inputs import named_inputs
from attntrace.capture.ledger import Ledger
from attntrace.capture.process import seldom_whole
from attntrace.capture.shortcuts import SHORT
from attntrace.capture.stopped import Stopped
from attntrace.capture.storages import Storages
from attntrace.capture.structure import tensors_in
from attntrace.capture.witnesses import CallWitness, KernelWitness
from attntrace.record import Device, Kind, Shape, Witness


def strokes_of(rows: Sequence[Any]) -> tuple[Stroke, ...]:
    """Return the strokes of the forward's rows, as a ledger or a trace has them."""
    return tuple(
        [
            Stroke(row.op, row.path, row.kind, plain(row.shape))
            for row in rows
            if row.phase == "forward"
        ]
    )


def parameters_of(subject: Callable[..., Any]) -> dict[str, Shape]:
    """Return the shape of each parameter of a module by path; nothing for a plain function."""
    owner = _owner(subject)
    named = () if owner is None else owner.named_parameters()
    shapes = ((name, plain(shape_of(parameter))) for name, parameter in named)
    return {name: shape for name, shape in shapes if shape is not None}


def _owner(subject: Callable[..., Any]) -> nn.Module | None:
    """Return the module that a call is of: also `model` of `model.generate`."""
    owner = subject if isinstance(subject, nn.Module) else getattr(subject, "__self__", None)
    return owner if isinstance(owner, nn.Module) else None


@seldom_whole()
def sketch(
    subject: Callable[..., Any],
    args: Sequence[Any],
    kwargs: dict[str, Any],
    as_device: Device,
    most: int = maxsize,
) -> Sketch:
    """Call `subject`, which is on meta, once as `as_device` would run it; keep no tensor.

    Of a forward that raises, the rows up to there; it is called again with the dispatcher's
    witness, which lets one more op run on meta. One with more than `most` rows is cut off there:
    a loop may be endless with other sizes.
    """
    owner = _owner(subject)
    fused = owner is None or any(has_fused_path(part) for part in owner.modules())
    found = _sketch(subject, args, kwargs, _Watch(as_device, fused, most))
    if not found.failed:
        return found
    return _sketch(subject, args, kwargs, _Watch(as_device, True, most))


class _Watch:
    """The witnesses of a sketch."""

    def __init__(self, as_device: Device, with_kernels: bool, most: int) -> None:
        self.as_device, self.with_kernels = as_device, with_kernels
        self.ledger = _Outline(most)
        self.calls = _Calls(self.ledger, _Unasked(self.ledger))
        self.kernels = KernelWitness(self.ledger, self.calls.stopped)
        self.modules = ModuleWitness(self.ledger, self.calls)

    @contextmanager
    def attached(self) -> Iterator[None]:
        """Put the witnesses in place, and take them away in any case."""
        with ExitStack() as attached:
            attached.enter_context(eagerly())
            if self.with_kernels:
                self.modules.kernels = attached.enter_context(self.kernels)
            attached.enter_context(run_as(self.as_device, self.kernels, self.modules))
            attached.callback(self.calls.stop)
            self.calls.watch(True)
            yield


def _sketch(
    subject: Callable[..., Any], args: Sequence[Any], kwargs: dict[str, Any], watch: _Watch
) -> Sketch:
    ledger, owner = watch.ledger, _owner(subject)
    if owner is not None:
        watch.modules.adopt(owner)
    for name, tensor in named_inputs(subject, tuple(args), kwargs):
        if ledger.row_of(tensor) is None:
            ledger.add_input(tensor, name)
    output, failed = None, False
    with watch.attached():
        try:
            output = subject(*args, **kwargs)
        except _EnoughError:
            return Sketch(strokes_of(ledger.rows))
        except (Exception, SystemExit):  # noqa: BLE001 - whatever a forward raises is its failure
            failed = True
    for tensor in tensors_in(output):
        if ledger.row_of(tensor) is None:
            ledger.add_row(tensor, "output", 0).kind = "output"
    return Sketch(strokes_of(ledger.rows), parameters_of(subject), failed)


class _EnoughError(BaseException):
    """Ends a forward that has more rows than the one that it is compared with."""


class _Outline(Ledger):
    """A ledger that keeps the rows, and of them what a stroke has."""

    def __init__(self, most: int) -> None:
        super().__init__()
        self.most = most
        self.storages = _NoStorages(self.ops)

    def add_row(self, tensor: Tensor, op: str, start: int, given: Sequence[Tensor] = ()) -> Row:
        """Enter a tensor that a call returned."""
        del start, given
        row = _Line(len(self.rows), op, self.path, shape_of(tensor), self.phase)
        self.rows.append(cast("Row", row))
        self._row_of[id(tensor)] = (weakref.ref(tensor), self.rows[-1])
        if len(self.rows) > self.most and self.most < sum(r.phase == "forward" for r in self.rows):
            raise _EnoughError
        return self.rows[-1]

    def add_op(self, *_: Any) -> None:
        """Pass over what the dispatcher ran."""

    def settle(self, *_: Any) -> None:
        """Nothing was allocated that a row could take."""


class _Line:
    """A row in the making; it takes whatever a witness notes of it."""

    kind: Kind = "op"
    inside: object = None
    seen_by: tuple[Witness, ...] = ()

    def __init__(self, index: int, op: str, path: str, shape: Any, phase: str) -> None:
        self.index, self.op, self.path, self.shape, self.phase = index, op, path, shape, phase


class _NoStorages(Storages):
    """Knows no memory: on meta there is none."""

    def adopt(self, *_: Any) -> None:
        """Take in nothing."""

    def find(self, *_: Any) -> None:
        """Return that it is new here."""


class _Calls(CallWitness):
    """Notes no place in the code, and takes shortcuts."""

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        """Run the call, or what says its shape sooner."""
        if not is_grad_enabled():
            func = SHORT.get(func, func)
        return super().__torch_function__(func, types, args, kwargs)

    def _sign(self, row: Row, start: int) -> None:
        del start
        row.inside = self.inside

    def _backward(self, args: tuple[Any, ...]) -> Any:
        del args
        return self.ledger.in_phase("backward")


class _Unasked(Stopped):
    """Describes no failure."""

    def at_op(self, *_: Any) -> None:
        """Note nothing."""

    def at_call(self, *_: Any) -> None:
        """Note nothing."""

    def at_module(self, *_: Any) -> None:
        """Note nothing."""
