"""The witnesses of one run put in place and taken away, and what they saw written down."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from functools import partial
from typing import Any

from torch import Tensor

from attntrace.capture.as_device import run_as
from attntrace.capture.attention import Call
from attntrace.capture.compiled import eagerly
from attntrace.capture.facts import module_record, op_record, storage_record, tensor_record
from attntrace.capture.fence import node_of, unasked
from attntrace.capture.hooks import ModuleWitness, Visit
from attntrace.capture.ledger import Ledger
from attntrace.capture.measure import Meter, Scratch
from attntrace.capture.process import seldom_whole
from attntrace.capture.saved import saved_below
from attntrace.capture.silenced import with_warnings
from attntrace.capture.steps import Steps
from attntrace.capture.stopped import Stopped
from attntrace.capture.witnesses import CallWitness, KernelWitness
from attntrace.errors import AttntraceError
from attntrace.record import Device, Diagnosis, Environment, Trace

PACKED = "{} saved tensors are packed by hooks, and not in 'for backward'"
ALREADY = (
    "this thread is being traced already, and two traces at once would see each other: call "
    "attntrace before or after the trace or the `with attntrace.watch(...)` that is under way, or "
    "in another thread"
)


class _Here(threading.local):
    """What is going on in this thread."""

    is_watched = False


_here = _Here()


@dataclass(frozen=True, slots=True)
class Notes:
    """What one pass has shown, without a tensor or a module of it."""

    subject: str
    ledger: Ledger
    visits: list[Visit]
    environment: Environment
    outputs: tuple[int, ...]
    parameters: int
    failure: Diagnosis | None
    remarks: tuple[str, ...]
    calls: list[Call]
    """Calls of attention."""
    scratch: dict[int, Scratch]

    @seldom_whole()
    def facts(self) -> Trace:
        """Return everything that was seen, frozen. Half the work of a trace, so done on demand."""
        ops = tuple(
            op_record(number, op, self.scratch.get(number))
            for number, op in enumerate(self.ledger.ops)
        )
        flops: dict[int | None, int] = {}
        for op in ops:
            if op.flops is not None:
                flops[op.row] = flops.get(op.row, 0) + op.flops
        facts = Trace(
            subject=self.subject,
            tensors=tuple(tensor_record(row, flops.get(row.index)) for row in self.ledger.rows),
            ops=ops,
            modules=tuple(module_record(visit) for visit in self.visits),
            storages=tuple(
                storage_record(life, self.ledger.ops) for life in self.ledger.storages.lives
            ),
            outputs=self.outputs,
            environment=self.environment,
            parameters=self.parameters,
            diagnosis=self.failure,
            notes=self.remarks,
            attention=tuple(call.record(ops) for call in self.calls),
            began=self.ledger.began,
        )
        return facts if facts.diagnosis else with_warnings(facts, self.ledger.rows)


class Recording:
    """The three witnesses of one run, and the ledger that they write."""

    def __init__(self, meter: Meter | None = None) -> None:
        self.meter = meter
        self.remarks: list[str] = []
        self._marked = 0
        """The first storage of which it is not known whether autograd keeps it."""
        self.ledger = Ledger()
        self.stopped = Stopped(self.ledger)
        self.calls = CallWitness(self.ledger, self.stopped)
        self.kernels = KernelWitness(self.ledger, self.stopped, meter)
        self.modules = ModuleWitness(self.ledger, self.calls)
        self.modules.kernels = self.kernels
        self.stopped.modules = self.modules

    def enter_inputs(self, named: Iterable[tuple[str, Tensor]]) -> list[Any]:
        """Enter the tensors that no row shows yet; return the nodes of the graph that made them."""
        made_before = []
        for name, tensor in named:
            if self.ledger.row_of(tensor) is None:
                self.ledger.add_input(tensor, name)
                made_before.append(node_of(tensor))
        return made_before

    @contextmanager
    def attached(self, as_device: Device | None, steps: bool) -> Iterator[None]:
        """Put the witnesses in place, and take them away in any case.

        `as_device` is what a run on meta speaks for; `steps` says whether an optimizer may step.

        Raises:
            AttntraceError: others are in place on this thread.

        """
        if _here.is_watched:
            raise AttntraceError(ALREADY)
        measured = self.meter.attached(self.ledger) if self.meter else nullcontext()
        hooks = (
            run_as(as_device, self.kernels, self.modules) if as_device else self.modules.attached()
        )
        self.kernels.spans = Steps(self.ledger, self.calls) if steps else None
        _here.is_watched = True
        try:
            with eagerly(), measured, self.kernels, hooks:
                self.calls.watch(True)
                try:
                    yield
                finally:
                    self.calls.stop()
        finally:
            _here.is_watched = False

    def enter_outputs(self, tensors: Iterable[Tensor]) -> None:
        """Enter what came out without a witness."""
        for tensor in tensors:
            if self.ledger.row_of(tensor) is None:
                self.ledger.add_row(tensor, "output", len(self.ledger.ops)).kind = "output"

    def enter_saved(self, tensors: Iterable[Tensor], made_before: Iterable[Any]) -> None:
        """Enter what autograd keeps below the tensors that came out, but for what made the inputs."""
        with unasked():
            found = saved_below(tensors, self.ledger.storages, made_before)
        if found is not None:
            kept, packed = found
            lives = self.ledger.storages.lives
            for life in lives[self._marked :]:
                life.saved = False
            for number in kept:
                lives[number].saved = True
            self._marked = len(lives)
            self.remarks += [PACKED.format(packed)] if packed else []

    def notes(
        self,
        subject: str,
        environment: Environment,
        outputs: Iterable[int],
        error: BaseException | None,
    ) -> Notes:
        """Return what was seen, and let go of every module."""
        failure = None if error is None else self._failure(error)
        self.modules.forget()
        return Notes(
            subject=subject,
            ledger=self.ledger,
            visits=self.modules.visits,
            environment=environment,
            outputs=tuple(outputs),
            parameters=sum(scalars for _, scalars in self.modules.parameters.values()),
            failure=failure,
            remarks=(*self.remarks, *(self.meter.notes if self.meter else ())),
            scratch=self.meter.found if self.meter else {},
            calls=self.calls.attention.calls,
        )

    def _failure(self, error: BaseException) -> Diagnosis:
        from attntrace.capture.failed.call.seen import given_by
        from attntrace.capture.failed.origin.trail import (
            Around,  # what does not fail, needs none of it
        )
        from attntrace.capture.failed.stop import diagnosis_of

        ledger = self.ledger
        around = Around(
            path=ledger.path,
            rows=[tensor_record(row, None) for row in ledger.rows],
            storages=[storage_record(life, ledger.ops) for life in ledger.storages.lives],
            root=self.modules.root,
        )
        return diagnosis_of(error, self.stopped, around, partial(given_by, ledger))
