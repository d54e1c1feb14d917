"""One pass over a running module: put the witnesses in place, run it once, write down the facts."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from attntrace.capture.attention import Call
from attntrace.capture.collector import seldom_whole
from attntrace.capture.environment import environment
from attntrace.capture.facts import (
    module_record,
    op_record,
    storage_record,
    tensor_record,
)
from attntrace.capture.hooks import ModuleWitness, Visit
from attntrace.capture.ledger import Ledger
from attntrace.capture.measure import Meter, Scratch
from attntrace.capture.saved import mark_saved
from attntrace.capture.stopped import Stopped
from attntrace.capture.structure import named_tensors, tensors_in
from attntrace.capture.target import run_as
from attntrace.capture.training import Training, steps_followed
from attntrace.capture.witnesses import CallWitness, KernelWitness
from attntrace.record import Device, Environment, Failure, Trace

PACKED = "{} saved tensors are packed by hooks, and not in 'for backward'"


@dataclass(frozen=True, slots=True)
class Asked:
    """What is asked of a pass besides its forward."""

    training: Training | None = None
    """Follows it backward, too."""
    meter: Meter | None = None
    """Measures the scratch of each op."""
    target: Device | None = None
    """What a run on meta speaks for, a CPU if None."""


FORWARD = Asked()


@dataclass(frozen=True, slots=True)
class Notes:
    """What one pass has shown, without a tensor or a module of it."""

    subject: str
    ledger: Ledger
    visits: list[Visit]
    environment: Environment
    outputs: tuple[int, ...]
    parameters: int
    failure: Failure | None
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
        return Trace(
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
            failure=self.failure,
            notes=self.remarks,
            attention=tuple(call.record(ops) for call in self.calls),
            began=self.ledger.began,
        )


@dataclass(frozen=True, slots=True)
class Observed:
    """One pass that is over: `output` is None where the forward raised `error`."""

    notes: Notes
    output: Any
    error: Exception | None


@seldom_whole()
def observe(
    subject: Callable[..., Any],
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    asked: Asked = FORWARD,
) -> Observed:
    """Call `subject(*args, **kwargs)` once, and note every tensor that the call touched.

    `subject` is a module or any callable. Nothing of the observation is left behind: no hook, no
    mode, no change to flags, random state or autograd graph; nor if it raises. An error of a
    witness itself is raised as it is.
    """
    watch = Watch(subject, args, kwargs, asked)
    output, error = None, None
    try:
        with watch.attached():
            output = subject(*args, **kwargs)
            watch.enter_outputs(output)
    except Exception as raised:
        error = raised
    try:
        watch.ledger.storages.close()
        if watch.stopped.bug is not None:
            raise watch.stopped.bug
        return Observed(watch.notes(output, error), output, error)
    finally:  # the error's traceback has this frame, so nothing here may lead back to the error
        watch.stopped.error = None
        del watch, error


class Watch:
    """The three witnesses of one pass, and the ledger that they write."""

    def __init__(
        self,
        subject: Callable[..., Any],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        asked: Asked,
    ) -> None:
        self.subject, self.training, self.meter = subject, asked.training, asked.meter
        self.remarks: list[str] = []
        self.made_before: list[Any] = []
        self.ledger = Ledger()
        self.stopped = Stopped(self.ledger)
        self.calls = CallWitness(self.ledger, self.stopped)
        self.kernels = KernelWitness(self.ledger, self.stopped, asked.meter)
        self.modules = ModuleWitness(self.ledger, self.calls)
        if isinstance(subject, nn.Module):
            self.modules.adopt(subject)
        if self.training is not None:
            self.training.adopt(self.ledger, self.modules.parameters)
            self.ledger.marks_graph = True
        for name, tensor in _named_inputs(subject, args, kwargs):
            if self.ledger.row_of(tensor) is None:
                self.ledger.add_input(tensor, name)
                self.made_before.append(tensor.grad_fn)
        self.environment = environment(subject, self.ledger.rows, asked.target)

    @contextmanager
    def attached(self) -> Iterator[None]:
        """Put the witnesses in place, and take them away in any case."""
        measured = self.meter.attached(self.ledger) if self.meter else nullcontext()
        on = self.environment.target
        hooks = run_as(on, self.kernels, self.modules) if on else self.modules.attached()
        steps = steps_followed(self.ledger) if self.environment.grad else nullcontext()
        with measured, self.kernels, hooks, steps:
            self.calls.watch(True)
            try:
                yield
            finally:
                self.calls.stop()

    def enter_outputs(self, output: Any) -> None:
        """Enter what came out without a witness, what autograd kept, and what follows."""
        tensors = list(tensors_in(output))
        for tensor in tensors:
            if self.ledger.row_of(tensor) is None:
                self.ledger.add_row(tensor, "output", len(self.ledger.ops)).kind = "output"
        if self.environment.grad:
            packed = mark_saved(tensors, self.ledger.storages, self.made_before)
            if packed:
                self.remarks.append(PACKED.format(packed))
        del tensors
        if self.training is not None:
            note = self.training.follow(output, self.ledger, self.calls)
            self.remarks += [note] if note else []

    def notes(self, output: Any, error: Exception | None) -> Notes:
        """Return what was seen, and let go of every module."""
        self.modules.forget()
        return Notes(
            subject=_name_of(self.subject),
            ledger=self.ledger,
            visits=self.modules.visits,
            environment=self.environment,
            outputs=tuple(self.ledger.rows_of(list(tensors_in(output)))),
            parameters=sum(scalars for _, scalars in self.modules.parameters.values()),
            failure=self.stopped.failure(error) if error else None,
            remarks=(*self.remarks, *(self.meter.notes if self.meter else ())),
            scratch=self.meter.found if self.meter else {},
            calls=self.calls.attention.calls,
        )


def _name_of(subject: Callable[..., Any]) -> str:
    named = not isinstance(subject, nn.Module) and hasattr(subject, "__name__")
    return str(subject.__name__) if named else type(subject).__name__


def _named_inputs(
    subject: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Iterator[tuple[str, Tensor]]:
    """Yield each tensor that goes in, under the name of its parameter."""
    names, rest = _parameters(subject)
    for number, value in enumerate(args):
        name = names[number] if number < len(names) else f"{rest}[{number - len(names)}]"
        yield from named_tensors(name, value)
    for name, value in kwargs.items():
        yield from named_tensors(name, value)


def _parameters(subject: Callable[..., Any]) -> tuple[tuple[str, ...], str]:
    """Return the names of a callable's positional parameters, and that of its `*args`.

    Read off the code object: `inspect.signature` takes as long as several ops.
    """
    called: Any = subject.forward if isinstance(subject, nn.Module) else subject
    if not hasattr(called, "__code__") and not hasattr(called, "__func__"):
        called = getattr(called, "__call__", called)  # noqa: B004 - its bound method, for the name
    code = getattr(inspect.unwrap(getattr(called, "__func__", called)), "__code__", None)
    if code is None:  # a builtin
        return (), "args"
    count, names = code.co_argcount, code.co_varnames
    rest = names[count + code.co_kwonlyargcount] if code.co_flags & inspect.CO_VARARGS else "args"
    return names[hasattr(called, "__func__") : count], rest
